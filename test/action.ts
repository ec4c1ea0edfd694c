import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { node24 } from '../scripts/node24.mjs';
import type { GitHubServer } from './github-server.ts';

export type Ran = {
  readonly code: number;
  readonly log: string;
  readonly outputs: Readonly<Record<string, string>>;
  readonly summary: string;
  readonly milliseconds: number;
};

const entry = fileURLToPath(new URL('../dist/index.js', import.meta.url));

/** What says how models are trained where a test does not: a budget that nobody stated only warns of a run that nobody stated. */
const statedRun = { run: 'framework: megatron' };

/** Starts the built action as GitHub would: a child process under Node 24 with an event file, output and summary files. */
export async function runAction(
  server: GitHubServer,
  inputs: Readonly<Record<string, string>> = {},
  event: { readonly name: string; readonly payload: unknown } = {
    name: 'pull_request',
    payload: {
      pull_request: {
        number: server.state.pull.number,
        head: { sha: server.state.pull.head },
        base: { ref: server.state.pull.baseRef },
      },
    },
  },
  environment: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const folder = mkdtempSync(join(tmpdir(), 'gate-'));
  const file = (name: string, content = '') => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const files = {
    event: file('event.json', JSON.stringify(event.payload)),
    output: file('output'),
    summary: file('summary.md'),
  };
  const started = performance.now();
  const child = spawn(node24(), [entry], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'] ?? '',
      GITHUB_API_URL: `${server.url}${server.state.prefix}`,
      GITHUB_GRAPHQL_URL: `${server.url}${server.state.prefix === '' ? '' : '/api'}/graphql`,
      GITHUB_REPOSITORY: 'octo/models',
      GITHUB_EVENT_NAME: event.name,
      GITHUB_EVENT_PATH: files.event,
      GITHUB_SHA: server.state.pull.head,
      GITHUB_REF_NAME: 'main',
      GITHUB_OUTPUT: files.output,
      GITHUB_STEP_SUMMARY: files.summary,
      RUNNER_TEMP: folder,
      'INPUT_GITHUB-TOKEN': 'token-of-the-test',
      ...Object.fromEntries(
        Object.entries({ ...statedRun, ...inputs }).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]),
      ),
      ...environment,
    },
  });
  let log = '';
  child.stdout.on('data', (chunk) => {
    log += chunk;
  });
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  const code = await new Promise<number>((done) => child.on('close', (status) => done(status ?? -1)));
  return {
    code,
    log,
    outputs: readOutputs(readFileSync(files.output, 'utf8')),
    summary: readFileSync(files.summary, 'utf8'),
    milliseconds: performance.now() - started,
  };
}

/** The runner's own format: `name<<delimiter`, lines, delimiter. */
function readOutputs(text: string): Record<string, string> {
  const outputs: Record<string, string> = {};
  for (const [, name = '', , value = ''] of text.matchAll(/^([^\n<]+)<<(\S+)\n([\s\S]*?)\n\2$/gm))
    outputs[name] = value;
  return outputs;
}
