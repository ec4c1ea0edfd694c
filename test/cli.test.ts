import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cli, folder, repository, root, run } from './command.ts';
import { config } from './states.ts';

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

  it('reads a published model by its name, and says whose sizes it takes', () => {
    const { code, out, err } = run(['report', 'meta-llama/Llama-3.1-8B', '--format', 'json'], folder());
    expect(code).toBe(0);
    expect(err).toContain(
      'meta-llama/Llama-3.1-8B is a published model of the catalogue; its sizes are those of config.json of',
    );
    expect(JSON.parse(out).reports[0]).toMatchObject({
      path: 'meta-llama/Llama-3.1-8B',
      family: 'llama',
      parameters: { total: 8_030_261_248 },
    });
  });

  it('takes a file for a file, though a published model has its name', () => {
    const where = folder();
    writeFileSync(join(where, 'gpt2'), config({}));
    const { code, out, err } = run(['report', 'gpt2', '--format', 'json'], where);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out).reports[0].family).toBe('llama');
  });

  it('reads the config.json of a folder', () => {
    const where = folder();
    mkdirSync(join(where, 'model'));
    writeFileSync(join(where, 'model', 'config.json'), config({}));
    const { code, out, err } = run(['report', 'model', '--format', 'json'], where);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out).reports[0].path).toBe(join('model', 'config.json'));
  });

  it('reads every config below a folder that has no config.json, and passes over what is none', () => {
    const where = folder();
    mkdirSync(join(where, 'models', 'deep'), { recursive: true });
    writeFileSync(join(where, 'models', 'one.json'), config({}));
    writeFileSync(join(where, 'models', 'deep', 'two.json'), config({ num_hidden_layers: 2 }));
    writeFileSync(join(where, 'models', 'package.json'), '{"name": "x"}');
    writeFileSync(join(where, 'models', 'notes.md'), 'text');
    const { code, out, err } = run(['report', 'models', '--format', 'json'], where);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const paths = JSON.parse(out).reports.map(({ path }: { path: string }) => path);
    expect(paths).toEqual([join('models', 'deep', 'two.json'), join('models', 'one.json')]);
    writeFileSync(join(where, 'models', 'broken.json'), '{"model_type": "llama",');
    const broken = run(['report', 'models'], where);
    expect(broken.code).toBe(1);
    expect(broken.err).toContain('broken.json');
    const [heading, ...lines] = broken.out.split('\n');
    expect(heading).toMatch(/^Config +Memory per GPU +Parameters /);
    expect(lines.slice(0, 3).map((line) => line.split(/ {2,}/).slice(0, 2))).toEqual([
      [join('models', 'broken.json'), 'could not be read'],
      [join('models', 'deep', 'two.json'), expect.stringMatching(/ GiB$/)],
      [join('models', 'one.json'), expect.stringMatching(/ GiB$/)],
    ]);
    expect(broken.out.match(/Does it fit\?/g)).toHaveLength(2);
    mkdirSync(join(where, 'empty'));
    expect(run(['report', 'empty'], where)).toMatchObject({ code: 2, out: '' });
  });

  it('calls nothing approximate of which it has no figure', () => {
    const where = folder();
    writeFileSync(
      join(where, 'base.json'),
      JSON.stringify({ ...JSON.parse(config({})), model_type: 'nobody_knows_it' }),
    );
    writeFileSync(join(where, 'head.json'), '{"model_type": "llama",');
    expect(run(['diff', 'base.json', 'head.json'], where).out).toMatch(/^head\.json \(was base\.json\): unreadable$/m);
  });

  it('has a line for each of more than ten configs, and says where the rest is', () => {
    const { out } = run(['report', 'configs']);
    expect(out).toMatch(/^configs\/llama-7b\.json +20\.15 GiB +6\.74 B /m);
    expect(out).toContain('report CONFIG shows all of one');
    expect(out).not.toContain('Does it fit?');
  });

  it('matches a pattern that the shell left alone', () => {
    const where = folder();
    mkdirSync(join(where, 'models', 'deep'), { recursive: true });
    writeFileSync(join(where, 'models', 'one.json'), config({}));
    writeFileSync(join(where, 'models', 'deep', 'two.json'), config({}));
    const paths = (pattern: string, cwd = where) =>
      JSON.parse(run(['report', pattern, '--format', 'json'], cwd).out).reports.map(
        ({ path }: { path: string }) => path,
      );
    expect(paths('models/*.json')).toEqual([join('models', 'one.json')]);
    expect(paths('**/*.json')).toHaveLength(2);
    expect(paths('../*.json', join(where, 'models', 'deep'))).toEqual([join('..', 'one.json')]);
    const none = run(['report', 'models/*.toml'], where);
    expect(none).toMatchObject({ code: 2, out: '' });
    expect(none.err).toContain('no file matches it');
  });

  it('reads standard input', () => {
    const { code, out, err } = run(['report', '-', '--format', 'json'], root, config({}));
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out).reports[0]).toMatchObject({ path: '-', family: 'llama' });
    const words = ['report', 'configs/llama-7b.json', '--run', '-', '--format', 'json'];
    expect(JSON.parse(run(words, root, 'gpus: 16\n').out).reports[0].run.gpus).toBe(16);
    expect(run(['report', '-', '--run', '-'], root, config({})).err).toContain('read only once');
    expect(run(['report', '-'], root, '').code).toBe(2);
  });

  it('takes the page of a model for its name, and downloads nothing', () => {
    const { code, err } = run(['report', 'https://huggingface.co/meta-llama/Llama-3.1-8B/tree/main']);
    expect(code).toBe(0);
    expect(err).toContain('meta-llama/Llama-3.1-8B is a published model');
    expect(run(['report', 'https://example.org/config.json']).err).toContain('nothing is downloaded');
  });

  it('lists the catalogue with counts', () => {
    const { code, out, err } = run(['list', 'models', '--format', 'json']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const rows: { name: string; parameters: number; active: number; source: string }[] = JSON.parse(out);
    expect(rows.length).toBeGreaterThan(900);
    expect(rows.find(({ name }) => name === 'mistralai/Mixtral-8x7B-v0.1')).toMatchObject({
      parameters: 46_702_792_704,
      active: 12_879_925_248,
    });
    expect(run(['list', 'models']).out).toMatch(/^torchtitan:llama3\/70B +70,553,706,496 /m);
  });

  it('compares two published models', () => {
    const { code, out } = run(['diff', 'Qwen/Qwen3-0.6B', 'Qwen/Qwen3-0.6B-Base', '--format', 'json']);
    expect(code).toBe(0);
    expect(JSON.parse(out).verdict.outcome).toBe('pass');
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
    const { out } = run(['report', 'configs/llama-7b.json', '--format', 'markdown']);
    expect(out).toMatch(/^## Model cost: 1 config\n/);
    expect(out).toContain('| `configs/llama-7b.json` | Value |');
    const page = run(['report', 'configs/llama-7b.json', '--format', 'html']).out;
    expect(page).toMatch(/^<!doctype html>\n/);
    expect(page).toContain('<h1>Model cost: 1 config</h1>');
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

  it('goes on past a config that cannot be read, and does not pass', () => {
    const { code, out, err } = run(['report', 'missing.json', 'configs/llama-7b.json', 'package.json']);
    expect(code).toBe(1);
    expect(out).toContain('6,738,415,616');
    expect(out).toContain('verdict: fail');
    expect(err).toContain('missing.json: there is no such file.');
    expect(err).toContain('package.json: The file is not one of the model configs');
  });

  it('is a check where a budget is named', () => {
    const words = ['report', 'configs/llama-7b.json', '--memory-budget'];
    const over = run([...words, '1GB']);
    expect(over.code).toBe(1);
    expect(over.out).toContain('limit 0.93 GiB');
    expect(over.out).toContain('verdict: fail');
    expect(run([...words, '100TB'])).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(run([...words, '1GB', '--format', 'json']).out).verdict).toMatchObject({
      outcome: 'fail',
      findings: [{ code: 'memory-over-budget', limit: 1e9 }],
    });
  });

  it('prints nothing of a config that a terminal would obey', () => {
    const name = join(folder(), 'a\u001b[31mb.json');
    writeFileSync(name, config({ model_type: 'x\u001b]0;owned\u0007\u009b31m\u202e' }));
    for (const format of ['text', 'markdown', 'json']) {
      const { code, out, err } = run(['report', name, '--format', format]);
      expect(code).toBe(0);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      expect(out + err).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    }
    expect(JSON.parse(run(['report', name, '--format', 'json']).out).reports[0].path).toBe(name);
  });

  it.each([
    ['an endless nesting', '['.repeat(200_000)],
    ['no text', '\u0000\u0001\u0002'],
    ['nothing', ''],
    ['a number out of range', config({ hidden_size: 1e300 })],
    ['layers without end', config({ num_hidden_layers: 2 ** 53 })],
    ['a prototype', '{"__proto__": {"model_type": "llama"}}'],
  ])('survives %s', (_, text) => {
    const name = join(folder(), 'config.json');
    writeFileSync(name, text);
    const { code, out, err } = run(['report', name]);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(err).not.toMatch(/\bat .*:\d+:\d+/);
  });

  it('is content with a reader that closes early', async () => {
    const child = spawn(process.execPath, [cli, 'report', ...Array(40).fill('configs/llama-7b.json'), '-f', 'json'], {
      cwd: root,
    });
    child.stdout.once('data', () => child.stdout.destroy());
    let err = '';
    child.stderr.on('data', (text) => {
      err += text;
    });
    const [code] = await once(child, 'close');
    expect({ code, err }).toEqual({ code: 0, err: '' });
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
    const names = ['a "b" ü.json', 'new\nline.json', '-dash.json', ':(glob)*.json'];
    const { where, git } = repository(Object.fromEntries(names.map((name) => [name, config()])));
    for (const name of names) writeFileSync(join(where, name), config({ num_hidden_layers: 400 }));
    git('commit', '-qam', 'head');
    const words = ['diff', '--base', 'main', '--head', 'feature', '--format', 'json', '--memory-budget', '100%'];
    const { code, out, err } = run(words, where);
    expect({ code, err }).toEqual({ code: 1, err: '' });
    const { comparisons } = JSON.parse(out);
    expect(comparisons.map(({ path }: { path: string }) => path).sort()).toEqual([...names].sort());
    for (const one of comparisons) expect(one).toMatchObject({ status: 'changed', head: { family: 'llama' } });
    mkdirSync(join(where, 'deep'));
    writeFileSync(join(where, 'deep/new.json'), config());
    const tree = JSON.parse(run(['diff', '--base', 'main', '--format', 'json'], join(where, 'deep')).out).comparisons;
    expect(tree).toHaveLength(names.length + 1);
    expect(tree).toContainEqual(expect.objectContaining({ path: 'deep/new.json', status: 'added' }));
  });

  it('only warns where nobody stated a budget or how the model is trained', () => {
    const where = folder();
    writeFileSync(join(where, 'large.json'), config({ num_hidden_layers: 400 }));
    const words = ['diff', 'configs/llama-7b.json', join(where, 'large.json')];
    const unstated = run([...words, '--accelerator', 'h100-sxm-80gb', '--gpus', '8']);
    expect(unstated.code).toBe(0);
    expect(unstated.out).toContain('Nobody said how this model is trained, so the run is assumed');
    expect(unstated.out).toContain('verdict: warn');
    for (const stated of [
      ['--memory-budget', '100%'],
      ['--micro-batch-size', '1'],
    ]) {
      const { code, out } = run([...words, ...stated]);
      expect(code).toBe(1);
      expect(out).not.toContain('Nobody said');
    }
  });

  it('takes a run for each of two files, and shows the fields that differ', () => {
    const where = folder();
    writeFileSync(join(where, 'one.yml'), 'framework: megatron\nmicro_batch_size: 1\n');
    writeFileSync(join(where, 'two.yml'), 'framework: megatron\nmicro_batch_size: 8\nprice_per_gpu_hour: 4\n');
    const words = ['diff', 'configs/llama-7b.json', 'configs/llama-7b.json', '--memory-budget', '72GiB'];
    const both = ['--base-run', join(where, 'one.yml'), '--head-run', join(where, 'two.yml')];
    const { code, out } = run([...words, ...both]);
    expect(code).toBe(1);
    expect(out).toMatch(/^ {4}micro_batch_size 1 -> 8 +\+61\.99 GiB/m);
    expect(out).toMatch(/^ {4}price_per_gpu_hour absent -> 4 +0 /m);
    expect(out).toContain('This change takes memory per GPU over the budget.');
    const one = [...words, '--run', join(where, 'one.yml')];
    expect(run(one)).toMatchObject({ code: 0 });
    expect(run([...one, '--head-run', join(where, 'two.yml')]).out).toMatch(/^ {4}micro_batch_size 1 -> 8 /m);
    writeFileSync(join(where, 'two.yml'), 'micro_batch: 8\n');
    expect(run([...words, ...both])).toMatchObject({ code: 2, out: '' });
  });

  it('reads a run description that the repository holds from both sides, and any other as it is', () => {
    const { where, git } = repository({ 'config.json': config(), 'run.yml': 'micro_batch_size: 1\n' });
    writeFileSync(join(where, 'run.yml'), 'micro_batch_size: 8\n');
    mkdirSync(join(where, 'deep'));
    const words = ['diff', '--base', 'main', '--run', '../run.yml'];
    const tree = run(words, join(where, 'deep'));
    expect(tree.code).toBe(1);
    expect(tree.out).toContain('config.json: changed');
    expect(tree.out).toMatch(/^ {4}micro_batch_size 1 -> 8 /m);
    git('commit', '-qam', 'head');
    writeFileSync(join(where, 'run.yml'), 'micro_batch_size: 1\n');
    expect(run([...words, '--head', 'feature'], join(where, 'deep')).code).toBe(1);
    const own = join(folder(), 'own.yml');
    writeFileSync(own, 'micro_batch_size: 8\n');
    expect(run(['diff', '--base', 'main', '--run', own], where).out).toContain('No model config changed.');
    writeFileSync(join(where, 'new.yml'), 'micro_batch_size: 8\n');
    writeFileSync(join(where, 'config.json'), config({ intermediate_size: 11264 }));
    const added = run(['diff', '--base', 'main', '--run', 'new.yml'], where);
    expect(added.out).toContain('note: The run description new.yml does not exist at');
    expect(added.out).not.toContain('run: ');
    expect(run(['diff', '--base', 'main', '--run', 'gone.yml'], where)).toMatchObject({ code: 2, out: '' });
  });

  it('fails where the head breaks or removes the run description', () => {
    const { where, git } = repository({ 'config.json': config(), 'run.yml': 'micro_batch_size: 1\n' });
    writeFileSync(join(where, 'run.yml'), 'micro_batch: 1\n');
    const words = ['diff', '--base', 'main', '--run', 'run.yml'];
    expect(run(words, where)).toMatchObject({ code: 1 });
    git('rm', '-qf', 'run.yml');
    const { code, out } = run(words, where);
    expect(code).toBe(1);
    expect(out).toContain('The run description run.yml does not exist at working tree.');
  });

  it('shows what was added, removed and renamed, and compares with the merge base', () => {
    const gpt2 = readFileSync(join(root, 'configs/gpt2-xl.json'), 'utf8');
    const { where, git } = repository({ 'gone.json': gpt2, 'old.json': config() });
    git('rm', '-q', 'gone.json');
    git('mv', 'old.json', 'new.json');
    writeFileSync(join(where, 'added.json'), readFileSync(join(root, 'configs/gemma-2-9b.json')));
    git('add', '.');
    git('commit', '-qm', 'head');
    git('checkout', '-q', 'main');
    writeFileSync(join(where, 'later.json'), config());
    git('add', '.');
    git('commit', '-qm', 'the base moves on');
    const words = ['diff', '--base', 'main', '--head', 'feature', '--format', 'json', '--fail-on', 'never'];
    const { code, out } = run(words, where);
    expect(code).toBe(0);
    const rows = JSON.parse(out).comparisons.map((one: Record<string, unknown>) => [
      one['path'],
      one['status'],
      one['previous_path'],
    ]);
    expect(rows.sort()).toEqual([
      ['added.json', 'added', undefined],
      ['gone.json', 'removed', undefined],
      ['new.json', 'unchanged', 'old.json'],
    ]);
  });

  it('reads the working tree of a file that was moved and edited since', () => {
    const { where, git } = repository({ 'old.json': config() });
    git('mv', 'old.json', 'new.json');
    writeFileSync(join(where, 'new.json'), config({ intermediate_size: 11264 }));
    const { code, out } = run(['diff', '--base', 'main', '--format', 'json'], where);
    expect(code).toBe(0);
    expect(JSON.parse(out).comparisons).toMatchObject([
      { path: 'new.json', previous_path: 'old.json', status: 'changed', head: { family: 'llama' } },
    ]);
  });

  it('follows no link, and says so', () => {
    const { where, git } = repository({ 'config.json': config() });
    const secret = join(folder(), 'secret.json');
    writeFileSync(secret, config({ hidden_size: 1024 }));
    git('rm', '-q', 'config.json');
    symlinkSync(secret, join(where, 'config.json'));
    const tree = run(['diff', '--base', 'main'], where);
    git('add', '.');
    git('commit', '-qm', 'link');
    for (const { out } of [tree, run(['diff', '--base', 'main', '--head', 'feature'], where)]) {
      expect(out).toContain('symbolic link');
      expect(out).toContain('unreadable');
    }
  });

  it('says when no model config changed', () => {
    const { where } = repository({ 'config.json': config() });
    expect(run(['diff', '--base', 'main'], where)).toEqual({ code: 0, out: 'No model config changed.\n', err: '' });
  });

  it.each([
    [['--base', 'nowhere'], 'There is not a git revision "nowhere"'],
    [['--base=--output=x'], 'is not a git revision'],
    [['--base', 'main; touch x'], 'There is not a git revision'],
    [['--base', 'main', 'config.json'], 'either two files or --base'],
    [['--head', 'main'], '--head needs --base'],
    [['--base', 'alone'], 'no commit in common'],
  ])('%j is refused in one sentence', (words, sentence) => {
    const { where, git } = repository({ 'config.json': config() });
    git('checkout', '-q', '--orphan', 'alone');
    git('commit', '-qm', 'alone');
    git('checkout', '-q', 'feature');
    const { code, out, err } = run(['diff', ...words], where);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(sentence);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(existsSync(join(where, 'x'))).toBe(false);
  });

  it('fails where a named file cannot be read', () => {
    const broken = join(folder(), 'broken.json');
    writeFileSync(broken, '{"model_type": "llama",');
    const { code, out, err } = run(['diff', 'configs/llama-7b.json', broken]);
    expect(code).toBe(1);
    expect(out).toContain('verdict: fail');
    expect(err).toContain('is not valid JSON');
    for (const base of [broken, 'missing.json', 'package.json'])
      expect(run(['diff', base, 'configs/llama-7b.json'])).toMatchObject({ code: 2, out: '' });
    expect(run(['diff', 'configs/llama-7b.json', 'missing.json'])).toMatchObject({ code: 2, out: '' });
    const nothing = run(['diff', 'package.json', 'missing.json']);
    expect(nothing).toMatchObject({ code: 2, out: '' });
    expect(nothing.err).toContain('package.json: The file is not one of the model configs');
    expect(nothing.err).toContain('missing.json: there is no such file.');
  });
});

describe('a policy', () => {
  const name = '.github/model-cost.yml';
  const policy = (memory: string) => `version: 1\ndefaults: { budgets: { memory: ${memory} } }\n`;
  const withPolicy = (text: string) => {
    const made = repository({ 'config.json': config() });
    made.git('checkout', '-q', 'main');
    mkdirSync(join(made.where, '.github'));
    writeFileSync(join(made.where, name), text);
    made.git('add', '.');
    made.git('commit', '-qm', 'policy');
    made.git('checkout', '-q', '-B', 'feature');
    writeFileSync(join(made.where, 'config.json'), config({ intermediate_size: 11264 }));
    return made;
  };

  it('is read from the merge base, and its change shown', () => {
    const { where, git } = withPolicy(policy('10GiB'));
    writeFileSync(join(where, name), policy('900GiB'));
    for (const words of [
      ['diff', '--base', 'main'],
      ['diff', '--base', 'main', '--head', 'feature'],
    ]) {
      const { code, out, err } = run(words, where);
      expect({ code, err }).toEqual({ code: 1, err: '' });
      expect(out).toContain('note: This change edits .github/model-cost.yml.');
      expect(out).toContain('Under it the verdict would be pass, not fail.');
      git('commit', '-qam', 'head', '--allow-empty');
    }
    expect(run(['diff', '--base', 'main', '--memory-budget', '70GiB'], where).code).toBe(0);
  });

  it('makes a report a check, from the folder or by name', () => {
    const { where } = withPolicy(policy('10GiB'));
    expect(run(['report', 'config.json'], where)).toMatchObject({ code: 1, err: '' });
    writeFileSync(join(where, 'loose.yml'), policy('900GiB'));
    const loose = run(['report', 'config.json', '--policy', 'loose.yml'], where);
    expect(loose.code).toBe(0);
    expect(loose.out).toContain('verdict: pass');
  });

  it('is found from a folder within the repository, and its globs start at its root', () => {
    const { where } = withPolicy('version: 1\nconfigs: [{ match: models/*.json, budgets: { memory: 10GiB } }]\n');
    mkdirSync(join(where, 'models'));
    writeFileSync(join(where, 'models', 'one.json'), config());
    writeFileSync(join(where, 'models', 'two.json'), config({ num_hidden_layers: 33 }));
    const models = join(where, 'models');
    for (const words of [
      ['report', 'one.json'],
      ['report', 'one.json', '--policy', '../.github/model-cost.yml'],
      ['diff', 'one.json', 'two.json', '--fail-on', 'increase'],
    ]) {
      const { code, out } = run(words, models);
      expect(code).toBe(1);
      expect(out).toContain('limit 10.00 GiB');
    }
    expect(run(['diff', '--base', 'main', '--policy', '../.github/model-cost.yml'], models).out).toContain(
      'limit 10.00 GiB',
    );
  });

  it('that is not at the base yet can be tried', () => {
    const { where } = withPolicy(policy('900GiB'));
    writeFileSync(join(where, 'new.yml'), policy('10GiB'));
    const { code, out } = run(['diff', '--base', 'main', '--policy', 'new.yml'], where);
    expect(code).toBe(1);
    expect(out).toContain('The policy new.yml does not exist at');
  });

  it.each([
    [policy('lots'), 'defaults.budgets.memory is "lots"'],
    ['version: 1\ndefualts: {}\n', ':2: unknown key "defualts". Did you mean "defaults"?'],
  ])('that is broken is one sentence and exit code 2: %j', (text, sentence) => {
    const { where } = withPolicy(text);
    for (const words of [
      ['diff', '--base', 'main'],
      ['report', 'config.json'],
      ['diff', 'config.json', 'config.json'],
    ]) {
      const { code, out, err } = run(words, where);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toContain(sentence);
      expect(err.trim().split('\n')).toHaveLength(1);
    }
  });

  it('that does not exist is told', () => {
    const { where } = withPolicy(policy('10GiB'));
    for (const words of [
      ['report', 'config.json'],
      ['diff', '--base', 'main'],
    ])
      expect(run([...words, '--policy', 'missing.yml'], where)).toMatchObject({
        code: 2,
        err: 'model-cost: missing.yml: there is no such file.\n',
      });
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
    expect(out).not.toContain('More than the peak');
  });

  it('reads the files that a training file refers to', () => {
    const where = folder();
    mkdirSync(join(where, 'model'));
    writeFileSync(join(where, 'model', 'config.json'), config());
    const training = 'stage: sft\nfinetuning_type: full\nmodel_name_or_path: model\nper_device_train_batch_size: 1\n';
    writeFileSync(join(where, 'sft.yaml'), training);
    const { code, out, err } = run(['mfu', 'sft.yaml', '--tokens-per-second', '20000', '-f', 'json'], where);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out)).toMatchObject({ path: 'sft.yaml', mfu: expect.any(Number) });
  });

  it('says that no GPU works beyond its peak, and speaks JSON', () => {
    const words = ['mfu', 'configs/llama-7b.json', '--accelerator', 'a100-sxm-80gb', '--tokens-per-second', '450k'];
    expect(run(words).out).toContain('More than the peak');
    const found = JSON.parse(run([...words, '--format', 'json']).out);
    expect(found.peak_flops_per_second).toBe(8 * 312e12);
    expect(found.mfu).toBeCloseTo((found.training_flops_per_token * 450e3) / (8 * 312e12), 10);
  });
});

