// Writes anew all that is made of the sources: dist, schemas, the tables of docs, the comment in README.md.
//   npm run generate
// What is measured (README's times) and what needs a browser (docs/images) stays: scripts/readme.ts, scripts/pictures.mjs.
import { spawnSync } from 'node:child_process';
import { node24 } from './node24.mjs';

const steps = [
  'build.mjs',
  'schema.ts',
  'coverage.ts',
  'flops-page.ts',
  'memory-page.ts',
  'mfu-page.ts',
  'plan-proof-page.ts',
  'policy-page.ts',
  'cli-page.ts',
  'run-page.ts',
  'readme.ts --comment',
];
for (const step of steps) {
  const [script = '', ...words] = step.split(' ');
  console.log(`scripts/${step}`);
  const { status } = spawnSync(node24(), [`${import.meta.dirname}/${script}`, ...words], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
