import type { CompressedAttention, LatentAttention, Part } from '../model/architecture.ts';
import { type Fields, Unreadable } from '../text/fields.ts';
import type { Family } from './family.ts';
import type { Mixer, MixerKind, MlpKind, MlpPlan } from './layer.ts';
import { bothSides, dense, experts, normOf } from './pieces.ts';
import { always, denseFirst, each } from './plan.ts';
import { depths, nextToken, predictor } from './prediction.ts';
import { names, type Shape } from './shape.ts';
import { alwaysOn, denseOrExperts, flag, modeling, size } from './vocabulary.ts';

/** Multi-head latent attention by DeepSeek's keys. A null `q_lora_rank` means queries are not compressed; an absent one means the class default. */
export function latentAttention(shape: Shape, fields: Fields, changes: Partial<LatentAttention> = {}): LatentAttention {
  const queryRank = fields.optionalInteger('q_lora_rank', 1);
  const bias = fields.boolean('attention_bias');
  return {
    kind: 'latent',
    inputWidth: shape.hiddenSize,
    heads: shape.heads,
    ...(queryRank === undefined ? {} : { queryRank }),
    keyValueRank: fields.integer('kv_lora_rank'),
    nopeDim: fields.integer('qk_nope_head_dim', 0),
    ropeDim: fields.integer('qk_rope_head_dim', 0),
    valueDim: fields.integerOr('v_head_dim', Math.floor(shape.hiddenSize / shape.heads), 1),
    bias: { down: bias, output: bias },
    span: { kind: 'full' },
    ...changes,
  };
}

/** DeepSeek's experts: shared ones are `n_shared_experts` times as wide as a routed one. */
const deepseekFeed = denseOrExperts({ shared: { times: 'n_shared_experts' }, correctionBias: true });

/** DeepSeek-V3's multi-token prediction, one more layer for each depth. */
export function deepseekPrediction(
  this: Family,
  shape: Shape,
  fields: Fields,
  layer: (mixer: MixerKind, mlp: MlpKind) => readonly Part[],
) {
  const depth = depths(fields, 'num_nextn_predict_layers');
  const mlp = fields.optionalInteger('n_routed_experts') ? 'experts' : 'dense';
  // The checkpoint stores the token table and the output once more for each depth; training shares them.
  const copies: Part = {
    kind: 'vector',
    path: 'embedding_and_output_copies',
    role: 'embedding_and_output_copies',
    elements: 2 * shape.hiddenSize * shape.vocabularySize,
    component: 'prediction',
  };
  const one = [
    ...predictor(this, shape.hiddenSize, layer('full', mlp)),
    ...(this.copiesEmbeddings === true ? [copies] : []),
  ];
  return { depth, parts: Array.from({ length: depth }, () => one).flat() };
}

const indexer = (fields: Fields) => {
  const heads = fields.optionalInteger('index_n_heads', 1);
  const headDim = fields.optionalInteger('index_head_dim', 1);
  return heads === undefined || headDim === undefined ? undefined : { heads, headDim };
};

const sparseAttention = (shape: Shape, fields: Fields, mixer: Mixer) => {
  const tokens = fields.optionalInteger('index_topk', 1);
  const index = mixer.kind === 'shared' ? undefined : indexer(fields);
  return latentAttention(shape, fields, {
    ...(tokens === undefined ? {} : { span: { kind: 'selected', tokens } as const }),
    ...(index === undefined ? {} : { indexer: index }),
  });
};

/** The class has no default for how many experts a token uses, so a config without it cannot run. The published models use six. */
function chosenExperts(fields: Fields): number {
  const stated = fields.optionalInteger(names.activeExperts, 1);
  if (stated === undefined)
    fields.assume('num_experts_per_tok', 6, 'the class has no default; published models have 6');
  return stated ?? 6;
}

