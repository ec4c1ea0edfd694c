import { describe, expect, it } from 'vitest';
import { runAction } from '../action.ts';
import type { State } from '../github-server.ts';
import type { Tree } from '../repository.ts';
import { config, pullRequest, sha } from '../states.ts';
import { path, stage } from './stage.ts';

const start = stage();
const wider = { [path]: config({ intermediate_size: 11264 }) };
const deeper = config({ num_hidden_layers: 80 });

describe('what the head is compared with', () => {
  it('is the merge base, and both commits are shown, though the base branch has moved on', async () => {
    const state = pullRequest({ [path]: config() }, wider);
    state.commits[sha('c')] = { [path]: config({ num_hidden_layers: 16 }) };
    const server = await start(state);
    const ran = await runAction(server);
    const body = server.state.comments[0]?.body ?? '';
    expect(body).toContain('Compared `aaaaaaaaaaaa` (merge base with main) with `bbbbbbbbbbbb` (wider)');
    expect(body).toContain('`intermediate_size`: `11008` →\u00a0`11264`');
    expect(body).not.toContain('num_hidden_layers');
    expect(ran.outputs).toMatchObject({ 'base-sha': sha('a'), 'head-sha': sha('b') });
  });

  it('is found from the branch as it is now, not from the tip that GitHub remembers', async () => {
    // The branch took in main (c) after the tip that is stored with the pull request (a).
    const state = pullRequest({ [path]: config() }, { ...wider, 'moved-on.json': config({ num_hidden_layers: 2 }) });
    state.parents[sha('b')] = [sha('a'), sha('c')];
    state.pull.base = sha('a');
    const server = await start(state);
    const ran = await runAction(server);
    expect(ran.outputs).toMatchObject({ 'base-sha': sha('c'), changed: '1' });
    expect(server.state.comments[0]?.body).not.toContain('moved-on');
  });

  it('follows a pull request to its new base: a stacked one shows its own change only', async () => {
    // main (a) <- first (b): deeper <- second (d): wider too.
    const state = pullRequest({ [path]: config() }, { [path]: deeper });
    state.commits[sha('d')] = { [path]: config({ num_hidden_layers: 80, intermediate_size: 11264 }) };
    state.parents[sha('d')] = [sha('b')];
    state.branches['second'] = sha('d');
    Object.assign(state.pull, { head: sha('d'), headRef: 'second' });
    const server = await start(state);
    const onMain = await runAction(server);
    expect(onMain.outputs['base-sha']).toBe(sha('a'));
    expect(onMain.code).toBe(1);
    Object.assign(server.state.pull, { baseRef: 'wider', base: sha('b') });
    const retargeted = await runAction(server);
    expect(retargeted.outputs).toMatchObject({ 'base-sha': sha('b'), 'comment-status': 'updated' });
    expect(server.state.comments[0]?.body).toContain('merge base with wider');
    expect(server.state.comments[0]?.body).not.toContain('`num_hidden_layers`');
  });

  it('is the tip or a commit where the user wants that, and then all that differs counts', async () => {
    const state = pullRequest({ [path]: config() }, wider);
    state.commits[sha('c')] = { [path]: config(), 'b.json': config({ num_hidden_layers: 2 }) };
    state.commits[sha('e')] = { [path]: config({ intermediate_size: 8192 }) };
    const server = await start(state);
    const tip = await runAction(server, { baseline: 'base-tip' });
    expect(tip.outputs).toMatchObject({ 'base-sha': sha('c'), changed: '2' });
    server.state.parents[sha('a')] = [sha('e')];
    const commit = await runAction(server, { baseline: sha('e').slice(0, 12) });
    expect(commit.outputs).toMatchObject({ 'base-sha': sha('e'), changed: '1' });
    expect(server.state.comments[0]?.body).toContain('`8192` →\u00a0`11264`');
  });

  it('is named where there is none', async () => {
    const server = await start(pullRequest({ [path]: config() }, wider, { parents: {} }));
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(ran.log).toContain('have no history in common, so there is no merge base; set baseline to base-tip');
    expect((await runAction(server, { baseline: 'base-tip' })).outputs['verdict']).toBe('pass');
  });

  it('stays what it was for a re-run after the merge, and the comment stays too', async () => {
    const state = pullRequest({ [path]: config() }, wider);
    const server = await start(state);
    await runAction(server);
    const before = server.state.comments[0]?.body;
    server.state.pull.state = 'closed';
    server.state.branches['main'] = sha('b');
    server.state.commits[sha('b')] = { [path]: deeper };
    const again = await runAction(server);
    expect(again.outputs).toMatchObject({ 'base-sha': sha('a'), 'comment-status': 'skipped' });
    expect(again.log).toContain('the pull request is closed');
    expect(server.state.comments[0]?.body).toBe(before);
  });

  it('works where the fork was deleted, on a draft, and from a fork', async () => {
    const server = await start(pullRequest({ [path]: config() }, wider));
    Object.assign(server.state.pull, { headRepository: null, draft: true });
    expect((await runAction(server)).outputs).toMatchObject({ verdict: 'pass', 'comment-status': 'created' });
  });
});

