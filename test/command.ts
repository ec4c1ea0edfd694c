import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
/** The command line as it was built. */
export const cli = join(root, 'dist/cli/index.js');
if (!existsSync(cli)) throw new Error('dist/cli/index.js is missing: run npm run build first.');

/** A new folder, outside any repository. */
export const folder = (): string => mkdtempSync(join(tmpdir(), 'cli-'));

/** Files by path, with the folders that they need. */
export function write(where: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(where, name)), { recursive: true });
    writeFileSync(join(where, name), text);
  }
}

/** A repository with one commit on `main` and `feature` checked out; git is spoken in it, and files are committed. */
export const repository = (files: Readonly<Record<string, string>>) => {
  const where = folder();
  const git = (...words: string[]) =>
    execFileSync('git', ['-C', where, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...words]);
  const commit = (message: string, changed: Readonly<Record<string, string>>) => {
    write(where, changed);
    git('add', '-A');
    git('commit', '-qm', message);
    return git('rev-parse', 'HEAD').toString().trim();
  };
  git('init', '-q', '-b', 'main');
  commit('base', files);
  git('checkout', '-qb', 'feature');
  return { where, git, commit };
};

/** Runs the command line as a process of its own. */
export const run = (
  words: readonly string[],
  cwd = root,
  input: string | Buffer = '',
  env: Readonly<Record<string, string>> = {},
) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...words], {
    cwd,
    input,
    env: { ...process.env, FORCE_COLOR: '0', ...env },
    encoding: 'utf8',
  });
  return { code: status, out: stdout, err: stderr };
};

/** The same while this process goes on, as it must where it answers what the command asks. */
export async function runBeside(words: readonly string[], cwd: string, env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [cli, ...words], { cwd, env: { ...process.env, FORCE_COLOR: '0', ...env } });
  const said = { out: '', err: '' };
  child.stdout.on('data', (piece: Buffer) => {
    said.out += piece;
  });
  child.stderr.on('data', (piece: Buffer) => {
    said.err += piece;
  });
  child.stdin.end();
  const [code] = await once(child, 'close');
  return { code, ...said };
}
