import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import type { FindingCode, Severity } from '../../src/gate/review.ts';
import type { Exit } from '../../src/gate/unread.ts';
import { review } from '../../src/run.ts';
import type { Described } from '../../src/settings/describe.ts';
import { withRuns } from '../../src/settings/settings.ts';
import { type Changes, type ConfigPair, type InTime, type Missed, type Refusal, untimed } from '../../src/world.ts';
import { config } from '../states.ts';
import { today } from '../stories.ts';

const bytes = (text: string) => ({ kind: 'bytes', bytes: Buffer.from(text) }) as const;
const text = (head: string, path = 'a.json'): Partial<Changes> => ({ pairs: [{ path, head: bytes(head) }] });
const refused = (why: Refusal): Partial<Changes> => ({
  pairs: [{ path: 'config.json', head: { kind: 'refused', why, reason: 'There is no text.' } }],
});
const missed = (kind: Missed['kind']): Partial<Changes> => ({ missed: [{ kind, most: 1, paths: ['a', 'b'] }] });
const unreadable = ['fail', 'unreadable'] as const;
const unseen = ['fail', 'not-looked-at'] as const;

type Told = readonly [Severity, FindingCode];
/** A change that leaves in each way, and the finding that tells it. A new way is not compiled without one. */
const exits: Readonly<Record<Exit, readonly [change: Partial<Changes>, told: Told | undefined]>> = {
  symlink: [refused('symlink'), unreadable],
  submodule: [refused('submodule'), unreadable],
  folder: [refused('folder'), unreadable],
  'lfs-pointer': [refused('lfs-pointer'), unreadable],
  'too-large': [refused('too-large'), unreadable],
  unopened: [refused('unopened'), unreadable],
  lost: [refused('lost'), unreadable],
  'over-bytes': [refused('over-bytes'), unreadable],
  'over-blobs': [refused('over-blobs'), unreadable],
  late: [{ pairs: [{ path: 'late.json', head: bytes('{}') }] }, unreadable],
  'long-name': [text(config(), `${'a/'.repeat(600)}config.json`), unreadable],
  broken: [text('{"model_type": '), unreadable],
  'unknown-model': [text('{"model_type": "ours"}'), unreadable],
  'other-model': [text('{"model_type": "vit", "hidden_size": 768}'), ['warn', 'unreadable']],
  impossible: [text(config({ hidden_size: -1 })), unreadable],
  'run-unread': [text(config()), unreadable],
  // A part of a run is judged with the jobs that use it.
  'no-model': [text('{"zero_optimization": {"stage": 3}}', 'zero3.json'), undefined],
  'unknown-name': [
    text('base_model: nobody/knows\nmicro_batch_size: 1\nsequence_len: 4\n', 'train.yaml'),
    ['warn', 'unreadable'],
  ],
  // The one silent way: it was looked at, and is no model config.
  'no-config': [text('{"anything": 384}', '1_Pooling/config.json'), undefined],
  component: [text('{"word_embedding_dimension": 384}', '1_Pooling/config.json'), undefined],
  count: [missed('count'), unseen],
  bytes: [missed('bytes'), unseen],
  blobs: [missed('blobs'), unseen],
  folders: [missed('folders'), unseen],
  unknown: [text(config({ num_hidden_layers: 2 })), ['fail', 'limit-unknown']],
  approximate: [text(config({ model_type: 'unheard_of' })), ['notice', 'approximate']],
};

const policy =
  'version: 1\nhardware: { old: { accelerator: v100-sxm-32gb, gpus: 8 } }\ndefaults: { budgets: { mfu: 10% } }\n';

it.each(Object.entries(exits))('%s is told', (exit, [change, told]) => {
  const held = exit === 'unknown' ? { policy: { name: 'policy.yml', bytes: Buffer.from(policy) } } : {};
  const clock: InTime = exit === 'late' ? () => ({ kind: 'late', reason: 'takes too long' }) : untimed;
  const nothing: Changes = { pairs: [], missed: [], notes: [] };
  const wrong: Described = { kind: 'wrong', sentences: ['run.yml: is not valid YAML.'] };
  const runs = exit === 'run-unread' ? { base: wrong, head: wrong } : undefined;
  const found = (inputs: Record<string, string>) =>
    review({ ...nothing, ...change }, withRuns(settingsOf(inputs, held), runs), today, undefined, [], clock).verdict;
  const { findings } = found({});
  expect(findings.map(({ severity, code }) => [severity, code])).toEqual(told === undefined ? [] : [told]);
  expect(found({ 'fail-on': 'never' }).outcome).not.toBe('fail');
});

it('what was taken from under a config that could be read is told too, be it no config at all any more', () => {
  for (const [change] of Object.values(exits)) {
    const [pair] = change.pairs ?? [];
    if (pair === undefined) continue;
    const both: ConfigPair = { ...pair, previousPath: 'before.json', base: bytes(config()) };
    const { comparisons, verdict } = review({ pairs: [both], missed: [], notes: [] }, settingsOf({}), today);
    if (comparisons[0]?.status === 'unreadable') expect(verdict.outcome).toBe('fail');
    expect(comparisons).toHaveLength(1);
  }
});

describe('a part of a folder that is no language model', () => {
  const parts: Readonly<Record<string, string>> = {
    '1_Pooling/config.json': '{"word_embedding_dimension": 384, "pooling_mode_mean_tokens": true}',
    '2_Dense/config.json': '{"in_features": 384, "out_features": 128, "bias": true}',
    'modules.json': '[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]',
    'scheduler/scheduler_config.json': '{"_class_name": "DDIMScheduler", "num_train_timesteps": 1000}',
    'model_index.json': '{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}',
  };
  const reviewed = (pairs: readonly ConfigPair[], configs: string) =>
    review({ pairs, missed: [], notes: [] }, settingsOf({ configs }), today);

  it.each(Object.entries(parts))('%s that `configs` names gets a sentence and fails nothing', (path, head) => {
    const { verdict, notes, comparisons } = reviewed([{ path, head: bytes(head) }], '**/*.json');
    expect([verdict.outcome, comparisons]).toEqual(['pass', []]);
    expect(notes).toEqual([expect.stringContaining(`${path} describes a part`)]);
  });

  it('several get one together, and one that nobody named none', () => {
    const pairs = Object.entries(parts).map(([path, head]) => ({ path, head: bytes(head) }));
    expect(reviewed(pairs, '**/*.json').notes).toEqual([expect.stringContaining('config.json and 4 more describe')]);
    expect(reviewed(pairs, 'models/*.json').notes).toEqual([]);
  });

  it('a list of other things that is named fails as before', () => {
    const head = bytes('[{"type": "sentence"}]');
    expect(reviewed([{ path: 'list.json', head }], '**/*.json').verdict.outcome).toBe('fail');
  });
});