describe('the name of the base branch in the event', () => {
  const budget = (memory: string) => ({
    '.github/model-cost.yml': `version: 1\ndefaults: { budgets: { memory: ${memory} } }\n`,
  });
  const event = (ref: string) => ({
    name: 'pull_request',
    payload: { pull_request: { number: 7, head: { sha: sha('b') }, base: { ref } } },
  });
  /** What `main` allows is exceeded; the commit e, which is no tip of it, has no policy and the change already. */
  const strict = () => {
    const state = pullRequest({ [path]: config(), ...budget('60GiB') }, { [path]: deeper, ...budget('60GiB') });
    state.commits[sha('e')] = { [path]: deeper };
    state.parents[sha('b')] = [sha('a'), sha('e')];
    return state;
  };

  it.each([
    [
      'of another branch, as in an event from before the pull request was retargeted',
      { branches: { old: sha('e') } },
      'old',
    ],
    ['of a branch that is gone', {}, 'old'],
    ['of a tag, too', { tagged: { main: sha('e') } }, 'main'],
  ])('leads to no other base: %s', async (_, { branches = {}, ...changes }: Partial<State>, ref) => {
    const state = { ...strict(), ...changes };
    Object.assign(state.branches, branches);
    const ran = await runAction(await start(state), {}, event(ref));
    expect(ran.code).toBe(1);
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'base-sha': sha('a') });
  });

  it('leads to none that the branch left while the run began', async () => {
    const state = strict();
    state.branches['main'] = sha('e');
    state.failures.push({
      match: '/compare/main',
      how: 'after',
      meanwhile: (now) => {
        now.branches['main'] = sha('c');
      },
    });
    const ran = await runAction(await start({ ...state, latency: 100 }), {}, event('main'));
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'base-sha': sha('a') });
  });
});

describe('a re-run', () => {
  const replayed = {
    name: 'pull_request',
    payload: {
      pull_request: { number: 7, head: { sha: sha('b') }, base: { sha: sha('f') }, draft: true, labels: [] },
    },
  };

  it('reads base and labels live, whatever the replayed event says', async () => {
    const state = pullRequest({ [path]: config() }, { [path]: deeper });
    const server = await start(state);
    expect((await runAction(server, { 'override-label': 'cost-approved' }, replayed)).code).toBe(1);
    server.state.pull.labels = ['cost-approved'];
    server.state.labelEvents = [
      { label: 'cost-approved', actor: 'ada' },
      { label: 'cost-approved', actor: 'grace' },
    ];
    const labelled = await runAction(server, { 'override-label': 'cost-approved' }, replayed);
    expect(labelled.code).toBe(0);
    expect(server.state.comments[0]?.body).toContain('set by `grace`');
    server.state.pull.labels = [];
    expect((await runAction(server, { 'override-label': 'cost-approved' }, replayed)).code).toBe(1);
  });
});

