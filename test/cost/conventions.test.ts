import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { conventions } from '../../src/cost/count/conventions.ts';
import { countFlops } from '../../src/cost/count/flops.ts';
import { meanContext } from '../../src/cost/count/forward.ts';
import { adapterParameters } from '../../src/cost/count/lora.ts';
import { expand } from '../../src/cost/expand/model.ts';
import type { Span } from '../../src/model/architecture.ts';
import type { FlopCount } from '../../src/model/estimate.ts';
import type { RunFields } from '../../src/model/run.ts';
import { readConfig } from '../../src/read/config.ts';
import { settleRun } from '../../src/setup/settle.ts';

const committed = (name: string): object =>
  JSON.parse(readFileSync(new URL(`../../configs/${name}.json`, import.meta.url), 'utf8'));

const read = (config: object, fields: RunFields) => {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  const settling = settleRun([{ origin: 'run', fields: { framework: 'megatron', ...fields } }], reading.architecture);
  if (settling.kind === 'unsettled') throw new Error('unsettled');
  return { operations: expand(reading.architecture), run: settling.settled.run };
};
const count = (config: object, fields: RunFields): FlopCount => {
  const { operations, run } = read(config, fields);
  return countFlops(operations, run);
};
const of = (config: object, fields: RunFields) => {
  const { operations, run } = read(config, fields);
  return conventions(operations, run);
};

const llama8 = committed('llama-3.1-8b');
const qwen30 = committed('qwen3-30b-a3b');
const deepseek = committed('deepseek-v3');
const gemma = committed('gemma-2-9b');
const oss20 = committed('gpt-oss-20b');
const qwenNext = {
  model_type: 'qwen3_next',
  hidden_size: 2048,
  num_hidden_layers: 48,
  num_attention_heads: 16,
  num_key_value_heads: 2,
  head_dim: 256,
  linear_num_value_heads: 32,
  linear_num_key_heads: 16,
  linear_key_head_dim: 128,
  linear_value_head_dim: 128,
  linear_conv_kernel_dim: 4,
  num_experts: 512,
  num_experts_per_tok: 10,
  moe_intermediate_size: 512,
  shared_expert_intermediate_size: 512,
  vocab_size: 151_936,
  tie_word_embeddings: false,
};
const nemotron = {
  model_type: 'nemotron_h',
  hybrid_override_pattern: 'MEM*-ME',
  hidden_size: 2688,
  num_attention_heads: 32,
  num_key_value_heads: 2,
  head_dim: 128,
  mamba_num_heads: 64,
  mamba_head_dim: 64,
  n_groups: 8,
  ssm_state_size: 128,
  conv_kernel: 4,
  intermediate_size: 10_000,
  moe_intermediate_size: 1856,
  moe_shared_expert_intermediate_size: 3712,
  n_routed_experts: 128,
  num_experts_per_tok: 6,
  moe_latent_size: 1024,
  vocab_size: 131_072,
};

