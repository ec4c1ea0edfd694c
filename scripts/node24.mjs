// Runs a script under Node 24, as GitHub runs the action: this Node where it is 24, else the one that the lock file pins.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The path of a Node 24 executable, or a sentence that says how to get one. */
export function node24() {
  if (process.versions.node.startsWith('24.')) return process.execPath;
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-${platform}-${process.arch}/package.json`);
    return join(dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  } catch {
    throw new Error(
      `No Node 24 for ${platform}-${process.arch}: run "npm ci" without --omit=optional, or use Node 24 itself.`,
    );
  }
}

if (process.argv[1] === import.meta.filename) {
  const { status, error } = spawnSync(node24(), process.argv.slice(2), { stdio: 'inherit' });
  if (error) throw error;
  process.exit(status ?? 1);
}