describe('the commit that is judged', () => {
  const first = { name: 'pull_request', payload: { pull_request: { number: 7, head: { sha: sha('b') } } } };
  const filler = (count: number): Tree =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`data/${index}.txt`, 'x']));
  /** Commit b is over the budget; d, pushed before b's run began, is not. */
  const pushedOver = (rest: Tree = {}) => {
    const state = pullRequest({ [path]: config() }, { [path]: deeper, ...rest });
    state.commits[sha('d')] = { ...wider, ...rest };
    state.parents[sha('d')] = [sha('a')];
    state.pull.head = sha('d');
    return state;
  };

  it.each([
    ['few files', 0],
    ['more files than a comparison lists', 320],
  ])('is the one that the check hangs on, whatever was pushed since: %s', async (_, count) => {
    const server = await start(pushedOver(filler(count)));
    const ran = await runAction(server, {}, first);
    expect(ran.code).toBe(1);
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'head-sha': sha('b'), 'comment-status': 'skipped' });
    expect(ran.log).toContain('the pull request has a newer commit, whose run will comment');
    expect(server.writes).toEqual([]);
  });

  it('stays so where the push comes while the files are listed', async () => {
    const state = pushedOver(filler(320));
    state.pull.head = sha('b');
    // The newer commit has the config as the base has it, so its list does not name it.
    state.commits[sha('d')] = { ...filler(320), [path]: config() };
    state.failures.push({
      match: 'pulls/7/files',
      how: 'after',
      meanwhile: (now) => {
        now.pull.head = sha('d');
      },
    });
    const ran = await runAction(await start(state), {}, first);
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'head-sha': sha('b') });
  });

  it('is that of the run in the second of two steps, too', async () => {
    const state = pushedOver();
    state.pull.head = sha('b');
    // The push comes after the pull request was found by its commit.
    state.failures.push({
      match: 'changedFiles',
      meanwhile: (now) => {
        now.pull.head = sha('d');
      },
    });
    const payload = {
      workflow_run: {
        event: 'pull_request',
        head_sha: sha('b'),
        head_branch: 'wider',
        head_repository: { full_name: 'octo/models' },
      },
    };
    const server = await start(state);
    const ran = await runAction(server, {}, { name: 'workflow_run', payload });
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'head-sha': sha('b'), 'comment-status': 'skipped' });
    expect(server.writes).toEqual([]);
  });
});

describe('changes larger than GitHub lists', () => {
  const filler = (count: number, version: number): Tree =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`data/${index % 50}/${index}.txt`, `${version}`]));
  // Late in the list, beyond 3,000 files.
  const late = 'zoo/model.json';

  it('finds a config behind 3,000 other files, and an exact rename', async () => {
    const server = await start(
      pullRequest(
        { ...filler(3_200, 1), 'zoo/old.json': config({ num_hidden_layers: 4 }), [late]: config() },
        { ...filler(3_200, 2), 'zoo/new.json': config({ num_hidden_layers: 4 }), [late]: deeper },
      ),
    );
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(ran.outputs['verdict']).toBe('fail');
    expect(server.state.comments[0]?.body).toContain('`zoo/new.json`<br>renamed from `zoo/old.json`');
    expect(server.requests.length).toBeLessThan(15);
  });

  it('looks into the folders that differ where the trees are cut off', async () => {
    const untouched = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`lib/${index % 60}/${index}.txt`, 'x']),
    );
    const server = await start(
      pullRequest(
        { ...untouched, ...filler(3_200, 1), [late]: config(), 'gone/a.json': config() },
        { ...untouched, ...filler(3_200, 2), [late]: deeper },
        { mostEntries: 200 },
      ),
    );
    const ran = await runAction(server);
    expect(ran.outputs).toMatchObject({ verdict: 'fail', changed: '2' });
    expect(server.requests.filter(({ path: to }) => to.includes('/git/trees/')).length).toBeLessThan(120);
    expect(ran.summary).not.toContain('not looked at');
    expect(server.state.comments[0]?.body).toContain('too large to search all of it for trainings');
  });

  it('says so where even that is too much', async () => {
    const server = await start(
      pullRequest(
        { ...filler(3_200, 1), [late]: config() },
        { ...filler(3_200, 2), [late]: deeper },
        { mostEntries: 40 },
      ),
    );
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(ran.summary).toMatch(
      /\d+ folders that may hold model configs, of which this is the first, were not looked at/,
    );
  });

  it('finds a config behind 300 other files of a push', async () => {
    const server = await start(
      pullRequest({ ...filler(400, 1), [late]: config() }, { ...filler(400, 2), [late]: deeper }),
    );
    const push = { name: 'push', payload: { before: sha('a'), after: sha('b'), ref: 'refs/heads/main' } };
    expect((await runAction(server, {}, push)).outputs).toMatchObject({ verdict: 'fail', changed: '1' });
  });
});