/** Megatron-LM's `num_floating_point_operations`, derived again from its arguments, for one token. */
describe('megatron', () => {
  const S = 4096;
  /** Query, key, value, output and, at half of S keys, the core; `gate` as wide as the query. */
  const attention = (h: number, n: number, g: number, d: number, gate = 0) =>
    6 * (h * (n * d + 2 * g * d + gate) + n * d * h) + 6 * n * d * S;
  const feedForward = (h: number, f: number, matrices = 3) => 6 * h * f * matrices;
  const logits = (h: number, v: number, heads = 1) => 6 * h * v * heads;

  it('dense with grouped queries', () => {
    const layer = attention(4096, 32, 8, 128) + feedForward(4096, 14_336);
    expect(of(llama8, { sequenceLength: S }).megatron).toBe(32 * layer + logits(4096, 128_256));
  });

  it('experts without their router', () => {
    const layer = attention(2048, 32, 4, 128) + 8 * feedForward(2048, 768);
    expect(of(qwen30, { sequenceLength: S }).megatron).toBe(48 * layer + logits(2048, 151_936));
  });

  it('a window counts as full attention', () => {
    const layer = attention(3584, 16, 8, 256) + feedForward(3584, 14_336);
    const windows = { ...gemma, sliding_window: 128 };
    expect(of(windows, { sequenceLength: S }).megatron).toBe(42 * layer + logits(3584, 256_000));
  });

  it.each([true, false])('latent attention with its norms, shared experts, multi-token prediction: %s', (mtp) => {
    const [h, n, rq, rkv, nope, rope, dv] = [7168, 128, 1536, 512, 128, 64, 128];
    const latent =
      6 * (rq * (h + n * (nope + rope) + 1) + rkv * (h + n * (nope + dv) + 1) + h * rope + n * dv * h) +
      3 * n * (nope + rope + dv) * S;
    const experts = 9 * feedForward(h, 2048);
    const depth = Number(mtp);
    const main = 61 * latent + 3 * feedForward(h, 18_432) + 58 * experts;
    const expected = main + depth * (latent + experts + 6 * (3 * h + 2 * h * h)) + logits(h, 129_280, 1 + depth);
    expect(of(deepseek, { sequenceLength: S, mtp }).megatron / expected).toBeCloseTo(1, 12);
  });

  it('gated delta net, the output gate of attention, no gate on shared experts', () => {
    const [h, keys, values] = [2048, 16 * 128, 32 * 128];
    const linear =
      6 * (h * (2 * keys + 2 * values + 2 * 32) + 4 * (2 * keys + values) + 32 * 128 ** 2 * 4 + h * values);
    const experts = 11 * feedForward(h, 512);
    const expected = 36 * linear + 12 * attention(h, 16, 2, 256, 16 * 256) + 48 * experts + logits(h, 151_936);
    expect(of(qwenNext, { sequenceLength: S }).megatron / expected).toBeCloseTo(1, 12);
  });

  it("hybrid: Mamba's inner width is twice the hidden size, whatever the config says", () => {
    const [h, N, G, heads, latent] = [2688, 128, 8, 64, 1024];
    const inner = 2 * h;
    const mamba = 3 * (2 * h * (2 * inner + 2 * G * N + heads) + 7 * inner * N + 2 * inner * h);
    const experts = 6 * feedForward(latent, 1856, 2) + 12 * h * latent + feedForward(h, 3712, 2);
    const expected =
      3 * mamba + attention(h, 32, 2, 128) + feedForward(h, 10_000, 2) + 2 * experts + logits(h, 131_072);
    expect(of(nemotron, { sequenceLength: S }).megatron / expected).toBeCloseTo(1, 12);
  });
});