const deepseekV2: Family = {
  source: modeling('deepseek_v2'),
  attention: (shape, fields) => latentAttention(shape, fields),
  mlps: denseFirst,
  feedForward: (shape, fields, mlp) => {
    const bias = fields.boolean('mlp_bias');
    if (mlp.kind === 'dense') return dense(shape.hiddenSize, shape.width, { bias: bothSides(bias) });
    const width = fields.integer('moe_intermediate_size');
    const shared = fields.count('n_shared_experts');
    return experts(shape, fields, {
      width,
      active: chosenExperts(fields),
      ...alwaysOn(shared * width, { bias: bothSides(bias) }),
    });
  },
};

const deepseekV3: Family = {
  ...deepseekV2,
  source:
    'transformers 5.18.0, models/deepseek_v3/modeling_deepseek_v3.py; multi-token prediction: DeepSeek-V3, arXiv:2412.19437, 2.2',
  feedForward: deepseekFeed,
  prediction: deepseekPrediction,
  copiesEmbeddings: true,
};

/** Kimi K2 by the code that its files name, DeepSeek's own: it reads how often experts come, and adds a bias for one way to choose. */
const kimiK2: Family = {
  ...deepseekV3,
  source: 'deepseek-ai/DeepSeek-V3 modeling_deepseek.py, which moonshotai/Kimi-K2-Instruct carries',
  defaultsOf: 'deepseek_v3',
  defaults: { topk_method: 'noaux_tc' },
  feedForward: (shape, fields, mlp) =>
    denseOrExperts({
      shared: { times: 'n_shared_experts' },
      correctionBias: fields.string('topk_method') === 'noaux_tc',
    })(shape, fields, mlp),
};

const deepseekV32: Family = {
  ...deepseekV3,
  source: modeling('deepseek_v32'),
  attention: sparseAttention,
};

// --- LongCat-Flash ------------------------------------------------------------------------------------------------------

/** Two latent attentions and two dense feed-forwards, and experts beside the second half (arXiv:2509.01322, 2). */
const longcat: Family = {
  source: modeling('longcat_flash'),
  // `num_layers` counts pairs. A file that has `num_hidden_layers` alone counts both halves.
  layers: (fields) => {
    const halves = fields.states('num_layers') ? undefined : fields.optionalInteger('num_hidden_layers');
    return halves === undefined ? fields.integer('num_layers', 0) : Math.floor(halves / 2);
  },
  attention: (shape, fields) => latentAttention(shape, fields),
  width: size(['ffn_hidden_size', 'intermediate_size']),
  mlps: always('experts'),
  // One dense half-layer predicts the token after next; the checkpoint has the token table once more with it.
  prediction: nextToken('half', { copies: (shape) => shape.vocabularySize * shape.hiddenSize }),
  feedForward: (shape, fields, mlp): readonly Part[] => {
    if (mlp.kind === 'half') return [dense(shape.hiddenSize, shape.width)];
    const { hiddenSize: D } = shape;
    const zeroExperts = fields.count('zero_expert_num');
    if (zeroExperts > 0)
      fields.assume(
        'zero_expert_num',
        zeroExperts,
        'of the chosen experts, this share computes nothing: balanced routing',
      );
    const norm = (path: string) => normOf(longcat, path, D);
    return [
      experts(shape, fields, {
        width: fields.integer(['expert_ffn_hidden_size', 'moe_intermediate_size']),
        active: fields.integer(['moe_topk', 'num_experts_per_tok']),
        correctionBias: true,
        bias: { router: fields.boolean('router_bias'), up: false, down: false },
        ...(zeroExperts === 0 ? {} : { zeroExperts }),
      }),
      dense(D, shape.width),
      norm('norm.attention'),
      latentAttention(shape, fields),
      norm('norm.feed_forward'),
      dense(D, shape.width),
    ];
  },
};

// --- DeepSeek-V4 --------------------------------------------------------------------------------------------------------

const compressionOf = {
  compressed_sparse_attention: 4,
  heavily_compressed_attention: 128,
} as const;

