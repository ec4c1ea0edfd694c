import type { Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import { dense, type Family, grouped, inputBias, noBias, type Shape } from './build.ts';
import { mamba1, mamba2 } from './mixers.ts';

/**
 * Mamba's own library: its config names no `model_type`, and says what the mixers are in `ssm_cfg` and `attn_cfg`.
 *
 * Source: state-spaces/mamba, mamba_ssm/models/config_mamba.py, models/mixer_seq_simple.py, modules/mamba_simple.py,
 * modules/mamba2.py, modules/mha.py.
 */
const library: Family = {
  source: 'state-spaces/mamba, mamba_ssm/models/mixer_seq_simple.py',
  tied: true,
  tiedKeys: ['tie_embeddings'],
  // The table has rows up to a multiple.
  vocabulary: (fields) => {
    const multiple = fields.integerOr('pad_vocab_size_multiple', 8, 1);
    return multiple * Math.ceil(fields.integer('vocab_size') / multiple);
  },
  mixers: (shape, fields) => {
    const attention = new Set(fields.list('attn_layer_idx') ?? []);
    return Array.from({ length: shape.layers }, (_, index) => (attention.has(index) ? 'attention' : 'mamba'));
  },
  attention: (shape, fields, mixer) => (mixer === 'attention' ? attention(shape, fields) : mamba(shape, fields)),
  width: (fields) => fields.integerOr('d_intermediate', 0),
  feeds: (shape) => Array.from({ length: shape.layers }, () => (shape.width === 0 ? 'none' : 'dense')),
  feedForward: (shape) => dense(shape.hiddenSize, shape.width, { fused: true }),
};

function mamba({ hiddenSize: D }: Shape, fields: Fields): readonly Part[] {
  const config = fields.nested('ssm_cfg');
  const layer = config.string('layer') ?? 'Mamba1';
  const projection = config.boolean('bias');
  const convolution = config.boolean('conv_bias', true);
  const inner = Math.floor(config.numberOr('expand', 2) * D);
  const kernel = config.integerOr('d_conv', 4, 1);
  if (layer === 'Mamba1') {
    const rank = config.raw('dt_rank')?.value;
    return mamba1(D, {
      inner,
      states: config.integerOr('d_state', 16, 1),
      kernel,
      rank: typeof rank === 'number' ? config.integer('dt_rank') : Math.ceil(D / 16),
      bias: { projection, convolution },
    });
  }
  if (layer !== 'Mamba2') throw config.wrong('layer', 'must be Mamba1 or Mamba2 for this tool', layer);
  const headDim = config.integerOr('headdim', 64, 1);
  return mamba2(D, {
    heads: Math.floor(config.integerOr('d_ssm', inner, 1) / headDim),
    headDim,
    groups: config.integerOr('ngroups', 1, 1),
    states: config.integerOr('d_state', 128, 1),
    kernel,
    chunk: config.integerOr('chunk_size', 256, 1),
    norm: config.boolean('rmsnorm', true),
    bias: { in: projection, out: projection, convolution },
  });
}

/** Attention, with a short convolution over query, key and value where `d_conv` says so. */
function attention(shape: Shape, fields: Fields): readonly Part[] {
  const config = fields.nested('attn_cfg');
  const heads = config.integer('num_heads');
  const keyValueHeads = config.integerOr('num_heads_kv', heads, 1);
  const headDim = config.integerOr('head_dim', Math.floor(shape.hiddenSize / heads), 1);
  const kernel = config.integerOr('d_conv', 0);
  const channels = (heads + 2 * keyValueHeads) * headDim;
  return [
    grouped(
      { ...shape, heads, keyValueHeads, headDim },
      {
        fused: true,
        rotary: config.integerOr('rotary_emb_dim', 0) > 0,
        bias: {
          ...(config.boolean('qkv_proj_bias', true) ? inputBias : noBias),
          output: config.boolean('out_proj_bias', true),
        },
        extra:
          kernel === 0
            ? []
            : [
                {
                  kind: 'vector',
                  path: 'attention.convolution',
                  elements: channels * kernel + channels,
                  component: 'attention',
                  flopsPerToken: 2 * channels * kernel,
                },
              ],
      },
    ),
  ];
}

/** The library's model, with the norm that the config wants. */
export const mambaLibrary = (fields: Fields): Family =>
  fields.boolean('rms_norm', true) ? library : { ...library, norm: { style: 'layer', bias: true } };