/** torchtitan's `get_nparams_and_flops` since pull request 4300, derived again from published counts of parameters. */
describe('torchtitan', () => {
  const S = 4096;
  const attention = (layers: number, heads: number, dims: number) => 6 * layers * heads * dims * S;

  it('dense', () => {
    const expected = 6 * (8_030_261_248 - 128_256 * 4096) + attention(32, 32, 2 * 128);
    expect(of(llama8, { sequenceLength: S }).torchtitan).toBe(expected);
  });

  it('tied embeddings stay in; every second layer of Gemma 2 sees a window of 4,096', () => {
    const layer = 6 * 16 * 2 * 256;
    const expected = 6 * 9_241_705_984 + 21 * layer * 8192 + 21 * layer * 4096;
    expect(of(gemma, { sequenceLength: 8192 }).torchtitan).toBe(expected);
  });

  it('experts by the share that a token uses', () => {
    const experts = 48 * 128 * 3 * 2048 * 768;
    const matrices = 30_532_122_624 - 151_936 * 2048 - experts + (experts * 8) / 128;
    expect(of(qwen30, { sequenceLength: S }).torchtitan).toBe(6 * matrices + attention(48, 32, 2 * 128));
  });

  it('latent attention; the load-balancing bias is a buffer; multi-token prediction with its attention and a second output', () => {
    const experts = 58 * 256 * 3 * 7168 * 2048;
    const matrices = 671_026_404_352 - 129_280 * 7168 - experts + (experts * 8) / 256;
    const without = 6 * matrices + attention(61, 128, 128 + 64 + 128);
    expect(of(deepseek, { sequenceLength: S, mtp: false }).torchtitan).toBe(without);
    const latent = 7168 * 1536 + 1536 + 1536 * 128 * 192 + 7168 * 576 + 512 + 512 * 128 * 256 + 128 * 128 * 7168;
    const layer = latent + 9 * 3 * 7168 * 2048 + 256 * 7168 + 2 * 7168;
    const depth = layer + 2 * 7168 * 7168 + 3 * 7168;
    const further = 6 * (depth + 129_280 * 7168) + attention(1, 128, 128 + 64 + 128);
    expect(of(deepseek, { sequenceLength: S, mtp: true }).torchtitan).toBe(without + further);
  });

  it('gpt-oss 20b and 120b, biases, sinks and windows and all: as torchtitan pull request 4300 prints them', () => {
    expect(of(oss20, { sequenceLength: S }).torchtitan).toBe(24_141_260_160);
    const oss120 = { ...oss20, num_hidden_layers: 36, num_local_experts: 128, layer_types: undefined };
    expect(of(oss120, { sequenceLength: S }).torchtitan).toBe(34_534_221_696);
  });

  it('deepseek_v3:debugmodel_mtp, with a layer that predicts a further token: as pull request 4300 prints it', () => {
    const debug = {
      model_type: 'deepseek_v3',
      vocab_size: 2048,
      hidden_size: 256,
      intermediate_size: 1024,
      moe_intermediate_size: 256,
      num_hidden_layers: 6,
      first_k_dense_replace: 1,
      num_attention_heads: 16,
      num_key_value_heads: 16,
      n_routed_experts: 8,
      n_shared_experts: 2,
      num_experts_per_tok: 3,
      n_group: 1,
      topk_group: 1,
      q_lora_rank: null,
      kv_lora_rank: 512,
      qk_nope_head_dim: 128,
      qk_rope_head_dim: 64,
      v_head_dim: 128,
      num_nextn_predict_layers: 1,
      tie_word_embeddings: false,
    };
    expect(of(debug, { sequenceLength: S, mtp: true }).torchtitan).toBe(1_077_436_416);
  });

  it('hybrid: only the layers of full attention have the quadratic term', () => {
    const [near, far] = [S, 2 * S].map((sequenceLength) => of(qwenNext, { sequenceLength }).torchtitan);
    expect((far ?? 0) - (near ?? 0)).toBe(attention(12, 16, 2 * 256));
  });

  it('a delta rule costs three products with its state in each of its layers', () => {
    const { torchtitan, '6n': sixN } = of(qwenNext, { sequenceLength: S });
    const states = 36 * 3 * 6 * 32 * 128 * 128;
    expect(torchtitan - (sixN - 6 * 151_936 * 2048)).toBe(attention(12, 16, 2 * 256) + states);
  });
});

describe('6N, PaLM, full and causal', () => {
  it('6N counts what a token uses, both embeddings too', () => {
    expect(of(llama8, { sequenceLength: 4096 })['6n']).toBe(6 * 8_030_261_248);
    expect(of(llama8, { sequenceLength: 4096 }).palm).toBe(6 * 8_030_261_248 + 12 * 32 * 32 * 128 * 4096);
  });

  it('an indexer counts in causal and full, a window in causal only', () => {
    const sparse = { model_type: 'deepseek_v32', num_hidden_layers: 1, first_k_dense_replace: 1 };
    const plain = { ...sparse, model_type: 'deepseek_v3', num_nextn_predict_layers: 0 };
    const S = 4096;
    const [with_, without] = [sparse, plain].map((config) => of(config, { sequenceLength: S, mtp: false }));
    const indexer = 6 * (1536 * 64 * 128 + 7168 * 128 + 7168 * 64);
    const scores = 6 * 64 * 128;
    const core = 6 * 128 * (192 + 128);
    expect((with_?.full ?? 0) - (without?.full ?? 0)).toBe(indexer + scores * S);
    const saved = core * (S / 2 - (2048 - 2048 ** 2 / (2 * S)));
    expect((with_?.causal ?? 0) - (without?.causal ?? 0)).toBe(indexer + (scores * S) / 2 - saved);
    expect(with_?.megatron).toBe(without?.megatron);
  });
});

