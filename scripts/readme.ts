// Writes the parts of README.md that are made of real output: the comment, and what was measured.
//   npm run build && node scripts/node24.mjs scripts/readme.ts [--comment]    --comment: leaves what was measured as it stands
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { runAction } from '../test/action.ts';
import { GitHubServer } from '../test/github-server.ts';
import { config, pullRequest } from '../test/states.ts';

const between = (text: string, name: string, content: string) =>
  text.replace(
    new RegExp(`(<!-- ${name}:begin -->)[\\s\\S]*?(<!-- ${name}:end -->)`),
    // A price in the content ($1,500) is no reference to a group.
    (_, begin: string, end: string) => `${begin}\n${content.trim()}\n${end}`,
  );

const comment = spawnSync(
  process.execPath,
  [
    'dist/cli/index.js',
    'diff',
    'examples/pull-request/base.json',
    'examples/pull-request/head.json',
    '--run',
    'examples/pull-request/run.yml',
    '--format',
    'markdown',
  ],
  { encoding: 'utf8' },
)
  .stdout.replace(/^(<!--[^\n]*\n|\n)+/, '')
  .split('\n')
  .map((line) => `> ${line}`.trimEnd())
  .join('\n');

const megabytes = (path: string) => `${(statSync(path).size / 1e6).toFixed(2)} MB`;
const many = (count: number, width: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`configs/${index}.json`, config({ intermediate_size: width })]),
  );

async function measured(count: number) {
  const times: number[] = [];
  let requests = 0;
  for (let repeat = 0; repeat < 5; repeat++) {
    const server = await GitHubServer.start(pullRequest(many(count, 11008), many(count, 11264)));
    times.push((await runAction(server)).milliseconds);
    requests = server.requests.length;
    await server.stop();
  }
  return { seconds: (times.sort((a, b) => a - b)[2] ?? 0) / 1e3, requests };
}

async function measuredTable(): Promise<string> {
  const rows = [['what', 'figure']];
  rows.push(
    ['bundle of the action', megabytes('dist/index.js')],
    ['bundle of the command line', megabytes('dist/cli/index.js')],
  );
  for (const count of [1, 50, 1000]) {
    const { seconds, requests } = await measured(count);
    rows.push([
      `${count} changed ${count === 1 ? 'config' : 'configs'}: whole action, cold start included`,
      `${seconds.toFixed(2)} s, ${requests} API requests`,
    ]);
  }
  const speed = execFileSync(process.execPath, ['scripts/engine-speed.ts'], { encoding: 'utf8' }).trim();
  rows.push(['engine, read and estimate', speed]);
  return [
    `On two shared cores, against a local server that answers as GitHub (medians of five).`,
    '',
    ...rows.flatMap((row, index) => [`| ${row.join(' | ')} |`, ...(index === 0 ? ['|---|---|'] : [])]),
  ].join('\n');
}

const readme = between(readFileSync('README.md', 'utf8'), 'comment', comment);
const again = !process.argv.includes('--comment');
writeFileSync('README.md', again ? between(readme, 'measured', await measuredTable()) : readme);
