import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { config } from './states.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const cli = join(root, 'dist/cli/index.js');

const run = (words: readonly string[], cwd = root) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...words], { cwd, encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
};

describe('report', () => {
  it('shows every metric of the note', () => {
    const { code, out, err } = run(['report', 'configs/deepseek-v3.json', '--run', 'configs/runs/deepseek-v3.yml']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const words of [
      '671,026,419,200',
      'active for a token',
      'of total)',
      '8 of 256',
      'forward pass',
      'forward per token',
      'training per token',
      'training, 14.80 T tokens',
      'attention / feed-forward',
      'router',
      'weights',
      'gradients',
      'optimizer states',
      'activations',
      'peak, device',
      'Where memory could be saved',
      "How attention's cost grows",
      'MFU',
      'Sources',
      'arXiv:2405.04434',
    ]) {
      expect(out).toContain(words);
    }
    expect(out).not.toContain('\u001b');
  });

  it('speaks JSON and markdown, and writes to a file', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'cli-')), 'out.json');
    expect(run(['report', 'configs/llama-7b.json', '--format', 'json', '--output', file])).toEqual({
      code: 0,
      out: '',
      err: '',
    });
    const report = JSON.parse(readFileSync(file, 'utf8')).reports[0];
    expect(report).toMatchObject({
      path: 'configs/llama-7b.json',
      format: 'huggingface',
      family: 'llama',
      parameters: { total: 6_738_415_616, active: 6_738_415_616 },
    });
    expect(Object.values<number>(report.memory.components).reduce((sum, amount) => sum + amount, 0)).toBeCloseTo(
      report.memory.allocated_bytes,
      -3,
    );
    expect(run(['report', 'configs/llama-7b.json', '--format', 'markdown']).out).toContain('| Config |');
  });

  it('takes the options of the interface', () => {
    const { out } = run([
      'report',
      '--model_config',
      'configs/llama-7b.json',
      '--accelerator',
      'a100-sxm-80gb',
      '--gpus',
      '16',
      '--sequence-length',
      '1024',
      '--micro-batch-size',
      '2',
      '--tokens',
      '2T',
      '--format',
      'json',
    ]);
    expect(JSON.parse(out).reports[0].run).toMatchObject({
      accelerator: 'a100-sxm-80gb',
      gpus: 16,
      sequence_length: 1024,
      micro_batch_size: 2,
      tokens: 2e12,
    });
  });

  it('goes on past a config that cannot be read', () => {
    const { code, out, err } = run(['report', 'missing.json', 'configs/llama-7b.json', 'package.json']);
    expect(code).toBe(0);
    expect(out).toContain('6,738,415,616');
    expect(err).toContain('missing.json: there is no such file.');
    expect(err).toContain('package.json: The file is none of the model configs');
  });
});

describe('diff', () => {
  it('plays a pull request: the comment, and a failure over budget', () => {
    const { code, out } = run([
      'diff',
      'examples/pull-request/base.json',
      'examples/pull-request/head.json',
      '--run',
      'examples/pull-request/run.yml',
      '--format',
      'markdown',
    ]);
    expect(code).toBe(1);
    expect(out.startsWith('<!-- model-cost-gate key=default -->\n')).toBe(true);
    expect(out).toContain('over the memory budget');
  });

  it('passes within budget, and speaks JSON', () => {
    const { code, out } = run(['diff', 'configs/llama-7b.json', 'configs/llama-7b.json', '--format', 'json']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      version: 1,
      comparisons: [{ status: 'unchanged' }],
      verdict: { outcome: 'pass', findings: [] },
    });
  });

  it('compares git revisions and the working tree, whatever the files are called', () => {
    const folder = mkdtempSync(join(tmpdir(), 'git-'));
    const git = (...words: string[]) =>
      execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...words]);
    git('init', '-q', '-b', 'main');
    writeFileSync(join(folder, 'a "b" ü.json'), config());
    git('add', '.');
    git('commit', '-qm', 'base');
    git('checkout', '-qb', 'feature');
    writeFileSync(join(folder, 'a "b" ü.json'), config({ num_hidden_layers: 80 }));
    git('commit', '-qam', 'head');
    const { code, out } = run(['diff', '--base', 'main', '--head', 'feature', '--format', 'json'], folder);
    expect(code).toBe(1);
    expect(JSON.parse(out).comparisons).toMatchObject([{ path: 'a "b" ü.json', status: 'changed' }]);
    writeFileSync(join(folder, 'new.json'), config());
    expect(JSON.parse(run(['diff', '--base', 'main', '--format', 'json'], folder).out).comparisons).toHaveLength(2);
    expect(run(['diff', '--base', 'nowhere'], folder)).toMatchObject({ code: 2, out: '' });
    expect(run(['diff', '--base=--output=x'], folder).err).toContain('is no git revision');
  });
});

describe('mfu', () => {
  it('divides training FLOPs by the peak', () => {
    const { code, out } = run([
      'mfu',
      'configs/llama-7b.json',
      '--accelerator',
      'a100-sxm-80gb',
      '--gpus',
      '8',
      '--sequence-length',
      '2048',
      '--tokens-per-second',
      '45,000',
    ]);
    expect(code).toBe(0);
    expect(out).toContain('MFU 74.4 %');
  });
});

describe('list', () => {
  it.each([
    ['accelerators', 'h100-sxm-80gb'],
    ['families', 'deepseek_v3'],
    ['formats', 'huggingface'],
  ])('%s', (what, expected) => {
    expect(run(['list', what]).out).toContain(expected);
    expect(Array.isArray(JSON.parse(run(['list', what, '--format', 'json']).out))).toBe(true);
  });
});

describe('wrong usage is one sentence and exit code 2', () => {
  it.each([
    [['reprot', 'x'], 'Did you mean "report"?'],
    [['report'], 'report needs a config'],
    [['report', 'missing.json'], 'there is no such file'],
    [['report', 'configs'], 'is a folder'],
    [['report', 'configs/llama-7b.json', '--acelerator', 'x'], 'Did you mean "accelerator"?'],
    [['report', 'configs/llama-7b.json', '--accelerator', 'h100'], 'not in the table'],
    [['report', 'configs/llama-7b.json', '--gpus', 'many'], 'whole number'],
    [['report', 'configs/llama-7b.json', '--run', 'missing.yml'], 'there is no such file'],
    [['report', 'configs/llama-7b.json', '--format', 'xml'], 'must be text, markdown or json'],
    [['report', 'configs/llama-7b.json', '--tokens', 'lots'], 'must be a count'],
    [['diff', 'a.json'], 'diff needs two files'],
    [['mfu', 'configs/llama-7b.json'], '--tokens-per-second'],
    [['list', 'things'], 'list what?'],
  ])('%j', (words, sentence) => {
    const { code, out, err } = run(words);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain(sentence);
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  it('helps', () => {
    expect(run(['--help'])).toMatchObject({ code: 0, err: '' });
    expect(run([]).out).toContain('model-cost report CONFIG');
    expect(run(['--version']).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