const shape = fc.record({
  hidden_size: fc.integer({ min: 1, max: 16 }).map((n) => 64 * n),
  num_hidden_layers: fc.integer({ min: 1, max: 8 }),
  num_attention_heads: fc.constantFrom(4, 8, 16),
  num_key_value_heads: fc.constantFrom(1, 2, 4),
  head_dim: fc.constantFrom(32, 64, 128),
  intermediate_size: fc.integer({ min: 1, max: 32 }).map((n) => 64 * n),
  vocab_size: fc.integer({ min: 100, max: 5000 }),
});
const sequence = fc.integer({ min: 1, max: 20_000 });
const span: fc.Arbitrary<Span> = fc.oneof(
  fc.constant({ kind: 'full' } as const),
  fc.integer({ min: 1, max: 30_000 }).map((tokens) => ({ kind: 'window', tokens }) as const),
  fc.integer({ min: 1, max: 30_000 }).map((tokens) => ({ kind: 'chunk', tokens }) as const),
  fc.integer({ min: 1, max: 30_000 }).map((tokens) => ({ kind: 'selected', tokens }) as const),
);
const near = (a: number, b: number) => expect(Math.abs(a - b)).toBeLessThanOrEqual(1e-9 * Math.max(a, b));

describe('properties', () => {
  it('a span never lets a query see more than full attention; as long as the sequence, it is full attention', () => {
    fc.assert(
      fc.property(span, sequence, fc.boolean(), (one, S, causal) => {
        const full = meanContext({ kind: 'full' }, causal, S);
        const seen = meanContext(one, causal, S);
        expect(seen).toBeGreaterThan(0);
        expect(seen).toBeLessThanOrEqual(full * (1 + 1e-12));
        if (one.kind !== 'full' && (one.tokens ?? 0) >= S) near(seen, full);
      }),
    );
  });

  it('a window is the mean of what each query sees, itself counted half', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }), (w, S) => {
        let window = 0;
        let chunk = 0;
        for (let query = 0; query < S; query++) {
          window += query < w ? query + 0.5 : w;
          chunk += (query % w) + 0.5;
        }
        near(meanContext({ kind: 'window', tokens: w }, true, S), window / S);
        near(meanContext({ kind: 'chunk', tokens: w }, true, S), chunk / S);
      }),
    );
  });

  it('twice the layers, twice the layers; training three times forward; causal never above full', () => {
    fc.assert(
      fc.property(shape, sequence, (one, sequenceLength) => {
        const config = { model_type: 'llama', ...one };
        const once = count(config, { sequenceLength });
        const twice = count({ ...config, num_hidden_layers: 2 * one.num_hidden_layers }, { sequenceLength });
        const output = once.forward.lines['output'] ?? 0;
        near(twice.forward.total - output, 2 * (once.forward.total - output));
        near(once.training, 3 * once.forward.total);
        expect(once.conventions.causal).toBeLessThanOrEqual(once.conventions.full);
      }),
    );
  });

  it('a window as long as the sequence costs what full attention costs', () => {
    fc.assert(
      fc.property(shape, sequence, fc.integer({ min: 0, max: 1000 }), (one, sequenceLength, more) => {
        const full = count({ model_type: 'llama', ...one }, { sequenceLength });
        const window = { model_type: 'mistral', ...one, sliding_window: sequenceLength + more };
        near(count(window, { sequenceLength }).training, full.training);
      }),
    );
  });

  it('all experts chosen is one network as wide as all of them, and a router', () => {
    fc.assert(
      fc.property(shape, fc.integer({ min: 1, max: 8 }), (one, experts) => {
        const run = { sequenceLength: 1024 };
        const routed = { model_type: 'mixtral', ...one, num_local_experts: experts, num_experts_per_tok: experts };
        const dense = { model_type: 'llama', ...one, intermediate_size: experts * one.intermediate_size };
        const router = 2 * one.num_hidden_layers * one.hidden_size * experts;
        near(count(routed, run).forward.total, count(dense, run).forward.total + router);
      }),
    );
  });

  it('adapters cost less than full training and more than a forward pass', () => {
    const targets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
    fc.assert(
      fc.property(shape, fc.subarray(targets, { minLength: 1 }), (one, chosen) => {
        const config = { model_type: 'llama', ...one };
        const plain = count(config, { sequenceLength: 1024 });
        const lora = count(config, { sequenceLength: 1024, lora: { rank: 1, targets: chosen, baseBits: 16 } });
        expect(lora.training).toBeLessThan(plain.training);
        expect(lora.training).toBeGreaterThan(plain.forward.total);
      }),
    );
  });

  it('recompute executes more and trains the same: none, selective, every n-th, block, full', () => {
    fc.assert(
      fc.property(shape, fc.integer({ min: 1, max: 8 }), (one, n) => {
        const config = { model_type: 'llama', ...one };
        const executed = (fields: RunFields) => {
          const { hardware, training } = count(config, { sequenceLength: 2048, ...fields });
          expect(hardware).toBeGreaterThanOrEqual(training);
          return hardware - training;
        };
        const full = executed({ recompute: 'full' });
        const layers = one.num_hidden_layers;
        const every = executed({ recompute: 'full', recomputeMethod: 'every', recomputeLayers: n });
        const block = executed({ recompute: 'full', recomputeMethod: 'block', recomputeLayers: n });
        expect(executed({})).toBe(0);
        near(every, (full / layers) * Math.floor(layers / n));
        near(block, (full / layers) * Math.min(layers, n));
        expect(executed({ recompute: 'selective', framework: 'megatron' })).toBeLessThan(full);
        expect(executed({ recompute: 'selective', framework: 'fsdp' })).toBeLessThan(full);
      }),
    );
  });
});

