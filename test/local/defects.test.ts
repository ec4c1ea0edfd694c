import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { cli, folder, repository, run, write } from '../command.ts';
import { config } from '../states.ts';

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