describe('what a reader sees', () => {
  const over = ['report', 'configs/llama-7b.json', '--memory-budget', '1GB'];

  it('colours the verdict where colours are wanted', () => {
    const red = run(over, root, '', { FORCE_COLOR: '1' });
    expect(red.out).toContain('\u001b[31mverdict: fail\u001b[0m');
    expect(run(over, root, '', { FORCE_COLOR: '1', NO_COLOR: '1' }).out).not.toContain('\u001b');
    expect(run([...over, '--format', 'json'], root, '', { FORCE_COLOR: '1' }).out).not.toContain('\u001b');
    const file = join(folder(), 'out.txt');
    run([...over, '--output', file], root, '', { FORCE_COLOR: '1' });
    expect(readFileSync(file, 'utf8')).not.toContain('\u001b');
  });

  it('says the verdict where the report goes to a file', () => {
    const file = join(folder(), 'out.txt');
    expect(run([...over, '-o', file])).toEqual({
      code: 1,
      out: '',
      err: `model-cost: verdict: fail; the report is in ${file}\n`,
    });
  });

  it('takes the only accelerator of a family by its name, and short options', () => {
    const { code, out } = run(['report', 'configs/llama-7b.json', '-a', 'h200', '-g', '16', '-t', '2T', '-f', 'json']);
    expect(code).toBe(0);
    expect(JSON.parse(out).reports[0].run).toMatchObject({ accelerator: 'h200-sxm-141gb', gpus: 16, tokens: 2e12 });
    expect(run(['-V']).out).toBe(run(['--version']).out);
    const file = join(folder(), 'run.yml');
    writeFileSync(file, 'accelerator: h100\n');
    expect(run(['report', 'configs/llama-7b.json', '-r', file]).err).toContain('or "h100-nvl-94gb"?');
  });

  it('shows in a comparison what is approximate, odd, and moved, with both numbers', () => {
    const where = folder();
    const old = { model_type: 'nobody_knows' };
    writeFileSync(join(where, 'old.json'), config(old));
    writeFileSync(
      join(where, 'new.json'),
      config({ ...old, num_hidden_layers: 30 }).replace('{', '{ "vocab_size": 1,'),
    );
    const { out } = run(['diff', 'old.json', 'new.json'], where);
    expect(out).toContain('changed (approximate)');
    expect(out).toMatch(/^ {2}warning \(line \d+\): .*vocab_size/m);
    expect(out).toMatch(/layers\.feed_forward\.gate +-90,177,536 {2}1,442,840,576 -> 1,352,663,040/);
    expect(out).toMatch(/where FLOPs per token moved\n.* -[\d.]+ MFLOPs {2}[\d.]+ GFLOPs -> [\d.]+ GFLOPs/);
  });

  it.each(['report', 'diff', 'mfu', 'plan', 'list'])(
    'helps with defaults and an example of %s that is taken',
    (command) => {
      const { out } = run([command, '--help']);
      const [, example = ''] = /^Examples: +model-cost (.*)$/m.exec(out) ?? [];
      expect(example.split(' ')[0]).toBe(command);
      expect(
        run(example.split(' ').map((word) => word.replace(/^config\.json$|^run\.yml$/, 'missing'))).err,
      ).not.toMatch(/takes no|There is no option|needs/);
      if (command !== 'list') expect(out).toContain('(default: h100-sxm-80gb;');
    },
  );
});

