import type { Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import { deepseekPrediction } from './latent.ts';
import {
  bothSides,
  dense,
  experts,
  fullBias,
  grouped,
  inputBias,
  llamaAttention,
  noBias,
  normOf,
  spanOf,
  table,
} from './pieces.ts';
import { always, denseFirst, each, fullEvery, listedOr, slidingPlan, sparseByStep } from './plan.ts';
import { nextToken } from './prediction.ts';
import type { Shape } from './shape.ts';
import {
  alwaysOn,
  biasBy,
  denseOrExperts,
  denseWith,
  either,
  flag,
  fourTimes,
  fp32HeadNorm,
  fp32WidthNorm,
  groupedBy,
  groupedWith,
  headLayerNorm,
  headNorm,
  inputBiasBy,
  layerNorms,
  learnedPositions,
  llamaWith,
  modeling,
  multiHead,
  widthNorm,
  windowed,
} from './vocabulary.ts';

const llama: Family = { source: modeling('llama'), feedForwardBias: (fields) => fields.boolean('mlp_bias') };

const qwen3: Family = {
  source: modeling('qwen3'),
  attention: llamaWith({ queryKeyNorm: headNorm }),
};

const qwen2: Family = {
  source: modeling('qwen2'),
  attention: windowed({ bias: inputBias }),
};

const qwenMoe: Family = {
  ...qwen3,
  source: modeling('qwen3_moe'),
  mlps: sparseByStep,
  feedForward: denseOrExperts(),
};

const gemma: Family = {
  source: modeling('gemma'),
  norm: { style: 'rms', upcast: 'weight' },
  activation: 'gelu_tanh',
  tied: true,
};
const gemma2: Family = {
  ...gemma,
  source: modeling('gemma2'),
  norms: 'sandwich',
  softcapped: true,
  attention: llamaWith({ softcapped: true }),
  mixers: listedOr(fullEvery(2)),
};
const gemma3: Family = {
  ...gemma2,
  source: modeling('gemma3'),
  softcapped: false,
  attention: llamaWith({ queryKeyNorm: fp32HeadNorm }),
  mixers: listedOr(fullEvery('sliding_window_pattern')),
};

/** GPT-2's block: LayerNorm, learned positions, biases everywhere, no gate. */
const gpt2: Family = {
  source: modeling('gpt2'),
  norm: layerNorms,
  attention: groupedWith({ bias: fullBias, rotary: false, fused: true }),
  gated: false,
  activation: 'gelu_tanh',
  feedForwardBias: true,
  feedForward: (shape, fields) =>
    dense(shape.hiddenSize, shape.width, {
      gated: false,
      activation: fields.string('activation_function') === 'gelu_new' ? 'gelu_new' : 'gelu_tanh',
      bias: bothSides(true),
    }),
  tied: true,
  embedding: learnedPositions(['n_positions', 'max_position_embeddings', 'n_ctx']),
};

const gptNeox: Family = {
  source: modeling('gpt_neox'),
  norm: layerNorms,
  norms: either('use_parallel_residual', 'double', 'pre'),
  attention: (shape, fields) => {
    const bias = fields.boolean('attention_bias');
    return grouped(
      { ...shape, keyValueHeads: shape.heads },
      {
        bias: bias ? fullBias : noBias,
        fused: true,
        rotaryJoined: true,
      },
    );
  },
  gated: false,
  activation: 'gelu',
  feedForwardBias: true,
};

const falconNew = (fields: Fields) => fields.boolean('new_decoder_architecture');

const falcon: Family = {
  source: modeling('falcon'),
  norm: layerNorms,
  norms: (fields) => {
    if (falconNew(fields)) return fields.optionalInteger('num_ln_in_parallel_attn') === 1 ? 'single' : 'double';
    return fields.boolean('parallel_attn') ? 'single' : 'pre';
  },
  attention: (shape, fields) => {
    const queries = fields.boolean('multi_query') ? 1 : shape.heads;
    const keyValueHeads = falconNew(fields) ? fields.integerOr(['num_kv_heads', 'n_head_kv'], shape.heads, 1) : queries;
    const bias = fields.boolean('bias');
    return grouped(
      { ...shape, keyValueHeads, headDim: Math.floor(shape.hiddenSize / shape.heads) },
      {
        bias: bias ? fullBias : noBias,
        fused: true,
        ...(keyValueHeads === 1 && !falconNew(fields) ? { broadcastKeys: true as const } : {}),
      },
    );
  },
  gated: false,
  activation: 'gelu',
  feedForwardBias: flag('bias'),
  width: fourTimes('ffn_hidden_size'),
  tied: true,
};

const phi: Family = {
  source: modeling('phi'),
  norm: layerNorms,
  norms: 'single',
  attention: (shape, fields) => {
    const norm = fields.boolean('qk_layernorm');
    return grouped(shape, {
      bias: fullBias,
      rotaryJoined: true,
      ...(norm ? { queryKeyNorm: headLayerNorm } : {}),
    });
  },
  gated: false,
  activation: 'gelu_new',
  feedForwardBias: true,
  outputBias: () => true,
};

/** GPT-J and CodeGen: one norm for both blocks, biases in the feed-forward and the output only. */
const gptj: Family = {
  ...phi,
  source: modeling('gptj'),
  answersByLabels: true,
  attention: multiHead({ rotaryJoined: true }),
  width: fourTimes('n_inner'),
};

const olmo2: Family = {
  source: modeling('olmo2'),
  norm: { style: 'rms', upcast: 'weight' },
  norms: 'post',
  attention: llamaWith({ queryKeyNorm: fp32WidthNorm }),
};

const sparseOf = (changes: (fields: Fields, shape: Shape) => Parameters<typeof experts>[2] = () => ({})) => ({
  mlps: always('experts'),
  feedForward: (shape: Shape, fields: Fields) => experts(shape, fields, changes(fields, shape)),
});

/** GLM-4: biases on query, key and value. */
const glmAttention = (shape: Shape, fields: Fields) =>
  grouped(shape, { bias: inputBiasBy(fields, 'attention_bias'), rotaryJoined: true });

const glm4Moe: Family = {
  source: `${modeling('glm4_moe')}; multi-token prediction and its copies: zai-org/GLM-4.5-Air`,
  prediction: deepseekPrediction,
  copiesEmbeddings: true,
  attention: (shape, fields) => ({
    ...glmAttention(shape, fields),
    ...(fields.boolean('use_qk_norm') ? { queryKeyNorm: headNorm } : {}),
  }),
  mlps: denseFirst,
  feedForward: denseOrExperts({ shared: { times: 'n_shared_experts' }, correctionBias: true }),
};

/** A matrix between two widths, where they differ. */
const between = (path: string, rows: number, columns: number): readonly Part[] =>
  rows === columns ? [] : [{ kind: 'linear', path, rows, columns, bias: false, component: 'embedding' }];

/** Persimmon: one matrix for queries, keys and values, LayerNorms on queries and keys. */
export const persimmonAttention = (shape: Shape, fields: Fields) =>
  grouped(
    { ...shape, keyValueHeads: shape.heads },
    {
      bias: fullBias,
      fused: true,
      ...(fields.boolean('qk_layernorm') ? { queryKeyNorm: headLayerNorm } : {}),
    },
  );

export const denseFamilies: Readonly<Record<string, Family>> = {
  gpt2,
  gpt_bigcode: {
    ...gpt2,
    feedForward: denseWith({ gated: false, activation: 'gelu_tanh', bias: bothSides(true) }),
    source: modeling('gpt_bigcode'),
    attention: (shape, fields) =>
      grouped(
        { ...shape, keyValueHeads: fields.boolean('multi_query') ? 1 : shape.heads },
        { bias: fullBias, rotary: false, fused: true },
      ),
  },
  opt: {
    ...gpt2,
    feedForward: (shape, fields) =>
      dense(shape.hiddenSize, shape.width, {
        gated: false,
        activation: 'relu',
        bias: bothSides(fields.boolean('enable_bias')),
      }),
    source: modeling('opt'),
    // Galactica's norms have no weights.
    normWeight: flag('layer_norm_elementwise_affine'),
    attention: (shape, fields) => grouped(shape, { bias: biasBy(fields, 'enable_bias'), rotary: false }),
    activation: 'relu',
    finalNorm: (fields) => fields.boolean('do_layer_norm_before') && !fields.boolean('_remove_final_layer_norm'),
    // OPT-350m's tokens are narrower than its residual stream: matrices lead in and out.
    tableWidth: (fields, D) => fields.integerOr('word_embed_proj_dim', D, 1),
    // The table has two rows for padding in front of the first position.
    embedding: ({ hiddenSize: D }, fields) => [
      ...between('embedding.projection', fields.integerOr('word_embed_proj_dim', D, 1), D),
      table('embedding.position', fields.integer('max_position_embeddings') + 2, D),
    ],
    beforeOutput: ({ hiddenSize: D }, fields) =>
      between('output.projection', D, fields.integerOr('word_embed_proj_dim', D, 1)),
  },
  bloom: {
    ...gpt2,
    feedForward: denseWith({ gated: false, activation: 'gelu_tanh', bias: bothSides(true) }),
    source: modeling('bloom'),
    width: fourTimes(),
    embedding: (shape) => [normOf({ source: '', norm: layerNorms }, 'norm.embedding', shape.hiddenSize)],
  },
  mpt: {
    source: modeling('mpt'),
    norm: { style: 'layer', bias: false },
    // llm-foundry's grouped queries; the class of Transformers has as many keys as queries.
    attention: (shape, fields) => {
      const keyValueHeads = fields.nested('attn_config').integerOr('kv_n_heads', shape.heads, 1);
      return grouped({ ...shape, keyValueHeads }, { rotary: false, fused: true });
    },
    gated: false,
    activation: 'gelu',
    width: (fields, D) => D * fields.integer('expansion_ratio', 0),
    tied: true,
  },
  gpt_neox: gptNeox,
  gptj,
  codegen: { ...gptj, source: modeling('codegen') },
  falcon,
  phi,
  'phi-msft': {
    ...phi,
    source: 'microsoft/phi-2 modeling_phi.py',
    defaultsOf: 'phi',
    width: fourTimes(['n_inner', 'intermediate_size']),
  },
  starcoder2: {
    source: modeling('starcoder2'),
    norm: layerNorms,
    attention: (shape, fields, mixer) => {
      const bias = fields.boolean('use_bias');
      return grouped(shape, { bias: bias ? fullBias : noBias, span: spanOf(mixer, fields) });
    },
    gated: false,
    activation: 'gelu_tanh',
    feedForwardBias: flag('use_bias'),
    tied: true,
  },
  stablelm: {
    source: modeling('stablelm'),
    norm: layerNorms,
    norms: either('use_parallel_residual', 'single', 'pre'),
    attention: (shape, fields) => {
      const norm = fields.boolean('qk_layernorm');
      return grouped(shape, {
        bias: inputBiasBy(fields, 'use_qkv_bias'),
        rotaryJoined: true,
        ...(norm
          ? { queryKeyNorm: { over: 'head', style: 'layer', weight: true, bias: false, perHead: true } as const }
          : {}),
      });
    },
  },

  llama,
  mistral: { ...llama, source: modeling('mistral') },
  ministral: { ...llama, source: modeling('ministral') },
  ministral3: { ...llama, source: modeling('ministral3') },
  smollm3: { ...llama, source: modeling('smollm3'), tied: true },
  granite: { ...llama, source: modeling('granite') },
  helium: {
    ...llama,
    source: modeling('helium'),
    attention: (shape, fields) => {
      // Its output matrix is as wide as the stream on both sides, so other heads cannot run.
      if (shape.heads * shape.headDim !== shape.hiddenSize)
        throw fields.wrong(
          'head_dim',
          `must be hidden_size / num_attention_heads (${shape.hiddenSize} / ${shape.heads}) in this family`,
          shape.headDim,
        );
      return grouped(shape, { bias: inputBiasBy(fields, 'attention_bias') });
    },
  },
  baichuan: { ...llama, source: 'baichuan-inc/Baichuan2-7B-Chat modeling_baichuan.py', defaultsOf: 'llama' },
  xverse: { ...llama, source: 'xverse/XVERSE-7B modeling_xverse.py', defaultsOf: 'llama' },
  minicpm: { ...llama, source: 'openbmb/MiniCPM4-8B modeling_minicpm.py', defaultsOf: 'llama', tied: true },
  mimo: {
    ...qwen2,
    source: 'XiaomiMiMo/MiMo-7B modeling_mimo.py',
    defaultsOf: 'qwen2',
    prediction: nextToken('dense'),
  },
  aquila: { ...llama, source: 'BAAI/Aquila2 modeling_aquila.py', defaultsOf: 'llama' },
  orion: { ...llama, source: 'OrionStarAI/Orion-14B modeling_orion.py', norm: layerNorms, defaultsOf: 'llama' },
  internlm: {
    ...llama,
    source: 'internlm/internlm-7b modeling_internlm.py',
    defaultsOf: 'llama',
    defaults: { bias: true },
    attention: groupedBy('bias'),
  },
  internlm2: {
    ...llama,
    source: 'internlm/internlm2-7b modeling_internlm2.py',
    defaultsOf: 'llama',
    attention: (shape, fields) => grouped(shape, { bias: biasBy(fields, 'bias'), fused: true }),
  },
  exaone: { ...llama, source: 'LGAI-EXAONE/EXAONE-3.5 modeling_exaone.py', defaultsOf: 'llama' },
  qwen: {
    source: 'Qwen/Qwen-7B modeling_qwen.py',
    attention: (shape, fields) =>
      grouped(
        { ...shape, keyValueHeads: shape.heads },
        { bias: fields.boolean('no_bias') ? inputBias : fullBias, fused: true },
      ),
    feedForwardBias: (fields) => !fields.boolean('no_bias'),
    defaults: { no_bias: true },
    // The stated width is that of gate and up together.
    width: (fields) => Math.floor(fields.integer('intermediate_size') / 2),
    tied: false,
  },
  chatglm: {
    source: 'THUDM/glm-4-9b modeling_chatglm.py',
    attention: (shape, fields) => {
      const grouping = fields.boolean('multi_query_attention');
      const everywhere = fields.boolean('add_bias_linear');
      const inputs = everywhere || fields.boolean('add_qkv_bias');
      return grouped(
        { ...shape, keyValueHeads: grouping ? shape.keyValueHeads : shape.heads },
        { bias: { query: inputs, key: inputs, value: inputs, output: everywhere }, fused: true },
      );
    },
    feedForwardBias: flag('add_bias_linear'),
    normBias: (fields) => !fields.boolean('rmsnorm'),
    finalNorm: (fields) => fields.boolean('post_layer_norm'),
    defaults: { rmsnorm: true, post_layer_norm: true },
    tied: false,
  },
  qwen2,
  qwen2_moe: {
    ...qwen2,
    source: modeling('qwen2_moe'),
    attention: (shape, fields, mixer) =>
      grouped(shape, {
        bias: inputBiasBy(fields, 'qkv_bias'),
        span: spanOf(mixer, fields),
      }),
    mlps: sparseByStep,
    feedForward: denseOrExperts({ shared: { width: 'shared_expert_intermediate_size', gate: true } }),
  },
  qwen3,
  qwen3_moe: qwenMoe,
  mixtral: { ...llama, source: modeling('mixtral'), ...sparseOf() },
  gemma,
  gemma2,
  gemma3_text: gemma3,
  vaultgemma: { ...gemma2, source: modeling('vaultgemma'), norms: 'pre' },
  phi3: {
    ...llama,
    source: modeling('phi3'),
    attention: windowed({ fused: true, rotaryJoined: true }),
    feedForward: denseWith({ fused: true }),
  },
  phimoe: {
    source: modeling('phimoe'),
    norm: layerNorms,
    // The router takes two in turn, whatever the config says (SparseMixer, arXiv:2310.00811).
    ...sparseOf(() => ({ active: 2 })),
    outputBias: flag('lm_head_bias'),
  },
  gpt_oss: {
    source: modeling('gpt_oss'),
    attention: (shape, fields, mixer) =>
      grouped(shape, {
        bias: biasBy(fields, 'attention_bias'),
        sinks: true,
        span: spanOf(mixer, fields),
      }),
    mixers: (shape, fields) =>
      fields.states('layer_types')
        ? slidingPlan(shape, fields)
        : each(shape, (index) => (index % 2 === 0 ? 'sliding' : 'full')),
    ...sparseOf(() => ({ activation: 'swiglu_oai', bias: { router: true, up: true, down: true } })),
  },
  apertus: {
    source: modeling('apertus'),
    gated: false,
    attention: llamaWith({ queryKeyNorm: headNorm }),
    // xIELU learns two slopes for each layer.
    layerExtras: () => [{ kind: 'vector', path: 'feed_forward.slopes', elements: 2, component: 'feed_forward' }],
  },
  bitnet: {
    ...llama,
    source: modeling('bitnet'),
    layerExtras: (shape) => [
      { kind: 'vector', path: 'norm.sub', elements: shape.hiddenSize + shape.width, component: 'norm' },
    ],
  },
  cwm: { ...llama, source: modeling('cwm') },
  diffllama: {
    ...llama,
    source: modeling('diffllama'),
    attention: (shape, fields, mixer) => ({ ...llamaAttention(shape, fields, mixer), weighedDim: 2 * shape.headDim }),
    layerExtras: (shape) => [
      { kind: 'vector', path: 'attention.lambdas', elements: 4 * shape.headDim, component: 'attention' },
    ],
  },
  ernie4_5: {
    source: modeling('ernie4_5'),
    attention: groupedBy('use_bias'),
    feedForwardBias: flag('use_bias'),
    tied: true,
  },
  'gpt-sw3': { ...gpt2, defaultsOf: 'gpt2' },
  gpt_neo: {
    ...gpt2,
    source: modeling('gpt_neo'),
    attention: multiHead({ bias: { ...noBias, output: true }, rotary: false }),
    width: fourTimes('intermediate_size'),
  },
  granite_swa: {
    ...llama,
    source: modeling('granite_swa'),
    attention: llamaWith({ sinks: true }),
  },
  hyperclovax: {
    ...llama,
    source: modeling('hyperclovax'),
    norms: either('use_post_norm', 'sandwich', 'pre'),
  },
  jais2: {
    source: modeling('jais2'),
    norm: layerNorms,
    gated: false,
    activation: 'relu2',
    attention: (shape, fields, mixer) => ({
      ...llamaAttention(shape, fields, mixer),
      bias: biasBy(fields, 'attention_bias'),
    }),
    feedForwardBias: flag('mlp_bias'),
  },
  nanochat: {
    source: modeling('nanochat'),
    norm: { style: 'rms', weight: false, bias: false },
    gated: false,
    activation: 'relu2',
  },
  persimmon: {
    source: modeling('persimmon'),
    norm: layerNorms,
    gated: false,
    activation: 'relu2',
    feedForwardBias: true,
    attention: persimmonAttention,
  },
  mellum: { ...qwenMoe, source: modeling('mellum') },
  solar_open: {
    ...glm4Moe,
    source: modeling('solar_open'),
    attention: (shape, fields) => grouped(shape, { bias: inputBiasBy(fields, 'attention_bias') }),
    mlps: always('experts'),
  },
  olmo: { ...llama, source: modeling('olmo'), norm: { style: 'layer', weight: false, bias: false, upcast: 'input' } },
  olmo2,
  olmo3: {
    ...olmo2,
    source: modeling('olmo3'),
    mixers: listedOr(fullEvery(4)),
  },
  olmoe: {
    source: modeling('olmoe'),
    attention: llamaWith({ queryKeyNorm: widthNorm }),
    ...sparseOf(),
  },
  cohere: {
    source: modeling('cohere'),
    norm: { style: 'layer', bias: false, upcast: 'weight' },
    norms: 'single',
    attention: (shape, fields, mixer) => ({
      ...llamaAttention(shape, fields, mixer),
      ...(fields.boolean('use_qk_norm')
        ? { queryKeyNorm: { over: 'head', style: 'layer', weight: true, bias: false, perHead: true } as const }
        : {}),
    }),
    tied: true,
  },
  cohere2: {
    source: modeling('cohere2'),
    norm: { style: 'layer', bias: false, upcast: 'weight' },
    norms: 'single',
    tied: true,
    mixers: listedOr(fullEvery('sliding_window_pattern')),
  },
  cohere_compass_text: {
    source: modeling('cohere_compass'),
    norm: { style: 'layer', bias: false },
    norms: 'single',
    tied: true,
  },
  glm: { source: modeling('glm'), attention: glmAttention, feedForward: denseWith({ fused: true }) },
  glm4: {
    source: modeling('glm4'),
    norms: 'sandwich',
    attention: glmAttention,
    feedForward: denseWith({ fused: true }),
  },
  glm4_moe: glm4Moe,
  seed_oss: {
    ...llama,
    source: modeling('seed_oss'),
    attention: (shape, fields) =>
      grouped(shape, {
        bias: {
          ...inputBiasBy(fields, 'attention_bias'),
          output: fields.boolean('attention_out_bias'),
        },
      }),
  },
  arcee: { ...llama, source: modeling('arcee'), gated: false, activation: 'relu2' },
  nemotron: {
    ...llama,
    source: modeling('nemotron'),
    norm: { ...layerNorms, upcast: 'none' },
    attention: llamaWith({ rotaryJoined: true }),
    gated: false,
    activation: 'relu2',
  },
  exaone4: {
    source: modeling('exaone4'),
    norms: 'post',
    attention: llamaWith({ queryKeyNorm: headNorm }),
  },
  granitemoe: { ...llama, source: modeling('granitemoe'), ...sparseOf() },
  granitemoeshared: {
    ...llama,
    source: modeling('granitemoeshared'),
    ...sparseOf((fields) => {
      const width = fields.count('shared_intermediate_size');
      return alwaysOn(width);
    }),
  },
  bailing_moe: {
    source: 'inclusionAI/Ling-lite modeling_bailing_moe.py',
    attention: (shape, fields) =>
      grouped(shape, {
        bias: { ...inputBiasBy(fields, 'use_qkv_bias'), output: fields.boolean('use_bias') },
        fused: true,
      }),
    mlps: denseFirst,
    feedForward: (shape, fields, mlp) => {
      if (mlp.kind === 'dense')
        return dense(shape.hiddenSize, shape.width, { bias: bothSides(fields.boolean('use_bias')) });
      const width = fields.integer('moe_intermediate_size');
      const shared = fields.count(['num_shared_experts', 'n_shared_experts']);
      return experts(shape, fields, {
        width,
        ...alwaysOn(width * shared),
      });
    },
    tied: false,
  },
  deepseek: {
    source: 'deepseek-ai/deepseek-moe-16b modeling_deepseek.py',
    defaultsOf: 'llama',
    mlps: denseFirst,
    feedForward: denseOrExperts({ shared: { times: 'n_shared_experts' } }),
  },
  minimax_m2: {
    source: modeling('minimax_m2'),
    attention: groupedWith({ queryKeyNorm: widthNorm }),
    ...sparseOf(() => ({ correctionBias: true })),
  },
  dbrx: {
    source: modeling('dbrx'),
    norm: { style: 'layer', bias: false },
    attention: (shape, fields) =>
      grouped(
        { ...shape, keyValueHeads: fields.nested('attn_config', { kv_n_heads: 1 }).integer('kv_n_heads') },
        { fused: true },
      ),
    mlps: always('experts'),
    feedForward: (shape, fields): readonly Part[] => {
      const feed = fields.nested('ffn_config', { ffn_hidden_size: 3584, moe_num_experts: 4, moe_top_k: 1 });
      return [
        {
          kind: 'experts',
          inputWidth: shape.hiddenSize,
          experts: feed.integer('moe_num_experts'),
          active: feed.integer('moe_top_k'),
          width: feed.integer('ffn_hidden_size'),
          gated: true,
          activation: 'silu',
          bias: { router: false, up: false, down: false },
        },
      ];
    },
    tied: false,
  },
};
