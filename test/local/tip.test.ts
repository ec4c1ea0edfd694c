import { describe, expect, it } from 'vitest';
import { repository, run } from '../command.ts';
import { config } from '../states.ts';

const policy = (memory: string) => `version: 1\ndefaults: { budgets: { memory: ${memory} }, run: { gpus: 8 } }\n`;
const rules = '.github/model-cost.yml';

describe('diff --base of a branch that has moved on', () => {
  it('holds the change against the rules that the branch has now, and says which', () => {
    const { where, git, commit } = repository({ [rules]: policy('79GiB'), 'a.json': config() });
    commit('wider', { 'a.json': config({ intermediate_size: 12288 }) });
    expect(run(['diff', '--base', 'main'], where).code).toBe(0);
    git('checkout', '-q', 'main');
    const tip = commit('stricter', { [rules]: policy('20GiB') });
    git('checkout', '-q', 'feature');
    const { code, out } = run(['diff', '--base', 'main'], where);
    expect(code).toBe(1);
    expect(out).toContain(`This rule is of main at ${tip.slice(0, 12)}, and stricter than where this branch began.`);
    expect(out).toContain('20.00 GiB');
    expect(out).toContain(`${rules} has changed on main since this branch left it`);
  });

  it('cannot be relaxed by a branch that has dropped its rules', () => {
    const { where, git, commit } = repository({ [rules]: policy('20GiB'), 'a.json': config() });
    commit('wider', { 'a.json': config({ intermediate_size: 12288 }) });
    git('checkout', '-q', 'main');
    git('rm', '-q', rules);
    commit('no rules', {});
    git('checkout', '-q', 'feature');
    expect(run(['diff', '--base', 'main', '--fail-on', 'increase'], where).code).toBe(1);
  });

  it('judges the merge where both changed the same config', () => {
    const { where, git, commit } = repository({ [rules]: policy('30GiB'), 'a.json': config() });
    commit('wider', { 'a.json': config({ intermediate_size: 14336 }) });
    expect(run(['diff', '--base', 'main'], where).code).toBe(0);
    git('checkout', '-q', 'main');
    const tip = commit('deeper', { 'a.json': config({ num_hidden_layers: 48 }) });
    git('checkout', '-q', 'feature');
    const { code, out } = run(['diff', '--base', 'main', '--format', 'json'], where);
    const { verdict } = JSON.parse(out);
    expect(verdict.findings).toEqual([
      expect.objectContaining({ path: 'a.json', from: { what: 'merge', commit: tip } }),
    ]);
    expect(code).toBe(1);
  });

  it('looks at what only the rules of now name', () => {
    const { where, git, commit } = repository({ 'model.txt': config(), 'b.json': config() });
    commit('wider', { 'model.txt': config({ intermediate_size: 12288 }) });
    git('checkout', '-q', 'main');
    commit('named', { [rules]: 'version: 1\nconfigs: [{ match: model.txt, budgets: { memory: 10GiB } }]\n' });
    git('checkout', '-q', 'feature');
    const { code, out } = run(['diff', '--base', 'main'], where);
    expect(out).toContain('model.txt');
    expect(code).toBe(1);
  });

  it('says that a policy under another ending is not read', () => {
    const { where, commit } = repository({ '.github/model-cost.yaml': policy('1GiB'), 'a.json': config() });
    commit('wider', { 'a.json': config({ intermediate_size: 12288 }) });
    const sentence = '.github/model-cost.yaml is not read, so no policy holds: rename it to .github/model-cost.yml';
    expect(run(['diff', '--base', 'main'], where).out).toContain(sentence);
    expect(run(['report', 'a.json'], where).err).toContain(sentence);
  });

  it('keeps what options say of the run for the rules that a change proposes', () => {
    const { where, commit } = repository({ [rules]: policy('70GiB'), 'a.json': config() });
    commit('both', { [rules]: policy('71GiB'), 'a.json': config({ intermediate_size: 11520 }) });
    const words = ['diff', '--base', 'main', '--format', 'json'];
    const long = JSON.parse(run([...words, '--sequence-length', '131072'], where).out);
    expect(long.verdict.outcome).toBe('fail');
    expect(long.notes.join(' ')).toContain('the verdict would be fail too.');
  });
});