describe('recompute', () => {
  const S = 8192;
  const extra = (fields: RunFields) => {
    const { hardware, training } = count(llama8, { sequenceLength: S, recompute: 'selective', ...fields });
    return hardware - training;
  };

  it("Megatron's modules", () => {
    const core = 32 * 2 * 32 * 256 * (S / 2);
    const mlp = 32 * 2 * 3 * 4096 * 14_336;
    expect(extra({ framework: 'megatron' })).toBe(core);
    expect(extra({ framework: 'megatron', recomputeModules: ['core_attn', 'mlp'] })).toBe(core + mlp);
    expect(extra({ framework: 'megatron', recomputeModules: ['layernorm', 'moe_act'] })).toBe(0);
  });

  it("torchtitan's every second product: key, output and up projections; attention is kept", () => {
    expect(extra({ framework: 'fsdp' })).toBe(32 * 2 * 4096 * (1024 + 4096 + 14_336));
  });
});

describe('adapters', () => {
  it('have the number of elements that PEFT prints', () => {
    const trained = (config: object, targets: readonly string[], rank: number) => {
      const lora = { rank, targets, baseBits: 16 };
      return adapterParameters(read(config, { sequenceLength: 1024, lora }).operations, lora);
    };
    expect(trained(committed('llama-7b'), ['q_proj', 'v_proj'], 8)).toBe(4_194_304);
    // A matrix that holds queries, keys and values has one adapter: rank (D + H d + 2 K d).
    const phi = 32 * 16 * (3072 + 3 * 3072 + (3072 + 2 * 8192));
    expect(trained(committed('phi-3-mini'), ['qkv_proj', 'gate_up_proj'], 16)).toBe(phi);
    // DeepSeek-V3 compresses its queries, so that it has no `q_proj`.
    expect(trained(deepseek, ['q_proj'], 8)).toBe(0);
    // The output matrix alone: the `output` of an attention block is another.
    expect(trained(committed('llama-7b'), ['lm_head'], 8)).toBe(8 * (4096 + 32_000));
  });
});