describe('other events', () => {
  const group = {
    name: 'merge_group',
    payload: {
      merge_group: { base_sha: sha('c'), head_sha: sha('b'), head_ref: 'refs/heads/gh-readonly-queue/main/pr-7' },
    },
  };

  it('a merge queue is judged from where the group begins, without a comment', async () => {
    const state = pullRequest({ [path]: config() }, { [path]: deeper });
    state.parents[sha('b')] = [sha('c')];
    const server = await start(state);
    const ran = await runAction(server, {}, group);
    expect(ran.code).toBe(1);
    expect(ran.outputs).toMatchObject({ 'base-sha': sha('c'), 'comment-status': 'skipped' });
    expect(server.writes).toEqual([]);
  });

  it('a push is compared with what was there before, forced or not', async () => {
    const state = pullRequest({ [path]: deeper }, wider);
    // Not on the history of the head: what was there is replaced.
    state.commits[sha('d')] = { [path]: config({ num_hidden_layers: 16 }) };
    state.parents[sha('d')] = [sha('a')];
    const server = await start(state);
    const push = (before: string, after = sha('b')) =>
      runAction(server, {}, { name: 'push', payload: { before, after, ref: 'refs/heads/main' } });
    expect((await push(sha('a'))).outputs).toMatchObject({ 'base-sha': sha('a'), verdict: 'pass' });
    const forced = await push(sha('d'));
    expect(forced.outputs).toMatchObject({ 'base-sha': sha('d'), changed: '1' });
    expect(forced.summary).toContain('`16` →\u00a0`32`');
    expect((await push('0'.repeat(40))).outputs['changed']).toBe('1');
    const deleted = await push(sha('b'), '0'.repeat(40));
    expect(deleted.code).toBe(0);
    expect(deleted.outputs['verdict']).toBe('skipped');
  });

  it('a schedule reports on every config', async () => {
    const server = await start(pullRequest({}, { ...wider, 'link.json': { symlink: path } }));
    const ran = await runAction(server, {}, { name: 'schedule', payload: {} });
    expect(ran.outputs).toMatchObject({ verdict: 'pass', changed: '1' });
  });

  it.each(['pull_request', 'merge_group', 'push'])(
    'a %s whose event file is not what it should be is one sentence',
    async (name) => {
      const server = await start(pullRequest({}, {}));
      const ran = await runAction(
        server,
        {},
        { name, payload: { pull_request: 'x', merge_group: 3, before: '::error::' } },
      );
      expect(ran.code).toBe(1);
      expect(ran.log.trim().split('\n')).toHaveLength(1);
      expect(ran.log).toContain(`The event file does not hold what a ${name} event has`);
    },
  );
});

describe('what is no text of a config', () => {
  it('is refused in a sentence that says what it is', async () => {
    const server = await start(
      pullRequest(
        { 'a.json': config() },
        {
          'a.json': { symlink: 'configs/elsewhere.json' },
          'lfs.json': 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n',
          'sub.json': { submodule: sha('e') },
          'large.json': { size: 2_000_000, id: sha('9') },
        },
      ),
    );
    const ran = await runAction(server, { configs: '*.json' });
    expect(ran.code).toBe(1);
    expect(ran.log).toContain('a.json is a symbolic link, which is not followed');
    expect(ran.log).toContain('lfs.json is a Git LFS pointer');
    expect(ran.log).toContain('sub.json is a submodule');
    expect(ran.log).toContain('large.json has 2000000 bytes; configs are read up to 1048576');
  });

  it('is read where it is UTF-16 or larger than GraphQL gives, one by one and not without end', async () => {
    const utf16 = (width: number) => ({
      bytes: Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(config({ intermediate_size: width }), 'utf16le')]),
    });
    const large = (width: number) => config({ intermediate_size: width, note: 'x'.repeat(600_000) });
    const few = await start(
      pullRequest(
        { 'a.json': utf16(11008), 'b.json': large(11008) },
        { 'a.json': utf16(11264), 'b.json': large(11264) },
      ),
    );
    expect((await runAction(few, { configs: '*.json' })).outputs).toMatchObject({ verdict: 'pass', changed: '2' });
    const many = (width: number) =>
      Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`${index}.json`, utf16(width)]));
    const lots = await start(pullRequest(many(11008), many(11264)));
    const ran = await runAction(lots, { configs: '*.json' });
    expect(ran.code).toBe(1);
    expect(ran.log).toContain('at most 100 configs that are not UTF-8');
    expect(lots.requests.length).toBeLessThan(120);
  });

  it('fails the gate where there are too many to read, named or not', async () => {
    const many = (width: number) =>
      Object.fromEntries(
        Array.from({ length: 1_100 }, (_, index) => [`configs/${index}.json`, config({ intermediate_size: width })]),
      );
    const server = await start(pullRequest(many(11008), many(11264)));
    const named = await runAction(server, { configs: 'configs/**' });
    expect(named.code).toBe(1);
    expect(named.summary).toContain(
      '100 files that could be model configs, of which this is the first, were not looked at',
    );
    const found = await runAction(server);
    expect(found.code).toBe(1);
    expect(found.outputs['verdict']).toBe('fail');
  });
});
