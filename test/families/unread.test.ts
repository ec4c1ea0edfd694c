import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/read/config.ts';

const read = (config: object) => {
  const reading = readConfig(Buffer.from(JSON.stringify(config, undefined, 1)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  return reading;
};

const llama = { model_type: 'llama', hidden_size: 64, num_attention_heads: 4, vocab_size: 1000 };

describe('a key that nothing reads', () => {
  it.each([
    { num_experts: 8 },
    { num_local_experts: 4 },
    { n_routed_experts: 64 },
    { inner_hidden_size: 96 },
    { lora_adaptations: ['a', 'b'] },
    { num_recurrent_blocks: 3 },
  ])('takes exactness away and is named: %j', (more) => {
    const { architecture, assumptions } = read({ ...llama, num_hidden_layers: 2, ...more });
    expect(architecture.exact).toBe(false);
    expect(assumptions.map(({ field }) => field)).toContain(Object.keys(more)[0]);
  });

  it.each([
    { num_experts: 0 },
    { num_experts: null },
    { num_beams: 4 },
    { num_logits_to_keep: 2 },
    { n_embd: 64 },
    { pooler_num_fc_layers: 3 },
  ])('is nothing where it counts nothing: %j', (more) => {
    expect(read({ ...llama, num_hidden_layers: 2, ...more }).architecture.exact).toBe(true);
  });

  it('looks like a mistyped one where that one is missing', () => {
    const { architecture, problems } = read({ ...llama, num_hiden_layers: 2 });
    expect(architecture.exact).toBe(false);
    expect(problems).toContainEqual({
      severity: 'warning',
      message: 'num_hiden_layers is read by nothing: it looks like num_hidden_layers, which is missing here.',
      key: 'num_hiden_layers',
      line: 6,
    });
  });

  it('is no mistyped one where the right one stands beside it', () => {
    expect(read({ ...llama, num_hiden_layers: 2, num_hidden_layers: 2 }).architecture.exact).toBe(true);
  });
});
