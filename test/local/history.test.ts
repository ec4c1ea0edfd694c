import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { historySchema } from '../../src/report/history-schema.ts';
import { folder, repository, run, write } from '../command.ts';
import { config } from '../states.ts';

const rules = '.github/model-cost.yml';
const policy = (run: string) => `version: 1\ndefaults: { run: { ${run} } }\n`;

/** What `history --format json` says, held against its schema. */
const historyOf = (where: string, ...words: string[]) => {
  const { code, out, err } = run(['history', ...words, '-f', 'json'], where);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return historySchema.strict().parse(JSON.parse(out));
};

/** A repository whose config grows, moves, breaks and is mended, and whose policy says how it is trained. */
function grown() {
  const { where, git, commit } = repository({ 'm.json': config({ num_hidden_layers: 4 }) });
  commit('deeper', { 'm.json': config({ num_hidden_layers: 6 }) });
  git('mv', 'm.json', 'n.json');
  commit('moved', { 'n.json': config({ num_hidden_layers: 6, intermediate_size: 12288 }) });
  commit('broken', { 'n.json': '{' });
  commit('mended', { 'n.json': config({ num_hidden_layers: 6, intermediate_size: 12288 }) });
  commit('more gpus', { [rules]: policy('gpus: 64') });
  commit('wrong', { [rules]: policy('gpu: 64') });
  commit('a word', { [rules]: policy('gpus: 64'), 'README.md': 'text' });
  commit('nothing of it', { [rules]: `# a word\n${policy('gpus: 64')}`, 'other.json': config() });
  return { where, git, commit };
}

describe('history', () => {
  const { where } = grown();
  const { commits } = historyOf(where, 'n.json');
  const at = (subject: string) => commits.find((one) => one.subject === subject);

  it('has a row for each commit that changed the config or the policy, oldest first, under the name of its time', () => {
    expect(commits.map(({ subject, path, changed }) => [subject, path, changed])).toEqual([
      ['base', 'm.json', true],
      ['deeper', 'm.json', true],
      ['moved', 'n.json', true],
      ['broken', 'n.json', true],
      ['mended', 'n.json', true],
      ['more gpus', 'n.json', true],
      ['wrong', 'n.json', true],
      ['a word', 'n.json', true],
      ['nothing of it', 'n.json', false],
    ]);
  });

  it('says what each commit changed, and by what figures', () => {
    expect(at('deeper')?.fields).toMatchObject([{ path: 'num_hidden_layers', before: '4', after: '6' }]);
    expect(at('more gpus')?.fields).toMatchObject([{ origin: 'run', path: 'gpus', before: '8', after: '64' }]);
    const report = JSON.parse(run(['report', 'n.json', '-f', 'json'], where).out).reports[0];
    expect(commits.at(-1)?.metrics).toMatchObject({
      parameters: report.parameters.total,
      memory: report.memory.device_bytes,
      mfu: report.throughput.mfu,
      training_cost: report.throughput.training.cost_usd,
    });
  });

  it('has a row that says so where the job or its run cannot be read', () => {
    expect(at('broken')?.problem).toContain('is not valid JSON');
    expect(at('wrong')?.problem).toContain('unknown key "gpu"');
    expect(at('broken')?.metrics['memory']).toBeNull();
    const { out } = run(['history', 'n.json'], where);
    expect(out).toContain('The file is not valid JSON');
    expect(out).toContain('1 commit touched a file of this job and changed nothing of it');
    expect(out).toMatch(/Memory per GPU {2}[▁-█]+·[▁-█]+·[▁-█] {2}/);
  });

  it('begins at a revision, with what stood there', () => {
    const since = historyOf(where, 'n.json', '--since', 'HEAD~2');
    expect(since.commits.map(({ subject }) => subject)).toEqual(['wrong', 'a word', 'nothing of it']);
    const until = historyOf(where, 'm.json', '--head', 'HEAD~7');
    expect(until.commits.map(({ subject }) => subject)).toEqual(['base', 'deeper']);
  });

  it('takes one run for all commits from the command line', () => {
    write(where, { 'run.yml': 'gpus: 16\n' });
    const same = historyOf(where, 'n.json', '--run', 'run.yml');
    expect(new Set(same.commits.flatMap(({ run }) => (run === null ? [] : [run['gpus']])))).toEqual(new Set([16]));
  });

  it('follows the files that a training file refers to', () => {
    const training = 'stage: sft\nfinetuning_type: full\nmodel_name_or_path: model\nper_device_train_batch_size: 1\n';
    const { where, commit } = repository({
      'sft.yaml': training,
      'model/config.json': config({ num_hidden_layers: 4 }),
    });
    commit('deeper', { 'model/config.json': config({ num_hidden_layers: 8 }) });
    const { commits } = historyOf(where, 'sft.yaml');
    expect(commits.map(({ subject }) => subject)).toEqual(['base', 'deeper']);
    expect(commits[1]?.metrics['parameters']).toBeGreaterThan(commits[0]?.metrics['parameters'] ?? Number.NaN);
  });

  it('writes nothing that a reader would obey: markdown, a spreadsheet, a terminal', () => {
    const { where, commit } = repository({ 'm.json': config() });
    commit('=HYPERLINK("x") | <b>@team</b> \u001b[31m', { 'm.json': config({ num_hidden_layers: 30 }) });
    const csv = run(['history', 'm.json', '-f', 'csv'], where).out.split('\r\n');
    expect(csv).toHaveLength(4);
    expect(csv[2]).toContain(`"'=HYPERLINK(""x"") |`);
    const markdown = run(['history', 'm.json', '-f', 'markdown'], where).out;
    expect(markdown).toContain('`=HYPERLINK("x") \\| <b>@team</b>');
    expect(markdown).toMatch(
      /```mermaid\nxychart-beta\n.*\n {2}x-axis \["[0-9a-f]{7}", "[0-9a-f]{7}"\]\n {2}line \[[\d., ]+\]\n```/,
    );
    expect(run(['history', 'm.json'], where).out).not.toContain('\u001b');
  });

  it('reads the newest 200 commits, and says how many are older', () => {
    const { where } = repository({ 'm.json': config() });
    const stream = Array.from({ length: 204 }, (_, index) => {
      const text = config({ num_hidden_layers: 2 + (index % 2) });
      const from = index === 0 ? 'from refs/heads/feature^0\n' : '';
      const who = `committer t <t@example.org> ${1_700_000_000 + index} +0000`;
      return `commit refs/heads/feature\n${who}\ndata 1\nx\n${from}M 644 inline m.json\ndata ${text.length}\n${text}\n`;
    });
    execFileSync('git', ['-C', where, 'fast-import', '--quiet'], { input: stream.join('') });
    const { commits, notes } = historyOf(where, 'm.json');
    expect(commits).toHaveLength(200);
    expect(notes).toEqual([expect.stringMatching(/^5 older commits were not read/)]);
  });

  it.each([
    [['history'], /needs one config/],
    [['history', 'missing.json'], /no commit of this repository has such a file|does not exist/],
    [['history', 'n.json', '--since', 'nowhere'], /not a git revision "nowhere"/],
    [['history', 'n.json', '--gpus', 'many'], /--gpus is "many"/],
    [['history', '/etc/passwd'], /not a file of this repository/],
    [['history', 'n.json', '-f', 'junit'], /must be text, markdown, json or csv/],
  ])('%j is wrong', (words, sentence) => {
    const { code, out, err } = run(words, where);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(sentence);
  });

  it('needs a repository', () => {
    expect(run(['history', 'n.json'], folder())).toMatchObject({ code: 2, out: '' });
  });
});
