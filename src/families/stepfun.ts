import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import type { MixerPlan, MlpPlan } from './layer.ts';
import { dense, experts, grouped, inputBias, spanOf } from './pieces.ts';
import { each } from './plan.ts';
import type { Shape } from './shape.ts';
import { fp32HeadNorm, modeling } from './vocabulary.ts';

const source = modeling('step3p7');

/** Layers that multi-token prediction adds stand at the end of the lists. */
const kinds = (shape: Shape, fields: Fields): MixerPlan => {
  const types = fields.list('layer_types') ?? each(shape, () => 'full_attention');
  return types.map((type) => (type === 'sliding_attention' ? 'sliding' : 'full'));
};

/** Experts from the fourth layer on, or in the layers that a list or a string of indices names. */
const mlps = (shape: Shape, fields: Fields): MlpPlan => {
  const types = fields.list('mlp_layer_types');
  if (types) return types.map((type) => (type === 'sparse' ? 'experts' : 'dense'));
  const stated = fields.raw('moe_layers_enum')?.value;
  const listed = typeof stated === 'string' ? stated.split(',') : Array.isArray(stated) ? stated : undefined;
  const sparse = listed === undefined ? undefined : new Set(listed.map((index) => Number(index)));
  return each(shape, (index) => ((sparse === undefined ? index >= 3 : sparse.has(index)) ? 'experts' : 'dense'));
};

/** Step-3.5 and 3.7: a gate on each head, more heads in sliding layers, experts beside an always-on one. */
const step: Family = {
  source,
  mixers: kinds,
  mlps,
  attention: (shape, fields, mixer) => {
    const sliding = mixer.kind === 'sliding';
    const other = fields.nested('attention_other_setting').optionalInteger('num_attention_heads', 1);
    const heads = sliding
      ? (fields.optionalInteger('num_sliding_attention_heads', 1) ?? other ?? shape.heads)
      : shape.heads;
    const keyValueHeads = fields.integer(['num_attention_groups', 'num_key_value_heads']);
    const bias = fields.boolean('attention_bias');
    const gating = fields.raw('gating')?.value;
    return grouped(
      { ...shape, heads, keyValueHeads },
      {
        bias: { ...(bias ? inputBias : { query: false, key: false, value: false }), output: bias },
        span: spanOf(mixer, fields),
        queryKeyNorm: fp32HeadNorm,
        extra: [
          {
            kind: 'linear',
            path: 'attention.gate',
            role: 'output_gate',
            rows: shape.hiddenSize,
            columns: gating === true || gating === 'per-head' ? heads : heads * shape.headDim,
            bias: false,
            component: 'attention',
          },
        ],
      },
    );
  },
  feedForward: (shape, fields, mlp) => {
    const bias = { up: fields.boolean('mlp_bias'), down: fields.boolean('mlp_bias') };
    if (mlp.kind === 'dense') return dense(shape.hiddenSize, shape.width, { bias });
    const block = experts(shape, fields, { width: fields.integer('moe_intermediate_size'), correctionBias: true });
    const width = fields.integer(['share_expert_dims', 'share_expert_dim'], 0);
    return width === 0 ? block : { ...block, shared: { width, gate: false, bias } };
  },
};

export const stepFamilies: Readonly<Record<string, Family>> = { step3p5: step };
