import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { cli, folder, repository, run, write } from '../command.ts';
import { config } from '../states.ts';

describe('a budget above the card', () => {
  const where = folder();
  write(where, { 'a.json': config(), 'big.json': config({ num_hidden_layers: 160 }) });
  const judged = (path: string, budget: string, format: string) =>
    run(
      ['report', path, '--accelerator', 'h100-sxm-80gb', '--gpus', '8', '--memory-budget', budget, '-f', format],
      where,
    );
  const findings = (path: string, budget: string) => {
    const { code, out } = judged(path, budget, 'json');
    const { outcome, findings } = JSON.parse(out).verdict;
    return { code, outcome, codes: findings.map((one: { code: string }) => one.code) };
  };

  it('is a notice, whether the config fits the card or not, and moves no verdict', () => {
    expect(findings('a.json', '79GiB')).toEqual({ code: 0, outcome: 'pass', codes: [] });
    expect(findings('a.json', '80GiB')).toEqual({ code: 0, outcome: 'pass', codes: ['budget-above-card'] });
    expect(findings('big.json', '200GiB')).toEqual({ code: 0, outcome: 'pass', codes: ['budget-above-card'] });
    expect(findings('big.json', '80GiB')).toEqual({ code: 1, outcome: 'fail', codes: ['memory-over-budget'] });
  });

  it('says what a config that does not fit needs', () => {
    const said = "needs more than the accelerator's usable memory";
    expect(judged('big.json', '200GiB', 'text').out).toMatch(
      new RegExp(`^NOTICE big\\.json: .*${said}.*limit 79\\.10 GiB`, 'm'),
    );
    expect(judged('big.json', '200GiB', 'markdown').out).toContain(said);
    expect(judged('a.json', '80GiB', 'text').out).not.toContain(said);
  });
});

describe('a policy with several machines', () => {
  const machines = 'hardware: { pod: { accelerator: b200-sxm }, old: { accelerator: v100-sxm-32gb } }';
  const said = (rest: string, ...words: string[]) => {
    const where = folder();
    write(where, {
      'a.json': config(),
      'b.json': config(),
      '.github/model-cost.yml': `version: 1\n${machines}\n${rest}`,
    });
    return run(['report', 'a.json', 'b.json', ...words], where).out.match(/^note: .*$/gm);
  };

  it('says what was assumed where it names no usual one', () => {
    expect(said('')).toEqual([
      'note: The policy has the machines pod, old and no defaults.hardware, so h100-sxm-80gb was assumed for a.json and 1 more: name the usual machine there, or one in an entry of configs.',
    ]);
    expect(said('configs: [{ match: a.json, hardware: old }]\n')?.join()).toContain('was assumed for b.json:');
  });

  it('says nothing where one is meant', () => {
    expect(said('defaults: { hardware: pod }\n')).toBeNull();
    expect(said('configs: [{ match: "*.json", hardware: old }]\n')).toBeNull();
    expect(said('', '--accelerator', 'h100-sxm-80gb')).toBeNull();
  });
});

describe('what is wrong with a config', () => {
  it('is said with its line, on standard error and among the findings', () => {
    const where = folder();
    write(where, { 'a.json': config(), 'b.json': config({ hidden_size: -1 }) });
    const { code, out, err } = run(['diff', 'a.json', 'b.json'], where);
    expect(code).toBe(1);
    expect(out).toMatch(/^FAIL {3}b\.json:4: hidden_size must be/m);
    expect(err).toContain('b.json:4: hidden_size must be');
  });

  // A terminal that both streams go to, as `script` of Linux makes one.
  it.skipIf(process.platform !== 'linux')('is said once at a terminal', () => {
    const where = folder();
    write(where, { 'a.json': config(), 'b.json': config({ hidden_size: -1 }) });
    const said = (words: string) => {
      const command = `'${process.execPath}' '${cli}' ${words}`;
      return spawnSync('script', ['-qec', command, '/dev/null'], { cwd: where, encoding: 'utf8' }).stdout;
    };
    for (const words of ['diff a.json b.json', 'report a.json b.json'])
      expect(said(words).match(/hidden_size must be/g)).toHaveLength(1);
    expect(said('report b.json').match(/hidden_size must be/g)).toHaveLength(1);
  });

  it('is a finding where such a model does not run', () => {
    const where = folder();
    write(where, { 'a.json': config({ num_key_value_heads: 8 }), 'b.json': config({ num_key_value_heads: 7 }) });
    const { verdict } = JSON.parse(run(['diff', 'a.json', 'b.json', '-f', 'json'], where).out);
    expect(verdict).toMatchObject({
      outcome: 'warn',
      findings: [{ code: 'cannot-start', message: expect.stringContaining('such a model does not run') }],
    });
  });
});

describe('diff --base --configs', () => {
  it('looks only at what the globs name', () => {
    const { where, commit } = repository({ 'in/a.json': config(), 'out/b.json': config() });
    const wider = config({ intermediate_size: 12288 });
    commit('wider', { 'in/a.json': wider, 'in/draft.json': wider, 'out/b.json': wider });
    const words = ['diff', '--base', 'main', '--configs', 'in/**', '--configs', '!in/draft.json', '-f', 'json'];
    const { comparisons } = JSON.parse(run(words, where).out);
    expect(comparisons.map(({ path }: { path: string }) => path)).toEqual(['in/a.json']);
    expect(run(['diff', 'in/a.json', 'out/b.json', '--configs', '*'], where).err).toContain(
      '--configs needs --base REV.',
    );
  });
});
