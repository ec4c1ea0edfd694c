import { describe, expect, it } from 'vitest';
import { countParameters } from '../../src/cost/count/parameters.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { findModel } from '../../src/facts/models.ts';
import { readConfig } from '../../src/read/config.ts';
import { modules } from '../../src/read/formats/quantization.ts';
import official from './modules.json' with { type: 'json' };

const count = (config: object) => {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  return {
    ...countParameters(reading.architecture, expand(reading.architecture)),
    exact: reading.architecture.exact,
    assumptions: reading.assumptions,
  };
};

const deepseekV3 = {
  model_type: 'deepseek_v3',
  hidden_size: 7168,
  intermediate_size: 18432,
  moe_intermediate_size: 2048,
  num_hidden_layers: 61,
  num_attention_heads: 128,
  num_key_value_heads: 128,
  vocab_size: 129280,
  first_k_dense_replace: 3,
  n_routed_experts: 256,
  n_shared_experts: 1,
  num_experts_per_tok: 8,
  q_lora_rank: 1536,
  kv_lora_rank: 512,
  qk_nope_head_dim: 128,
  qk_rope_head_dim: 64,
  v_head_dim: 128,
  num_nextn_predict_layers: 1,
  tie_word_embeddings: false,
};

const gptOss = {
  model_type: 'gpt_oss',
  hidden_size: 2880,
  intermediate_size: 2880,
  num_hidden_layers: 24,
  num_attention_heads: 64,
  num_key_value_heads: 8,
  head_dim: 64,
  num_local_experts: 32,
  num_experts_per_tok: 4,
  vocab_size: 201088,
  tie_word_embeddings: false,
};

/** One layer, so that sums can be followed by hand: 4 heads of 64, two of keys and values. */
const [D, F, V] = [256, 512, 1000];
const tiny = {
  model_type: 'llama',
  hidden_size: D,
  intermediate_size: F,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: V,
  tie_word_embeddings: false,
};
const attention = 2 * D * D + 2 * D * 128;
const feedForward = 3 * D * F;
const outputs = 2 * D + 2 * 128 + 2 * F + D;
const inputs = 6 * D + F;
/** Tables, norms, the output matrix: 16 bits whatever the quantiser. */
const plain = 2 * (2 * V * D + 3 * D);
const ofTiny = (quantization_config: object, changes: object = {}) =>
  count({ ...tiny, ...changes, quantization_config }).checkpoint;

describe('checkpoints as published, to the byte', () => {
  it('DeepSeek-V3: fp8 in blocks of 128 x 128, multi-token prediction included', () => {
    const { checkpoint, total } = count({
      ...deepseekV3,
      quantization_config: {
        quant_method: 'fp8',
        activation_scheme: 'dynamic',
        fmt: 'e4m3',
        weight_block_size: [128, 128],
      },
    });
    expect(total).toBe(671_026_419_200);
    expect(checkpoint).toBe(688_574_839_360);
  });

  it('gpt-oss-20b: experts in MXFP4', () => {
    const modules_to_not_convert = [
      'model.layers.*.self_attn',
      'model.layers.*.mlp.router',
      'model.embed_tokens',
      'lm_head',
    ];
    const { checkpoint, total } = count({
      ...gptOss,
      quantization_config: { quant_method: 'mxfp4', modules_to_not_convert },
    });
    expect(total).toBe(20_914_757_184);
    expect(checkpoint).toBe(13_761_264_768);
  });

  const affine = (bits: number, changes: object = {}) => ({ quantization: { bits, group_size: 64, ...changes } });
  const inEightBits = { bits: 8, group_size: 64 };
  const routers = Object.fromEntries(
    Array.from({ length: 40 }, (_, layer) =>
      ['mlp.gate', 'mlp.shared_expert_gate'].map((name) => [
        `language_model.model.layers.${layer}.${name}`,
        inEightBits,
      ]),
    ).flat(),
  );

  // Sizes as exo's cards of these models state them (exo-explore/exo, resources/inference_model_cards).
  it.each([
    ['Qwen3.6-27B-4bit', 'Qwen/Qwen3.5-27B', affine(4), 16_054_262_240],
    ['Qwen3.6-27B-8bit', 'Qwen/Qwen3.5-27B', affine(8), 29_500_938_720],
    ['Qwen3.6-35B-A3B-4bit, its routers in 8 bits', 'Qwen/Qwen3.5-35B-A3B', affine(4, routers), 20_401_929_952],
    ['Qwen3.6-35B-A3B-8bit', 'Qwen/Qwen3.5-35B-A3B', affine(8), 37_721_128_672],
  ])(
    'mlx-community/%s: every matrix and table, no layer of multi-token prediction, its encoder in 16 bits',
    (...row) => {
      const [, name, quantization, bytes] = row;
      const plain = count({ ...findModel(name)?.config });
      const quantized = count({ ...findModel(name)?.config, ...quantization });
      expect(quantized.checkpoint).toBe(bytes);
      expect(quantized.total).toBe(plain.total);
    },
  );
});

