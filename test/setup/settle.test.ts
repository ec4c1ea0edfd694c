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
