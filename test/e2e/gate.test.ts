import { describe, expect, it } from 'vitest';
import { runAction } from '../action.ts';
import type { Tree } from '../repository.ts';
import { config, pullRequest } from '../states.ts';
import { stage } from './stage.ts';

const start = stage();
/** 36 GiB: within what a loose scope allows, over what a strict one does. */
const big = config({ num_hidden_layers: 32 });
const scopes = `version: 1
configs:
  - match: configs/prod/*
    budgets: { memory: 20GB }
  - match: configs/research/*
    budgets: { memory: 79GiB }
`;

describe('a config that moves', () => {
  const moves = async (from: string, to: string) => {
    const policy: Tree = { '.github/model-cost.yml': scopes };
    const state = pullRequest({ ...policy, [from]: big }, { ...policy, [to]: big });
    state.pull.renames = { [to]: from };
    const server = await start(state);
    return { ran: await runAction(server), body: server.state.comments[0]?.body ?? '' };
  };

  it('from loose limits into strict ones goes over them', async () => {
    const { ran, body } = await moves('configs/research/big.json', 'configs/prod/big.json');
    expect(ran.code).toBe(1);
    expect(ran.outputs).toMatchObject({ verdict: 'fail', changed: '1', 'comment-status': 'created' });
    expect(body).toContain('This change takes memory per GPU over the budget.');
  });

  it('out of strict limits is a change that is commented', async () => {
    const { ran, body } = await moves('configs/prod/big.json', 'configs/research/big.json');
    expect(ran.outputs).toMatchObject({ verdict: 'pass', changed: '1', 'comment-status': 'created' });
    expect(body).toContain('for which other limits hold than for its old name');
  });
});

describe('what a heading says', () => {
  it('of a pull request that changes no config: not that its rules change', async () => {
    const server = await start(pullRequest({ 'a.txt': 'x' }, { 'a.txt': 'y' }));
    const ran = await runAction(server);
    expect(ran.summary).toContain('no model config changed');
    expect(ran.summary).not.toContain('its rules do');
  });

  it('nor does the summary send its reader to itself', async () => {
    const many = (width: number) =>
      Object.fromEntries(
        Array.from({ length: 900 }, (_, at) => [
          `${'name '.repeat(30)}${at}.json`,
          config({ intermediate_size: width }),
        ]),
      );
    const ran = await runAction(await start(pullRequest(many(11008), many(11264))), { comment: 'never' });
    expect(ran.summary).not.toContain('the job summary has');
  });

  it('a projected MFU that reads the same shows no points', async () => {
    const at = (layers: number): Tree => ({ 'a.json': config({ num_hidden_layers: layers }) });
    const server = await start(pullRequest(at(28), at(44)));
    const { changes } = JSON.parse((await runAction(server)).outputs['report'] ?? '').comparisons[0];
    const { before, after } = changes.find(({ metric }: { metric: string }) => metric === 'mfu');
    expect([before, after].map((mfu: number) => (100 * mfu).toFixed(1))).toEqual(['50.2', '50.2']);
    expect(server.state.comments[0]?.body).not.toMatch(/0 → 0|[+-]0\.\d\spoints/);
  });
});