describe('names of modules', () => {
  const known = new Set(official.flatMap(({ names }) => names));

  it.each(Object.entries(modules))('%s: each of its names is in a list of modules as published', (_path, suffixes) => {
    expect(suffixes.filter((suffix) => !known.has(suffix))).toEqual([]);
  });
});

describe('one layer, followed by hand', () => {
  it('16 and 32 bits, by the stated type', () => {
    const { total } = count(tiny);
    expect(count({ ...tiny, torch_dtype: 'bfloat16' }).checkpoint).toBe(2 * total);
    expect(count({ ...tiny, dtype: 'float32' }).checkpoint).toBe(4 * total);
    expect(count(tiny).checkpoint).toBe(2 * total);
  });

  it.each([
    ['GPTQ', { quant_method: 'gptq', bits: 4, group_size: 128 }, 0.5 + 2.5 / 128, 4 * inputs],
    ['AWQ', { quant_method: 'awq', bits: 4, group_size: 128 }, 0.5 + 2.5 / 128, 0],
    ['NF4', { quant_method: 'bitsandbytes', load_in_4bit: true }, 0.5 + 4 / 64, 7 * 64],
    [
      'NF4, quantised twice',
      { quant_method: 'bitsandbytes', bnb_4bit_use_double_quant: true },
      0.5 + 1 / 64 + 4 / 16384,
      7 * 1088,
    ],
    ['LLM.int8', { quant_method: 'bitsandbytes', load_in_8bit: true }, 1, 4 * outputs + 7],
    ['fp8 by output', { quant_method: 'fbgemm_fp8' }, 1, 4 * outputs + 7 * 4],
    [
      'fp8 by matrix, both scales',
      { quant_method: 'fp8', weight_block_size: null, activation_scheme: 'static' },
      1,
      7 * 4,
    ],
    ['NVFP4', { quant_method: 'modelopt', quant_algo: 'NVFP4' }, 0.5 + 1 / 16, 7 * 8],
    [
      'MXFP4 of all',
      {
        quant_method: 'compressed-tensors',
        format: 'mxfp4-pack-quantized',
        config_groups: { a: { targets: ['Linear'], weights: { num_bits: 4, type: 'float', group_size: 32 } } },
      },
      0.5 + 1 / 32,
      0,
    ],
    [
      'packed int4',
      {
        quant_method: 'compressed-tensors',
        format: 'pack-quantized',
        config_groups: {
          a: { targets: ['Linear'], weights: { num_bits: 4, type: 'int', strategy: 'group', group_size: 32 } },
        },
      },
      0.5 + 2 / 32,
      7 * 16,
    ],
    [
      'fp8, dynamic, by channel',
      {
        quant_method: 'compressed-tensors',
        format: 'float-quantized',
        config_groups: { a: { targets: ['Linear'], weights: { num_bits: 8, type: 'float', strategy: 'channel' } } },
      },
      1,
      2 * outputs,
    ],
  ])('%s', (_name, config, bytesPerWeight, beside) => {
    expect(ofTiny(config)).toBe(Math.ceil(plain + (attention + feedForward) * bytesPerWeight + beside));
    expect(count({ ...tiny, quantization_config: config }).total).toBe(count(tiny).total);
  });

  const ignoring = (ignore: readonly string[]) =>
    ofTiny({
      quant_method: 'compressed-tensors',
      format: 'float-quantized',
      ignore,
      config_groups: { a: { targets: ['Linear'], weights: { num_bits: 8, type: 'float', strategy: 'tensor' } } },
    });
  const without = (kept: number, matrices: number) =>
    plain + 2 * kept + (attention + feedForward - kept) + 4 * (7 - matrices);

  it.each([
    ['by name', ['model.layers.0.self_attn.q_proj'], D * D, 1],
    ['by a part of the name', ['self_attn', 'lm_head'], attention, 4],
    ['one matrix of the feed-forward', ['mlp.down_proj'], D * F, 1],
    ['by a wildcard', ['model.layers.0.mlp*'], feedForward, 3],
    ['by an expression', ['re:.*self_attn.*', 're:.*lm_head'], attention, 4],
    ['by alternatives', ['re:.*mlp\\.(gate|up)_proj$'], 2 * D * F, 2],
    ['by alternatives of the whole', ['re:.*up_proj|.*gate_proj'], 2 * D * F, 2],
    ['by alternatives within alternatives', ['re:.*(mlp\\.(gate|up)|none)_proj$'], 2 * D * F, 2],
    ['another layer', ['model.layers.1.self_attn.q_proj'], 0, 0],
    ['no part, only letters', ['model.layers.0.self_attn.q', 'gate'], 0, 0],
  ])('modules kept %s', (_name, ignore, kept, matrices) => {
    expect(ignoring(ignore)).toBe(without(kept, matrices));
  });

  it('layers with algorithms of their own', () => {
    const quantized_layers = {
      'model.layers.0.mlp.up_proj': { quant_algo: 'NVFP4', group_size: 16 },
      'model.layers.0.self_attn.o_proj': { quant_algo: 'FP8' },
    };
    const kept = attention + feedForward - D * F - D * D;
    expect(ofTiny({ quant_method: 'modelopt', quant_algo: 'MIXED_PRECISION', quantized_layers })).toBe(
      plain + 2 * kept + D * F * (0.5 + 1 / 16) + 8 + D * D + 8,
    );
  });

  /** Bytes of one weight in GPTQ's packing, without its index. */
  const packed = (bits: number, group: number) => bits / 8 + (2 + bits / 8) / group;
  const gptq = (changes: object) => ofTiny({ quant_method: 'gptq', bits: 4, group_size: 128, ...changes });
  const [upper, down] = [2 * D * F, D * F];
  const inFour = { attention: attention * packed(4, 128) + 4 * 4 * D, upper: upper * packed(4, 128) + 4 * 2 * D };
  const downInFour = down * packed(4, 128) + 4 * F;

  it.each([
    ['keeps what begins with an expression', { '-:.*self_attn': {} }, 2 * attention + inFour.upper + downInFour],
    [
      'gives what it names bits and groups of its own',
      { '.*\\.down_proj$': { bits: 8, group_size: 32 } },
      inFour.attention + inFour.upper + down * packed(8, 32) + 4 * F,
    ],
    [
      'takes the first that fits',
      { '+:model\\.layers\\.[0-9]+\\.mlp\\.down': { bits: 8 }, '-:.*mlp': {} },
      inFour.attention + 2 * upper + down * packed(8, 128) + 4 * F,
    ],
    ['names another layer', { '-:model\\.layers\\.([1-9]\\d*)\\.': {} }, inFour.attention + inFour.upper + downInFour],
    ['begins where a name does', { '-:self_attn': {} }, inFour.attention + inFour.upper + downInFour],
  ])("GPTQModel's `dynamic` %s", (_name, dynamic, bytes) => {
    expect(gptq({ dynamic })).toBe(Math.ceil(plain + bytes));
  });

  it('GPTQ of the output matrix, where the config says so', () => {
    expect(gptq({ lm_head: true }) - gptq({})).toBe(V * D * packed(4, 128) + 4 * D - 2 * V * D);
  });

  const autoRound = (changes: object) =>
    ofTiny({ quant_method: 'auto-round', bits: 4, group_size: 128, data_type: 'int', ...changes });

  it.each([
    ['all', {}, (attention + feedForward) * packed(4, 128)],
    ['all of its blocks', { block_name_to_quantize: 'model.layers' }, (attention + feedForward) * packed(4, 128)],
    [
      'but one that is named',
      { extra_config: { 'model.layers.0.mlp.down_proj': { bits: 16 } } },
      (attention + upper) * packed(4, 128) + 2 * down,
    ],
    [
      'and others by an expression',
      { extra_config: { '.*self_attn.*': { bits: 8, group_size: 32 } } },
      attention * packed(8, 32) + feedForward * packed(4, 128),
    ],
    ['in blocks of MX', { data_type: 'mx_fp4', group_size: 32 }, (attention + feedForward) * (0.5 + 1 / 32)],
    ['in NVFP4', { data_type: 'nv_fp4', group_size: 16 }, (attention + feedForward) * (0.5 + 1 / 16) + 7 * 4],
  ])('AutoRound %s', (_name, changes, bytes) => {
    expect(autoRound(changes)).toBe(Math.ceil(plain + bytes));
  });

  it.each([
    ['fp8 in the first group', { a: 'down', b: 'rest' }],
    ['fp8 in the last', { a: 'rest', b: 'down' }],
  ])('NVFP4, and %s', (_name, order) => {
    const groups = {
      down: {
        targets: ['re:.*down_proj'],
        format: 'float-quantized',
        weights: { num_bits: 8, type: 'float', strategy: 'channel' },
      },
      rest: {
        targets: ['Linear'],
        format: 'nvfp4-pack-quantized',
        weights: { num_bits: 4, type: 'float', strategy: 'tensor_group', group_size: 16 },
        input_activations: { dynamic: 'local' },
      },
    };
    const config_groups = Object.fromEntries(
      Object.entries(order).map(([name, group]) => [name, group === 'down' ? groups.down : groups.rest]),
    );
    const config = {
      quant_method: 'compressed-tensors',
      format: 'mixed-precision',
      config_groups,
      ignore: ['lm_head'],
    };
    const bytes = plain + (attention + upper) * (0.5 + 1 / 16) + 6 * 4 + down + 2 * D;
    expect(ofTiny(config)).toBe(bytes);
    expect(count({ ...tiny, compression_config: config }).checkpoint).toBe(bytes);
  });

  /** MLX keeps norms alone. */
  const mlx = (changes: object, model: object = {}) =>
    count({ ...tiny, ...model, quantization: { bits: 4, group_size: 64, ...changes } });
  const inGroups = (bits: number, group: number) => bits / 8 + 4 / group;
  const norms = 2 * 3 * D;
  const everything = attention + feedForward + 2 * V * D;

  it.each([
    ['every matrix and table', {}, everything * inGroups(4, 64)],
    [
      'and one in 8 bits',
      { 'model.layers.0.mlp.down_proj': { bits: 8, group_size: 32 } },
      (everything - down) * inGroups(4, 64) + down * inGroups(8, 32),
    ],
    ['but one', { 'model.layers.0.mlp.down_proj': false }, (everything - down) * inGroups(4, 64) + 2 * down],
    [
      'but the tables',
      { 'model.embed_tokens': false, lm_head: false },
      (everything - 2 * V * D) * inGroups(4, 64) + 4 * V * D,
    ],
    ['in blocks of MX', { mode: 'mxfp4', group_size: 32 }, everything * (0.5 + 1 / 32)],
  ])('MLX: %s', (_name, changes, bytes) => {
    expect(mlx(changes).checkpoint).toBe(norms + bytes);
    expect(mlx(changes).exact).toBe(true);
  });

  it('MLX keeps a matrix whose inputs its groups do not divide', () => {
    const narrow = { intermediate_size: F + 32 };
    const kept = D * (F + 32);
    const quantized = everything - feedForward + 2 * kept;
    expect(mlx({}, narrow).checkpoint).toBe(norms + quantized * inGroups(4, 64) + 2 * kept);
  });

  it("MLX's routers are in doubt where the config does not name them", () => {
    const { exact, assumptions } = mlx({}, { model_type: 'mixtral', num_local_experts: 4, num_experts_per_tok: 2 });
    expect(exact).toBe(false);
    expect(assumptions.find(({ field }) => field === 'quantization_config')?.reason).toContain('routers');
  });

  it.each([
    ['a quantiser that nobody knows', { quant_method: 'my_quant' }],
    ['an AutoRound format that is not read', { quant_method: 'auto-round', bits: 4, data_type: 'fp4_hif' }],
    [
      'a module in a format that is not read',
      { quant_method: 'auto-round', bits: 4, extra_config: { a: { bits: 'few' } } },
    ],
  ])('%s is said to be unknown, and no count is exact', (_name, config) => {
    const counted = count({ ...tiny, quantization_config: config });
    expect(counted.checkpoint).toBe(2 * counted.total);
    expect(counted.exact).toBe(false);
    expect(counted.assumptions.map(({ field }) => field)).toContain('quantization_config');
  });

  it.each([
    ['an expression that looks ahead', { quant_method: 'gptq', bits: 4, dynamic: { '-:(?!.*mlp).*': {} } }],
    [
      'blocks of a tower',
      { quant_method: 'auto-round', bits: 4, block_name_to_quantize: 'model.layers,vision.blocks' },
    ],
  ])('%s is told, and no count is exact', (_name, config) => {
    const counted = count({ ...tiny, quantization_config: config });
    expect(counted.exact).toBe(false);
    expect(counted.assumptions.map(({ field }) => field)).toContain('quantization_config');
  });

  it("a stranger's expressions are never run, and never hang", () => {
    const started = performance.now();
    const evil = [`re:${'(a+)+'.repeat(40)}$`, `re:(${'x|'.repeat(60)}y)(${'x|'.repeat(60)}y)`, `${'*a'.repeat(140)}`];
    const many = (count: number) => ignoring(Array.from({ length: count }, (_, index) => evil[index % 3] ?? ''));
    expect(many(2_000)).toBe(without(0, 0));
    const deep = { ...tiny, num_hidden_layers: 10_000 };
    const ignore = Array.from({ length: 2_000 }, (_, index) => `*a*b*c${index}*`);
    const counted = count({ ...deep, quantization_config: { quant_method: 'fp8', modules_to_not_convert: ignore } });
    expect(counted.assumptions.map(({ field }) => field)).toContain('quantization_config');
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  const entries = (many: number, name: (index: number) => string, change: unknown = { bits: 8, group_size: 32 }) =>
    Object.fromEntries(Array.from({ length: many }, (_, index) => [name(index), change]));

  it.each([
    [
      'expressions that are slow to run',
      { quant_method: 'gptq', dynamic: entries(300, (one) => `-:(a+)+(.*)*${one}$`) },
    ],
    ['many names', { quant_method: 'gptq', dynamic: entries(20_000, (one) => `model.layers.${one}`) }],
    ['many of AutoRound', { quant_method: 'auto-round', bits: 4, extra_config: entries(5_000, (one) => `.*${one}.*`) }],
    [
      'many modules of AutoRound',
      { quant_method: 'auto-round', bits: 4, extra_config: entries(20_000, (one) => `a.${one}`) },
    ],
    ['many blocks', { quant_method: 'auto-round', bits: 4, block_name_to_quantize: [[['a,'.repeat(50_000)]]] }],
    ['many modules of MLX', { bits: 4, group_size: 64, ...entries(20_000, (one) => `model.layers.${one}`) }],
    [
      'names of the prototype',
      { quant_method: 'gptq', dynamic: JSON.parse('{"__proto__": {"bits": 2}, "-:constructor": {}}') },
    ],
    ['groups beyond any', { bits: 4, group_size: 2 ** 40 }],
    ['bits of every kind', { quant_method: 'gptq', bits: -4, dynamic: { '.*': { bits: 1e9, group_size: 'x' } } }],
  ])('%s do not hang and give a finite number', (_name, config) => {
    const started = performance.now();
    const counted = count({ ...tiny, num_hidden_layers: 100, quantization_config: config });
    expect(counted.checkpoint).toBeGreaterThan(0);
    expect(counted.checkpoint).toBeLessThanOrEqual(8 * counted.total);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
