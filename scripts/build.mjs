// Builds dist/: TypeScript to build/, then one bundle for the action and one for the command line.
//   node scripts/build.mjs [--if-changed]    --if-changed: only where neither sources nor dist are as the last build left them
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { node24 } from './node24.mjs';

// ncc writes other module ids when it is started elsewhere, so the bundle is only reproducible from here.
process.chdir(resolve(dirname(fileURLToPath(import.meta.url)), '..'));

const run = (...words) => {
  const { status } = spawnSync(node24(), words, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
};
const bundle = (entry, out) =>
  run(
    'node_modules/@vercel/ncc/dist/ncc/cli.js',
    'build',
    entry,
    '--out',
    out,
    '--license',
    'licenses.txt',
    '--no-cache',
  );

const filesOf = (folder) =>
  !existsSync(folder)
    ? []
    : readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort();

/** A hash of all that goes into a build and of all that came out of it. */
function stamp() {
  const hash = createHash('sha256');
  for (const path of ['package-lock.json', 'tsconfig.json', 'scripts/build.mjs', ...filesOf('src'), ...filesOf('dist')])
    hash.update(`${path}\0`).update(readFileSync(path)).update('\0');
  return hash.digest('hex');
}

const stampFile = 'build/stamp';
const built = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp();
if (process.argv.includes('--if-changed') && built) process.exit(0);

for (const folder of ['build', 'dist']) rmSync(folder, { recursive: true, force: true });
run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json');
bundle('build/main.js', 'dist');
bundle('build/cli.js', 'dist/cli');
writeFileSync(stampFile, stamp());
