import { afterEach, describe, expect, it } from 'vitest';
import { runAction } from '../action.ts';
import { GitHubServer, type State } from '../github-server.ts';
import { config, pullRequest, sha } from '../states.ts';

let server: GitHubServer;
const start = async (state: State) => {
  server = await GitHubServer.start(state);
  return server;
};
afterEach(async () => {
  expect(server.invalid, 'requests that GitHub does not describe').toEqual([]);
  await server.stop();
});

const name = '.github/model-cost.yml';
const path = 'configs/model.json';
/** On the default hardware a config of 32 layers needs far less than 80 GB, and one of 80 layers more. */
const [small, large] = [config(), config({ num_hidden_layers: 80 })];
const wider = config({ intermediate_size: 11264 });
const strict = 'version: 1\ndefaults: { budgets: { memory: 10GiB } }\n';
const loose = 'version: 1\ndefaults: { budgets: { memory: 900GiB } }\n';
const body = () => server.state.comments[0]?.body ?? '';

describe('the policy file', () => {
  it('is read from the merge base: a pull request cannot relax its own gate', async () => {
    await start(pullRequest({ [path]: small, [name]: strict }, { [path]: wider, [name]: loose }));
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'over-budget': 'true', 'base-sha': sha('a') });
    expect(body()).toContain('limit 10.00\u00a0GiB');
    expect(body()).toContain('This change edits `.github/model-cost.yml`. That takes effect after merge');
    expect(body()).toContain('Under it the verdict would be pass, not fail.');
    expect(body()).toContain('| `memory-budget` | `10.00 GiB` | `policy` |');
    expect(body()).toContain('| `policy` | `.github/model-cost.yml at aaaaaaaaaaaa` | `default` |');
  });

  it('a stricter one in the pull request waits for the merge, too, and is shown', async () => {
    await start(pullRequest({ [path]: small, [name]: loose }, { [path]: wider, [name]: strict }));
    const ran = await runAction(server);
    expect(ran.code).toBe(0);
    expect(body()).toContain('Under it the verdict would be fail, not pass.');
    expect(body()).toContain('fail, configs/model.json: Memory per GPU was over the budget');
  });

  it('that the base branch changed since binds, too, and is told of', async () => {
    const state = pullRequest({ [path]: small, [name]: loose }, { [path]: wider, [name]: loose });
    state.commits[sha('c')] = { [path]: small, [name]: strict };
    await start(state);
    const ran = await runAction(server);
    expect(ran.outputs['verdict']).toBe('fail');
    expect(body()).toContain('`.github/model-cost.yml` has changed on main since this branch left it');
    expect(body()).toContain(
      'Memory per GPU was over the budget before, and this change adds to it. This rule is of main',
    );
  });

  it('an input wins over it', async () => {
    await start(pullRequest({ [path]: small, [name]: strict }, { [path]: wider, [name]: strict }));
    const ran = await runAction(server, { 'memory-budget': '79GiB' });
    expect(ran.outputs['verdict']).toBe('pass');
    expect(body()).toContain('| `memory-budget` | `79GiB` | `input` |');
  });

  it('says when a config is moved out of what held it', async () => {
    const policy = 'version: 1\nconfigs: [{ match: "configs/*", budgets: { memory: 10GiB } }]\n';
    const state = pullRequest({ [path]: small, [name]: policy }, { 'drafts/model.json': wider, [name]: policy });
    state.pull.renames = { 'drafts/model.json': path };
    await start(state);
    expect((await runAction(server)).outputs['verdict']).toBe('pass');
    expect(body()).toContain('configs/model.json is now drafts/model.json, for which other limits hold');
  });

  it('that comes or goes with the pull request is shown, though no config changed', async () => {
    await start(pullRequest({ [path]: small }, { [path]: small, [name]: strict }));
    const added = await runAction(server);
    expect(added.outputs).toMatchObject({ verdict: 'pass', changed: '0', 'comment-status': 'created' });
    expect(body()).toContain('This change adds `.github/model-cost.yml`.');
    expect(body()).toContain('Held against the one model config of the head, the verdict would be fail, not pass.');
    expect(body()).toContain('fail, configs/model.json: This config needs more memory per GPU than the budget allows.');
    await server.stop();
    await start(pullRequest({ [path]: small, [name]: strict }, { [path]: small }));
    await runAction(server);
    expect(body()).toContain('This change removes `.github/model-cost.yml`.');
  });

  it('that the pull request breaks fails it, at the line', async () => {
    await start(pullRequest({ [name]: loose }, { [name]: 'version: 1\ndefualts: {}\n' }));
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(ran.log).toContain('file=.github/model-cost.yml,line=2::');
    expect(body()).toContain('Did you mean "defaults"?');
  });

  it.each([
    ['version: 1\ndefualts: {}\n', '.github/model-cost.yml:2: unknown key "defualts". Did you mean "defaults"?'],
    ['version: 1\ndefaults: [\n', 'is not valid YAML'],
    ['version: 1\ndefaults: { run: runs/gone.yml }\n', 'defaults.run names runs/gone.yml, which could not be read'],
    ['version: 1\nconfigs: [{ match: a, hardware: pod }]\n', 'which is not a name under hardware'],
  ])('broken at the base fails closed in one sentence: %j', async (policy, sentence) => {
    await start(pullRequest({ [path]: small, [name]: policy }, { [path]: wider, [name]: loose }));
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(
      ran.log
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('::error')),
    ).toHaveLength(1);
    expect(ran.log).toContain(sentence);
    expect(server.state.comments).toEqual([]);
  });

  it('broken at the base can be repaired by a change that touches no model config', async () => {
    await start(pullRequest({ [path]: small, [name]: 'version: 3\n' }, { [path]: small, [name]: strict }));
    const ran = await runAction(server);
    expect(ran.code).toBe(0);
    expect(body()).toContain('This change edits `.github/model-cost.yml`.');
    await server.stop();
    await start(pullRequest({ [path]: small, [name]: 'version: 3\n' }, { [path]: small, [name]: 'version: 4\n' }));
    expect((await runAction(server)).code).toBe(1);
  });

  it('under another name is found there, and missed nowhere', async () => {
    await start(pullRequest({ [path]: small, 'gate.yml': strict }, { [path]: wider, 'gate.yml': strict }));
    expect((await runAction(server, { policy: 'gate.yml' })).outputs['verdict']).toBe('fail');
    const missing = await runAction(server, { policy: 'other.yml' });
    expect(missing.code).toBe(1);
    expect(missing.log).toContain(`The policy other.yml does not exist at ${sha('a').slice(0, 12)}`);
  });

  it('names configs that must be readable, and files that describe runs', async () => {
    const policy = [
      'version: 1',
      'hardware:',
      '  pod: { accelerator: h200-sxm-141gb, gpus: 64, price_per_gpu_hour: 3.5 }',
      'configs:',
      '  - match: configs/**',
      '    run: configs/runs/long.yml',
      'ignore: configs/drafts/**',
    ].join('\n');
    const run = 'sequence_length: 2048\ntokens: 2T\n';
    const rest = { [name]: policy, 'configs/runs/long.yml': run };
    await start(
      pullRequest(
        { [path]: small, 'configs/drafts/a.json': small, ...rest },
        {
          [path]: wider,
          'configs/b.json': '{"model_type": "llama"',
          'configs/drafts/a.json': '{broken',
          ...rest,
          'configs/runs/long.yml': 'sequence_length: 2048\ntokens: 3T\n',
        },
      ),
    );
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(ran.outputs['changed']).toBe('2');
    expect(ran.log).toContain('file=configs/b.json');
    expect(ran.log).not.toContain('drafts');
    expect(body()).toContain('| `tokens`: `2000000000000` →\u00a0`3000000000000` |');
    expect(body()).not.toContain('This change edits');
    const report = JSON.parse(ran.outputs['report'] ?? '');
    expect(report.reports.find((one: { path: string }) => one.path === path)).toMatchObject({
      run: { accelerator: 'h200-sxm-141gb', gpus: 64, sequence_length: 2048, tokens: 3e12, price_per_gpu_hour: 3.5 },
      origins: { accelerator: 'policy', sequence_length: 'policy', micro_batch_size: 'default' },
    });
  });

  describe('scales projections by a measured run', () => {
    const hardware = (calibration: string) =>
      `version: 1\nhardware:\n  pod: { accelerator: a100-sxm-80gb, gpus: 8, ${calibration} }\n`;
    const measured = async (policy: string) => {
      await start(pullRequest({ [path]: small, [name]: policy }, { [path]: wider, [name]: policy }));
      return runAction(server);
    };
    const speedOf = (ran: { readonly outputs: Readonly<Record<string, string>> }): number =>
      JSON.parse(ran.outputs['report'] ?? '').reports[0].throughput.tokens_per_second_per_gpu;

    it('of another length, and says by how much', async () => {
      const plain = speedOf(await measured(hardware('')));
      await server.stop();
      const calibration = '{ config: configs/model.json, tokens_per_second: 20k, run: { sequence_length: 2048 } }';
      expect(speedOf(await measured(hardware(`calibration: ${calibration}`)))).toBeLessThan(plain);
      expect(body()).toMatch(/calibrated by 0\.\d\d \(20,000 tokens\/s measured/);
    });

    it('against the bare projection, whatever its own run says', async () => {
      const run = (changes: string) => `run: { sequence_length: 2048${changes} }`;
      const of = (changes: string) =>
        hardware(`calibration: { config: configs/model.json, tokens_per_second: 20k, ${run(changes)} }`);
      const plain = speedOf(await measured(of('')));
      await server.stop();
      expect(speedOf(await measured(of(', calibration: 0.5')))).toBe(plain);
    });

    it('and refuses one that was of something else', async () => {
      const ran = await measured(hardware('calibration: { config: configs/model.json, tokens_per_second: 9 }'));
      expect(ran.code).toBe(1);
      expect(ran.log).toContain('The calibration of pod cannot be used: it states 9 tokens per second on 8 GPUs');
    });
  });
});