type V4Mixer = 'sliding_attention' | keyof typeof compressionOf;
const v4Mixers: readonly V4Mixer[] = [
  'sliding_attention',
  'compressed_sparse_attention',
  'heavily_compressed_attention',
];

/** The kind of each layer's attention: by name, or by the older list of ratios; else two heavy ones, then in turn. */
const v4Plan = (shape: Shape, fields: Fields): readonly V4Mixer[] => {
  const types = fields.list('layer_types');
  if (types)
    return types.map((type) => {
      const known = v4Mixers.find((one) => one === type);
      if (known !== undefined) return known;
      throw new Unreadable(
        `layer_types has ${type}, which is not a kind of attention of DeepSeek-V4.`,
        fields.line('layer_types'),
      );
    });
  const ratios = fields.list('compress_ratios');
  if (ratios)
    return ratios.map((ratio) => {
      if (ratio === 0) return 'sliding_attention';
      const name = v4Mixers.find((type) => type !== 'sliding_attention' && compressionOf[type] === ratio);
      if (name === undefined) throw fields.wrong('compress_ratios', 'must list 0, 4 and 128', ratio);
      return name;
    });
  return each(shape, (index) =>
    index > 1 && index % 2 === 1 ? 'compressed_sparse_attention' : 'heavily_compressed_attention',
  );
};

function v4Attention(shape: Shape, fields: Fields, mixer: Mixer): CompressedAttention {
  const rates = fields.nested('compress_rates', compressionOf);
  const sparse = mixer.kind === 'compressed_sparse_attention';
  const old = sparse ? 'compress_rate_csa' : 'compress_rate_hca';
  return {
    kind: 'compressed',
    inputWidth: shape.hiddenSize,
    heads: shape.heads,
    headDim: shape.headDim,
    queryRank: fields.integer('q_lora_rank'),
    outputGroups: fields.integer('o_groups'),
    outputRank: fields.integer('o_lora_rank'),
    window: fields.integer('sliding_window'),
    ...(mixer.kind === 'sliding_attention'
      ? {}
      : {
          compression: {
            ratio: fields.states(old) ? fields.integer(old) : rates.integer(mixer.kind),
            overlaps: sparse,
            ...(sparse
              ? {
                  chosen: {
                    entries: fields.integer('index_topk'),
                    heads: fields.integer('index_n_heads'),
                    headDim: fields.integer('index_head_dim'),
                  },
                }
              : {}),
          },
        }),
  };
}

const deepseekV4: Family = {
  source:
    'transformers 5.18.0, models/deepseek_v4/modeling_deepseek_v4.py; multi-token prediction: deepseek-ai/DeepSeek-V4-Flash, inference/model.py',
  streams: (fields) => ({ count: fields.integer('hc_mult'), back: 'mixed' }),
  mixers: v4Plan,
  attention: v4Attention,
  mlps: (shape, fields) => {
    const types = fields.list('mlp_layer_types');
    const hashed = fields.integer('num_hash_layers', 0);
    return each(shape, (index) =>
      (types ? types[index] === 'hash_moe' : index < hashed)
        ? { kind: 'experts', hashed: true, label: 'hashed experts' }
        : 'experts',
    );
  },
  feedForward: (shape, fields, mlp): readonly Part[] => {
    const width = fields.integer(['moe_intermediate_size', 'intermediate_size']);
    const hashed = mlp.hashed === true;
    const block = experts(shape, fields, {
      width,
      // DeepSeek-V4's only shared expert is as wide as a routed one.
      correctionBias: !hashed,
      shared: { width, gate: false, bias: bothSides(fields.boolean('mlp_bias')) },
    });
    // A fixed table says for each token which experts it is sent to; checkpoints store it.
    const elements = shape.vocabularySize * block.active;
    return hashed ? [block, { kind: 'vector', path: 'router.table', elements, component: 'router' }] : [block];
  },
  prediction(shape, fields, layer) {
    const depth = fields.states('num_nextn_predict_layers') ? fields.count('num_nextn_predict_layers') : 0;
    const { hiddenSize: D } = shape;
    const one: readonly Part[] = [
      normOf(this, 'norm.embedding', D),
      normOf(this, 'norm.hidden', D),
      { kind: 'linear', path: 'join', role: 'join', rows: 2 * D, columns: D, bias: false, component: 'prediction' },
      ...layer('sliding_attention', 'experts'),
      { kind: 'streams', path: 'streams.final', streams: fields.integer('hc_mult'), back: 'joined' },
      normOf(this, 'norm.final', D),
    ];
    return { depth, parts: Array.from({ length: Math.min(depth, 16) }, () => one).flat() };
  },
};

