import { expect, it } from 'vitest';
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