describe('plan', () => {
  const words = ['plan', 'configs/llama-7b.json', '--gpus', '8', '--accelerator', 'h100-sxm-80gb'];
  const few = ['--framework', 'megatron', '--fix', 'context=1', '--fix', 'micro_batch_size=1', '--fix', 'offload=none'];

  it('ranks what fits, and describes it so that a report of it says the same', () => {
    const { code, out } = run([...words, ...few, '--global-batch-size', '64', '--format', 'json']);
    expect(code).toBe(0);
    const { search, plans } = JSON.parse(out);
    expect(search).toMatchObject({ complete: true, stopped_by: null });
    const speeds = plans.map((plan: { tokens_per_second_per_gpu: number }) => plan.tokens_per_second_per_gpu);
    expect(speeds.slice(0, 10)).toEqual([...speeds.slice(0, 10)].sort((a: number, b: number) => b - a));
    const [fastest] = plans;
    expect(fastest.names).toContain('fastest');
    const file = join(mkdtempSync(join(tmpdir(), 'plan-')), 'run.yml');
    writeFileSync(file, fastest.description);
    const { reports } = JSON.parse(run(['report', 'configs/llama-7b.json', '--run', file, '--format', 'json']).out);
    const [{ memory, throughput }] = reports;
    expect(memory.device_bytes).toBe(fastest.memory_bytes);
    expect(throughput.tokens_per_second_per_gpu).toBeCloseTo(fastest.tokens_per_second_per_gpu, 6);
  });

  it('has a table, and says what was searched', () => {
    const { code, out } = run([...words, ...few]);
    expect(code).toBe(0);
    expect(out).toMatch(/runs divide and were looked at .* That is the whole space\./);
    expect(out).toMatch(/^fastest.* GiB ±/m);
    expect(out).toContain('parallelism:\n  tensor: ');
    expect(run([...words, ...few, '--format', 'markdown']).out).toContain('```yaml\n');
  });

  it('says so where nothing fits', () => {
    const { code, out } = run([...words, ...few, '--memory-budget', '1GiB']);
    expect(code).toBe(0);
    expect(out).toContain('Nothing fits. The smallest needs ');
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
    expect(run(['list', what, '--format', 'markdown']).out).toContain(`| ${expected} |`);
  });
});

