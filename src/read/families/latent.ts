import type { LatentAttention, Part } from '../../model/architecture.ts';
import type { Fields } from '../fields.ts';
import { dense, denseFirst, experts, type Family, normOf, type Shape } from './build.ts';
import { moonvit } from './towers.ts';

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
    valueDim: fields.integer('v_head_dim'),
    bias: { down: bias, output: bias },
    span: { kind: 'full' },
    ...changes,
  };
}

/** DeepSeek's experts: shared ones are `n_shared_experts` times as wide as a routed one. */
const deepseekFeed = (correctionBias: boolean) => (shape: Shape, fields: Fields, feed: string) => {
  if (feed === 'dense') return dense(shape.hiddenSize, shape.width);
  const width = fields.integer('moe_intermediate_size');
  const shared = fields.integerOr('n_shared_experts', 0);
  return experts(shape, fields, {
    width,
    correctionBias,
    ...(shared === 0 ? {} : { shared: { width: shared * width, gate: false } }),
  });
};

/** DeepSeek-V3's multi-token prediction: two norms, a matrix that joins them, and one more layer, for each depth. */
function deepseekPrediction(
  this: Family,
  shape: Shape,
  fields: Fields,
  layer: (mixer: string, feed: string) => readonly Part[],
) {
  const depth = fields.states('num_nextn_predict_layers') ? fields.integerOr('num_nextn_predict_layers', 0) : 0;
  const { hiddenSize: D } = shape;
  const feed = fields.optionalInteger('n_routed_experts') ? 'experts' : 'dense';
  const one: readonly Part[] = [
    normOf(this, 'norm.embedding', D),
    normOf(this, 'norm.hidden', D),
    { kind: 'linear', path: 'join', rows: 2 * D, columns: D, bias: false, component: 'prediction' },
    ...layer('full', feed),
    normOf(this, 'norm.final', D),
    // The checkpoint stores the token table and the output once more for each depth; training shares them.
    ...(this.copiesEmbeddings === true
      ? [
          {
            kind: 'vector',
            path: 'embedding_and_output_copies',
            elements: 2 * D * shape.vocabularySize,
            component: 'prediction',
          } as const,
        ]
      : []),
  ];
  return { depth, parts: Array.from({ length: Math.min(depth, 16) }, () => one).flat() };
}

const indexer = (fields: Fields) => {
  const heads = fields.optionalInteger('index_n_heads', 1);
  const headDim = fields.optionalInteger('index_head_dim', 1);
  return heads === undefined || headDim === undefined ? undefined : { heads, headDim };
};

const sparseAttention = (shape: Shape, fields: Fields, mixer: string) => {
  const tokens = fields.optionalInteger('index_topk', 1);
  const index = mixer === 'shared' ? undefined : indexer(fields);
  return latentAttention(shape, fields, {
    ...(tokens === undefined ? {} : { span: { kind: 'selected', tokens } as const }),
    ...(index === undefined ? {} : { indexer: index }),
  });
};

const deepseekV2: Family = {
  source: 'transformers 5.18.0, models/deepseek_v2/modeling_deepseek_v2.py',
  attention: (shape, fields) => latentAttention(shape, fields),
  feeds: denseFirst,
  feedForward: deepseekFeed(false),
};

const deepseekV3: Family = {
  ...deepseekV2,
  source:
    'transformers 5.18.0, models/deepseek_v3/modeling_deepseek_v3.py; multi-token prediction: DeepSeek-V3, arXiv:2412.19437, 2.2',
  feedForward: deepseekFeed(true),
  prediction: deepseekPrediction,
  copiesEmbeddings: true,
};

const deepseekV32: Family = {
  ...deepseekV3,
  source: 'transformers 5.18.0, models/deepseek_v32/modeling_deepseek_v32.py',
  attention: sparseAttention,
};

export const latentFamilies: Readonly<Record<string, Family>> = {
  deepseek_v2: deepseekV2,
  deepseek_v3: deepseekV3,
  deepseek_v32: deepseekV32,
  glm4_moe_lite: {
    ...deepseekV3,
    source: 'transformers 5.18.0, models/glm4_moe_lite/modeling_glm4_moe_lite.py',
    copiesEmbeddings: false,
  },
  kimi_k2: {
    ...deepseekV3,
    defaultsOf: 'deepseek_v3',
    source: 'moonshotai/Kimi-K2-Instruct: DeepSeek-V3 with other sizes',
  },
  kimi_k25: {
    ...deepseekV3,
    defaultsOf: 'deepseek_v3',
    textKey: 'text_config',
    towers: moonvit,
    source: 'moonshotai/Kimi-K2.5: DeepSeek-V3 with other sizes',
  },
  glm_moe_dsa: {
    ...deepseekV32,
    source: 'transformers 5.18.0, models/glm_moe_dsa/modeling_glm_moe_dsa.py',
    copiesEmbeddings: false,
    mixers: (shape, fields) =>
      (fields.list('indexer_types') ?? Array.from({ length: shape.layers }, () => 'full')).map((type) =>
        type === 'full' ? 'full' : 'shared',
      ),
  },
};
