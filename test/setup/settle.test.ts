import { describe, expect, it } from 'vitest';
import type { RunFields } from '../../src/model/run.ts';
import { readConfig } from '../../src/read/config.ts';
import { settleRun } from '../../src/setup/settle.ts';

const unknown = {
  model_type: 'nobody-wrote-this-down',
  vocab_size: 1000,
  hidden_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 4,
};

it('only a config that states its longest sequence is said to state it', () => {
  const reasonFor = (config: object) => {
    const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
    if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
    const settling = settleRun([], reading.architecture);
    if (settling.kind === 'unsettled') throw new Error('unsettled');
    return settling.assumptions.find(({ field }) => field === 'sequence_length')?.reason;
  };
  expect(reasonFor(unknown)).toBe('a usual pre-training length');
  expect(reasonFor({ ...unknown, max_position_embeddings: 1024 })).toBe('the longest that the config states');
});

describe('the version of a framework', () => {
  const settled = (fields: RunFields) => {
    const reading = readConfig(Buffer.from(JSON.stringify(unknown)), 'config.json');
    if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
    const settling = settleRun([{ origin: 'run', fields }], reading.architecture);
    if (settling.kind === 'unsettled') throw new Error('unsettled');
    const told = settling.assumptions.find(
      ({ field }) => field === 'framework_version' || field === 'optimizer_implementation',
    );
    return { implementation: settling.settled.run.optimizerImplementation, told };
  };

  // huggingface/transformers pull requests 25109 and 37358.
  it.each(['4.33', '4.46', '4.53.3'])('the Trainer of Transformers %s steps list by list', (frameworkVersion) => {
    const { implementation, told } = settled({ framework: 'transformers', frameworkVersion });
    expect(implementation).toBe('foreach');
    expect(told).toMatchObject({ field: 'optimizer_implementation', value: 'foreach' });
    expect(told?.reason).toContain(`transformers ${frameworkVersion} takes optim: adamw_torch`);
  });

  it.each([
    ['4.54', {}, 'torch 2.8'],
    ['4.100', {}, 'torch 2.8'],
    ['5.0.1', {}, 'torch 2.8'],
    ['4.32', {}, 'before 4.33 are not known'],
    ['3.60', {}, 'before 4.33 are not known'],
    ['4.46', { framework: 'deepspeed' }, 'no known fact of deepspeed'],
    ['4.46', { optimizer: 'muon' }, 'not the optimizer'],
  ] as const)('%s with %j takes what its framework takes now, and says so', (frameworkVersion, others, words) => {
    const { implementation, told } = settled({ framework: 'transformers', frameworkVersion, ...others });
    expect(implementation).toBeUndefined();
    expect(told).toMatchObject({ field: 'framework_version', value: frameworkVersion });
    expect(told?.reason).toContain(words);
  });

  it('a stated implementation stands, whatever the version takes', () => {
    const stated = { framework: 'transformers', frameworkVersion: '4.46', optimizerImplementation: 'fused' } as const;
    expect(settled(stated).implementation).toBe('fused');
  });

  it('without a version nothing is said of it', () => {
    expect(settled({ framework: 'transformers' })).toEqual({ implementation: undefined, told: undefined });
  });
});

it.each([
  [{ precision: 'fp8', fp8Recipe: 'rowwise' }, 'timed as with one scale for each tensor'],
  [{ precision: 'bf16', fp8Recipe: 'blockwise' }, 'products are in bf16: it changes nothing here'],
  [{ precision: 'fp8', fp8Recipe: 'tensorwise' }, undefined],
  [{ precision: 'fp8' }, undefined],
] as const)('fp8 of %j says what of its scaling is not followed', (fields, words) => {
  const reading = readConfig(Buffer.from(JSON.stringify(unknown)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  const settling = settleRun([{ origin: 'run', fields }], reading.architecture);
  if (settling.kind === 'unsettled') throw new Error('unsettled');
  const told = settling.assumptions.find(({ field }) => field === 'fp8_recipe');
  if (words === undefined) expect(told).toBeUndefined();
  else expect(told?.reason).toContain(words);
});

it('stages that are laid out by hand may be more than layers, as the first has the embedding and the last the loss', () => {
  const reading = readConfig(Buffer.from(JSON.stringify({ ...unknown, num_hidden_layers: 2 })), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  const { architecture } = reading;
  const fields = { gpus: 4, parallelism: { pipeline: 4 } };
  const laidOut = settleRun([{ origin: 'run', fields: { ...fields, layersPerStage: [0, 1, 1, 0] } }], architecture);
  expect(laidOut.kind).toBe('settled');
  expect(settleRun([{ origin: 'run', fields }], architecture)).toMatchObject({
    kind: 'unsettled',
    problems: [{ message: 'A pipeline of 4 stages has more stages than the model has layers (2).' }],
  });
});

it('what a file leaves open is told of with the line of the policy that states it, a number only where one is meant', () => {
  const reading = readConfig(Buffer.from(JSON.stringify(unknown)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  const open = { gpus: '--nnodes is "$NODES" (a.sh:2)', precision: 'dtype is "auto" (a.yaml:1)' };
  const { problems } = settleRun([{ origin: 'config', fields: {}, open }], reading.architecture);
  expect(problems.map(({ message }) => message).sort()).toEqual([
    '--nnodes is "$NODES" (a.sh:2), which says no gpus: 8 is assumed. Add "gpus: N" to the run of this job in the policy.',
    'dtype is "auto" (a.yaml:1), which says no precision: bf16 is assumed. Add "precision: ..." to the run of this job in the policy.',
  ]);
});

it.each([
  [{}, 8, 'one node'],
  [{ tensor: 4 }, 8, 'one node'],
  [{ tensor: 2, pipeline: 8 }, 16, 'the fewest that hold one replica'],
  [{ expert: 64 }, 64, 'the fewest that hold one replica'],
  // Replicas of 6 and expert groups of 4 both divide 12.
  [{ tensor: 3, pipeline: 2, expert: 2 }, 12, 'the fewest that hold one replica'],
])(
  'parallelism of %j has as many GPUs as it divides, where nobody says how many there are',
  (parallelism, gpus, reason) => {
    const reading = readConfig(Buffer.from(JSON.stringify({ ...unknown, num_hidden_layers: 24 })), 'config.json');
    if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
    const settling = settleRun(
      [{ origin: 'run', fields: { framework: 'megatron', parallelism } }],
      reading.architecture,
    );
    if (settling.kind === 'unsettled') throw new Error(settling.problems[0]?.message);
    expect(settling.settled.run.gpus).toBe(gpus);
    expect(settling.assumptions.find(({ field }) => field === 'gpus')?.reason).toBe(reason);
  },
);