describe('wrong usage is one sentence and exit code 2', () => {
  it.each([
    [['reprot', 'x'], 'Did you mean "report"?'],
    [['report'], 'report needs a config'],
    [['report', 'missing.json'], 'there is no such file'],
    [['report', 'test/github'], 'is a folder without a model config'],
    [['mfu', 'configs', '--tokens-per-second', '1k'], 'is a folder'],
    [
      ['report', 'meta-llama/Llama-3.1-9B'],
      'no such model in the catalogue; the nearest are meta-llama/Llama-3.1-8B, ',
    ],
    [['report', 'torchtitan:llama3/8c'], 'the nearest are torchtitan:llama3/8B'],
    [['report', '../../../../etc/no-such-file'], 'there is no such file'],
    [['report', '__proto__'], 'no such model in the catalogue'],
    [['report', '\u001b[31mred'], 'no such model in the catalogue'],
    [['report', 'configs/llama-7b.json', '--acelerator', 'x'], 'Did you mean "accelerator"?'],
    [
      ['report', 'configs/llama-7b.json', '--accelerator', 'h100'],
      'not in the table. Did you mean "h100-pcie-80gb", "h100-sxm-80gb" or "h100-nvl-94gb"?',
    ],
    [['report', 'configs/llama-7b.json', '--gpus', '-1'], '--gpus needs a value'],
    [['report', 'configs/llama-7b.json', '--memory-budget', '110%'], 'at most 100%'],
    [['report', 'configs/llama-7b.json', '--memory-budget', '72Gb'], 'must be an amount like 80GB'],
    [['report', 'configs/llama-7b.json', '--sequence-length', '8k'], 'write the number out'],
    [['report', 'configs/llama-7b.json', '--tokens', '15'], 'is no whole training'],
    [['diff', '--base', 'main..feature'], 'write --base main --head feature'],
    [['report', 'configs/llama-7b.json', '--gpus', 'many'], 'whole number'],
    [['report', 'configs/llama-7b.json', '--run', 'missing.yml'], 'there is no such file'],
    [['report', 'configs/llama-7b.json', '--format', 'xml'], 'must be text, markdown, json, html, csv or junit'],
    [['report', 'configs/llama-7b.json', '--tokens', 'lots'], 'must be a count'],
    [['diff', 'a.json'], 'diff needs two files'],
    [['mfu', 'configs/llama-7b.json'], '--tokens-per-second'],
    [['plan'], 'plan needs one config'],
    [['plan', 'configs/llama-7b.json', '--fix', 'tensor'], 'must be KEY=VALUE'],
    [['plan', 'configs/llama-7b.json', '--fix', 'tensr=2'], 'unknown key "tensr"'],
    [['plan', 'configs/llama-7b.json', '--framework', 'jax'], 'framework'],
    [['list', 'things'], 'Say what to list'],
    [['list', 'families', 'more'], 'Say what to list'],
    [['report', 'configs/llama-7b.json', '--base', 'main'], 'report takes no --base'],
    [['report', 'configs/llama-7b.json', '--memory-budget', 'much'], 'must be an amount like 80GB'],
    [['report', 'configs/llama-7b.json', '--run', 'configs/llama-7b.json'], 'unknown key "architectures"'],
    [['report', 'configs/llama-7b.json', '--output', 'missing/file'], 'there is no such folder'],
    [['report', 'configs/llama-7b.json', '--format'], 'argument missing'],
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
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(run(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });

  it.each(['report', 'diff', 'mfu', 'plan', 'list'])('helps with %s', (command) => {
    const { code, out } = run([command, '--help']);
    expect(code).toBe(0);
    expect(out).toContain(`model-cost ${command}`);
    expect(out.includes('--tokens-per-second')).toBe(command === 'mfu');
    expect(out.includes('--base REV')).toBe(command === 'diff');
    expect(run(['help', command]).out).toBe(out);
  });
});