/** The first layer is dense, unless `mlp_layer_types` says otherwise. */
const firstDense = (shape: Shape, fields: Fields): MlpPlan =>
  fields.list('mlp_layer_types')
    ? denseFirst(shape, fields)
    : denseFirst(shape, fields).map((mlp, index) =>
        fields.states('first_k_dense_replace') ? mlp : index === 0 ? 'dense' : 'experts',
      );

const axk2: Family = {
  ...deepseekV32,
  source: modeling('axk2'),
  prediction: () => ({ depth: 0, parts: [] }),
  copiesEmbeddings: false,
  attention: (shape, fields, mixer) => ({ ...sparseAttention(shape, fields, mixer), outputGate: 'query' }),
  mlps: firstDense,
  normGate: (fields, block, mlp) =>
    block === 'attention' || mlp.kind === 'experts' ? fields.integer('gated_norm_rank') : undefined,
};

const hyV4: Family = {
  ...deepseekV32,
  source: modeling('hy_v4'),
  prediction: () => ({ depth: 0, parts: [] }),
  copiesEmbeddings: false,
  streams: (fields) => ({ count: fields.integer('hc_mult'), back: 'added' }),
  mixers: (shape, fields) => {
    const types = fields.list('indexer_types');
    return each(shape, (index) =>
      (types ? types[index] === 'full' : index === 0 || (index - 1) % 4 === 0) ? 'full' : 'shared',
    );
  },
  attention: (shape, fields, mixer) => ({ ...sparseAttention(shape, fields, mixer), outputGate: 'input', sinks: true }),
  mlps: firstDense,
};

/** MiniCPM3 and Youtu: latent attention in front of a plain feed-forward. */
const latentDense: Family = {
  source: modeling('minicpm3'),
  attention: (shape, fields) => latentAttention(shape, fields, {}),
  feedForwardBias: flag('mlp_bias'),
  tied: true,
};

export const latentFamilies: Readonly<Record<string, Family>> = {
  axk1: {
    ...deepseekV3,
    source: modeling('axk1'),
    copiesEmbeddings: false,
    // Another norm follows the experts.
    feedForward: (shape, fields, mlp): readonly Part[] => {
      const block = deepseekFeed(shape, fields, mlp);
      return mlp.kind === 'dense'
        ? [block]
        : [block, normOf(deepseekV3, 'norm.experts_output', shape.hiddenSize, 'output')];
    },
  },
  axk2,
  longcat_flash: longcat,
  deepseek_v4: deepseekV4,
  hy_v4: hyV4,
  minicpm3: latentDense,
  youtu: { ...latentDense, source: modeling('youtu') },
  deepseek_v2: deepseekV2,
  deepseek_v3: deepseekV3,
  kimi_k2: kimiK2,
  deepseek_v32: deepseekV32,
  glm4_moe_lite: {
    ...deepseekV3,
    source: modeling('glm4_moe_lite'),
    copiesEmbeddings: false,
  },
  glm_moe_dsa: {
    ...deepseekV32,
    source: modeling('glm_moe_dsa'),
    copiesEmbeddings: false,
    mixers: (shape, fields) =>
      (fields.list('indexer_types') ?? each(shape, () => 'full')).map((type) => (type === 'full' ? 'full' : 'shared')),
  },
};
