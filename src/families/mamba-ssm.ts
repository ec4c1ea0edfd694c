import type { Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import { mamba1, mamba2 } from './mixers.ts';
import { grouped, inputBias, noBias } from './pieces.ts';
import { each } from './plan.ts';
import type { Shape } from './shape.ts';
import { denseWith } from './vocabulary.ts';

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
    const multiple = fields.integer('pad_vocab_size_multiple');
    return multiple * Math.ceil(fields.integer('vocab_size') / multiple);
  },
  mixers: (shape, fields) => {
    const attention = new Set(fields.list('attn_layer_idx') ?? []);
    return each(shape, (index) => (attention.has(index) ? 'attention' : 'mamba'));
  },
  attention: (shape, fields, mixer) => (mixer.kind === 'attention' ? attention(shape, fields) : mamba(shape, fields)),
  width: (fields) => fields.count('d_intermediate'),
  mlps: (shape) => each(shape, () => (shape.width === 0 ? 'none' : 'dense')),
  feedForward: denseWith({ fused: true }),
};

/** What the library's layers take where `ssm_cfg` and `attn_cfg` leave a key out: the arguments of their classes. */
const ofBoth = { layer: 'Mamba1', expand: 2, d_conv: 4, conv_bias: true } as const;
const ofMamba1 = { ...ofBoth, d_state: 16 } as const;
const ofMamba2 = { ...ofBoth, d_state: 128, headdim: 64, ngroups: 1, chunk_size: 256, rmsnorm: true } as const;
const ofAttention = { qkv_proj_bias: true, out_proj_bias: true } as const;

function mamba({ hiddenSize: D }: Shape, fields: Fields): readonly Part[] {
  const layer = fields.nested('ssm_cfg', ofBoth).string('layer');
  const config = fields.nested('ssm_cfg', layer === 'Mamba2' ? ofMamba2 : ofMamba1);
  const projection = config.boolean('bias');
  const convolution = config.boolean('conv_bias');
  const inner = Math.floor(config.number('expand') * D);
  const kernel = config.integer('d_conv');
  if (layer === 'Mamba1') {
    const rank = config.raw('dt_rank')?.value;
    return mamba1(D, {
      inner,
      states: config.integer('d_state'),
      kernel,
      rank: typeof rank === 'number' ? config.integer('dt_rank') : Math.ceil(D / 16),
      bias: { projection, convolution },
    });
  }
  if (layer !== 'Mamba2') throw config.wrong('layer', 'must be Mamba1 or Mamba2 for this tool', layer);
  const headDim = config.integer('headdim');
  return mamba2(D, {
    heads: Math.floor(config.integerOr('d_ssm', inner, 1) / headDim),
    headDim,
    groups: config.integer('ngroups'),
    states: config.integer('d_state'),
    kernel,
    chunk: config.integer('chunk_size'),
    norm: config.boolean('rmsnorm'),
    bias: { in: projection, out: projection, convolution },
  });
}

/** Attention, with a short convolution over query, key and value where `d_conv` says so. */
function attention(shape: Shape, fields: Fields): readonly Part[] {
  const config = fields.nested('attn_cfg', ofAttention);
  const heads = config.integer('num_heads');
  const keyValueHeads = config.integerOr('num_heads_kv', heads, 1);
  const headDim = config.integerOr('head_dim', Math.floor(shape.hiddenSize / heads), 1);
  const kernel = config.count('d_conv');
  const channels = (heads + 2 * keyValueHeads) * headDim;
  return [
    grouped(
      { ...shape, heads, keyValueHeads, headDim },
      {
        fused: true,
        rotary: config.count('rotary_emb_dim') > 0,
        bias: {
          ...(config.boolean('qkv_proj_bias') ? inputBias : noBias),
          output: config.boolean('out_proj_bias'),
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
  fields.boolean('rms_norm') ? library : { ...library, norm: { style: 'layer', bias: true } };