describe('waivers and labels', () => {
  const waived = (until: string) =>
    `${strict}waivers:\n  - { match: "configs/*", covers: memory, until: ${until}, reason: the new nodes come }\n`;

  it.each([
    ['2099-12-31', 0, 'warn', 'Waived until 2099-12-31: the new nodes come.'],
    ['2020-12-31', 1, 'fail', 'Its waiver ended on 2020-12-31: the new nodes come.'],
  ])('a waiver until %s exits with %i', async (until, code, verdict, words) => {
    const policy = waived(until);
    await start(pullRequest({ [path]: small, [name]: policy }, { [path]: large, [name]: policy }));
    const ran = await runAction(server);
    expect({ code: ran.code, verdict: ran.outputs['verdict'] }).toEqual({ code, verdict });
    expect(body()).toContain(words);
    expect(ran.log).toContain(words);
  });

  it('a waiver that the pull request brings waives nothing yet', async () => {
    await start(pullRequest({ [path]: small, [name]: strict }, { [path]: large, [name]: waived('2099-12-31') }));
    expect((await runAction(server)).outputs['verdict']).toBe('fail');
    expect(body()).toContain('Under it the verdict would be warn, not fail.');
  });

  it('the override label may stand in the policy, whatever its case, and its setter is named', async () => {
    const policy = `${strict}  override_label: Cost-Approved\n`.replace(
      '{ budgets: { memory: 10GiB } }',
      '\n  budgets: { memory: 10GiB }',
    );
    const state = pullRequest({ [path]: small, [name]: policy }, { [path]: large, [name]: policy });
    state.pull.labels = ['cost-approved'];
    state.labelEvents = [{ label: 'cost-approved', actor: 'grace' }];
    await start(state);
    const ran = await runAction(server);
    expect(ran.code).toBe(0);
    expect(body()).toContain('failed, let pass by the label `cost-approved`, set by `grace`');
    expect(JSON.parse(ran.outputs['report'] ?? '').verdict.override).toEqual({ label: 'cost-approved', by: 'grace' });
  });

  it('an override does not come with a label that only the pull request’s policy names', async () => {
    const state = pullRequest(
      { [path]: small, [name]: strict },
      { [path]: large, [name]: `version: 1\ndefaults: { override_label: mine }\n` },
    );
    state.pull.labels = ['mine'];
    await start(state);
    expect((await runAction(server)).code).toBe(1);
  });
});

describe('other events', () => {
  const payloads = {
    merge_group: {
      merge_group: { base_sha: sha('a'), head_sha: sha('b'), head_ref: 'refs/heads/gh-readonly-queue/main/pr-7' },
    },
    push: { before: sha('a'), after: sha('b'), ref: 'refs/heads/main' },
  };

  it.each(Object.entries(payloads))('%s is judged by the policy before it', async (event, payload) => {
    await start(pullRequest({ [path]: small, [name]: strict }, { [path]: wider, [name]: loose }));
    const ran = await runAction(server, {}, { name: event, payload });
    expect(ran.code).toBe(1);
    expect(ran.summary).toContain('takes effect');
    expect(server.state.comments).toEqual([]);
  });

  it.each(['schedule', 'workflow_dispatch'])(
    '%s holds every config against the policy of its commit',
    async (event) => {
      await start(pullRequest({}, { [path]: small, [name]: strict }));
      const ran = await runAction(server, {}, { name: event, payload: {} });
      expect(ran.code).toBe(1);
      expect(ran.summary).toContain('This config needs more memory per GPU than the budget allows.');
      expect(ran.summary).not.toContain('<br>new');
    },
  );
});
