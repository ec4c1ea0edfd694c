// Builds dist/: TypeScript to build/, then one bundle for the action and one for the command line.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
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

for (const folder of ['build', 'dist']) rmSync(folder, { recursive: true, force: true });
run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json');
bundle('build/main.js', 'dist');
bundle('build/cli.js', 'dist/cli');
