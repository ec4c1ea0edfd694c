import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import { readSide } from '../../src/run.ts';
import { runAsWritten } from '../../src/setup/description.ts';

const model = {
  num_layers: 2,
  hidden_size: 64,
  num_attention_heads: 4,
  encoder_seq_length: 128,
  max_position_embeddings: 128,
  tensor_model_parallel_size: 1,
  override_vocab_size: 1024,
  position_embedding_type: 'rope',
  bias: false,
  normalization: 'rmsnorm',
  share_embeddings_and_output_weights: false,
  mcore_gpt: true,
  megatron_amp_O2: true,
} as const;

type Keys = Readonly<Record<string, unknown>>;

function read(changes: Keys = {}, trainer: Keys = { precision: 'bf16-mixed' }, more: Keys = {}) {
  const text = JSON.stringify({ trainer, model: { ...model, ...changes }, ...more });
  const side = readSide({ kind: 'bytes', bytes: Buffer.from(text) }, 'training.yaml', settingsOf({}));
  return { total: side.estimate?.parameters.total, run: side.estimate && runAsWritten(side.estimate.run.run), ...side };
}

const D = 64;
const plain = 2 * (4 * D * D + 2 * D * 4 * D + 2 * D) + 2 * 1024 * D + D;

describe('NeMo’s model', () => {
  it('has a feed-forward of four times the width, gated or not', () => {
    expect(read().total).toBe(plain);
    expect(read({ activation: 'fast-swiglu' }).total).toBe(plain + 2 * D * 4 * D);
    expect(read({ activation: 'geglu' }).total).toBe(plain + 2 * D * 4 * D);
    expect(read({ activation: 'squared-relu' }).total).toBe(plain);
  });

  it('is tied, biased and of learned positions where it does not say', () => {
    const undefinedKeys = (key: string) => ({ [key]: undefined });
    expect(read(undefinedKeys('share_embeddings_and_output_weights')).total).toBe(plain - 1024 * D);
    expect(read(undefinedKeys('bias')).total).toBe(plain + 2 * (4 * D + 4 * D + D));
    expect(read(undefinedKeys('position_embedding_type')).total).toBe(plain + 128 * D);
    expect(read({ normalization: 'layernorm1p' }).total).toBe(plain + 5 * D);
  });

  it('groups queries wherever groups are counted', () => {
    expect(read({ num_query_groups: 1 }).total).toBe(plain - 2 * 2 * D * (D - 16));
    expect(read({ num_query_groups: null }).total).toBe(plain);
  });

  it('of encoder and decoder is refused', () => {
    expect(read({ encoder: { num_layers: 2 } }).reading.problems[0]?.message).toContain('encoder and decoder');
  });
});

describe('NeMo’s run', () => {
  it('keeps weights in fp32 without O2', () => {
    expect(read({ megatron_amp_O2: false }).run).toMatchObject({
      precision: 'bf16',
      weights_dtype: 'fp32',
      master_weights: false,
    });
    expect(read({ megatron_amp_O2: undefined }).run).toMatchObject({ weights_dtype: 'fp32' });
    expect(read().run).not.toHaveProperty('weights_dtype');
    expect(read({}, { precision: 32 }).run).toMatchObject({ precision: 'fp32' });
    expect(read({ fp8: true, fp8_hybrid: true }).run).toMatchObject({ precision: 'fp8' });
  });

  it('is sharded by its optimizer or by FSDP', () => {
    const sharding = (changes: Keys) => read(changes).run?.['sharding'];
    expect(sharding({ optim: { name: 'distributed_fused_adam' } })).toBe('gradients');
    expect(sharding({ optim: { name: 'mcore_distributed_optim' } })).toBe('optimizer');
    expect(sharding({ optim: { name: 'fused_adam' } })).toBe('none');
    expect(sharding({ fsdp: true, fsdp_sharding_strategy: 'grad', optim: { name: 'fused_adam' } })).toBe('gradients');
  });

  it('counts GPUs by nodes, and leaves -1 open', () => {
    expect(read({}, { precision: 'bf16', num_nodes: 4, devices: 8 }).run).toMatchObject({ gpus: 32 });
    expect(read({}, { precision: 'bf16', num_nodes: 4, devices: [0, 1] }).run).toMatchObject({ gpus: 8 });
    expect(read({}, { precision: 'bf16', num_nodes: 2, devices: -1 }).run).toMatchObject({ gpus: 16 });
  });

  it('recomputes by its own names, and adapts by its own words', () => {
    expect(
      read({
        activations_checkpoint_granularity: 'full',
        activations_checkpoint_method: 'uniform',
        activations_checkpoint_num_layers: 2,
      }).run,
    ).toMatchObject({ recompute: 'full', recompute_method: 'uniform', recompute_layers: 2 });
    expect(
      read({
        peft: { peft_scheme: 'lora', lora_tuning: { adapter_dim: 8, target_modules: ['attention_qkv', 'mlp_fc2'] } },
      }).run,
    ).toMatchObject({ lora: { rank: 8, targets: ['q_proj', 'k_proj', 'v_proj', 'down_proj'] } });
  });
});
