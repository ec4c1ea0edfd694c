import type {
  Activation,
  DenseFeedForward,
  Experts,
  GroupedAttention,
  LatentAttention,
  Part,
} from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family, NormPlan } from './family.ts';
import { latentAttention } from './latent.ts';
import type { Mixer, Mlp, MlpPlan } from './layer.ts';
import { bothSides, dense, grouped, normOf, spanOf, table } from './pieces.ts';
import { each } from './plan.ts';
import { predictor } from './prediction.ts';
import type { Shape } from './shape.ts';
import { throughLatent } from './vocabulary.ts';

/** The type under which training formats describe a decoder trait by trait, since they have no class of Hugging Face's. */
export const decoderType = 'decoder';

/**
 * What a config of this type may state besides the usual sizes; each is a trait of the block, so that Megatron's, GPT-NeoX's and
 * every other parameterised GPT is one row.
 */
export const decoderTraits = {
  /** `rms`, `layer`, `layer_without_bias`, `none` (no learned elements) */
  normalization: ['rms', 'layer', 'layer_without_bias', 'none'],
  /** `pre`, `post`, `sandwich`, `single` (one norm, parallel blocks), `double` (two norms, parallel blocks) */
  norm_plan: ['pre', 'post', 'sandwich', 'single', 'double'],
  /** `rope`, `learned`, `none` (ALiBi among them) */
  positions: ['rope', 'learned', 'none'],
  /** `none`, `head` (each head), `width` (the whole projection), `head_unlearned` */
  qk_norm: ['none', 'head', 'width', 'head_unlearned'],
} as const;

const choice = <Name extends keyof typeof decoderTraits>(
  fields: Fields,
  name: Name,
): (typeof decoderTraits)[Name][number] => {
  const choices: readonly (typeof decoderTraits)[Name][number][] = decoderTraits[name];
  const value = fields.string(name);
  if (value === undefined) return choices[0] as (typeof decoderTraits)[Name][number];
  const found = choices.find((one) => one === value);
  if (found === undefined) throw fields.wrong(name, `must be one of ${choices.join(', ')}`, value);
  return found;
};

const activations: readonly Activation[] = [
  'silu',
  'gelu',
  'gelu_tanh',
  'gelu_new',
  'gelu_fast',
  'relu',
  'relu2',
  'swiglu_oai',
  'none',
];

const activationOf = (fields: Fields): Activation => {
  const value = fields.string('hidden_act');
  return activations.find((one) => one === value) ?? (value === undefined ? 'silu' : 'gelu');
};

/** Traits that a format states only where they are not as in Llama. */
const likeLlama = { gated: true, finalNorm: true } as const;

/** A decoder by its traits: what is not stated is as in Llama. */
export function decoder(fields: Fields): Family {
  const normalization = choice(fields, 'normalization');
  const gated = fields.booleanOr('gated', likeLlama.gated);
  const activation = activationOf(fields);
  const positions = choice(fields, 'positions');
  const plan: NormPlan = choice(fields, 'norm_plan');
  const mlpBias = fields.boolean('mlp_bias');
  const family: Family = {
    source: "the framework's own transformer, by its traits",
    norm: {
      style: normalization === 'rms' ? 'rms' : 'layer',
      weight: normalization !== 'none',
      bias: normalization === 'layer',
    },
    norms: plan,
    gated,
    activation,
    attention: (shape, own, mixer) => attentionOf(shape, own, mixer, { normalization, rotary: positions === 'rope' }),
    mlps: (shape, own) => mlpsOf(shape, own),
    feedForward: (shape, own, mlp) => feedForwardOf(shape, own, mlp, { gated, activation, mlpBias }),
    embedding: (shape, own) => [
      ...(positions === 'learned'
        ? [table('embedding.position', own.integer('max_position_embeddings'), shape.hiddenSize)]
        : []),
      ...(own.boolean('embedding_norm') ? [normOf(family, 'norm.embedding', shape.hiddenSize)] : []),
    ],
    finalNorm: (own) => own.booleanOr('final_norm', likeLlama.finalNorm),
    outputBias: (own) => own.boolean('output_bias'),
    // A file whose keys only look like sizes may leave out what no name gives away.
    exact: !fields.boolean('approximate'),
    tied: false,
    prediction(shape, own, layer) {
      const depth = Math.min(own.count('num_nextn_predict_layers'), 16);
      const mlp = own.optionalInteger('num_experts', 1) === undefined ? 'dense' : 'experts';
      const one = predictor(this, shape.hiddenSize, layer('full', mlp));
      return { depth, parts: Array.from({ length: depth }, () => one).flat() };
    },
  };
  return family;
}

function attentionOf(
  shape: Shape,
  fields: Fields,
  mixer: Mixer,
  { normalization, rotary }: { readonly normalization: string; readonly rotary: boolean },
): GroupedAttention | LatentAttention {
  if (fields.optionalInteger('kv_lora_rank', 1) !== undefined)
    return {
      ...latentAttention(shape, fields),
      bias: { down: false, output: fields.boolean('attention_output_bias') },
    };
  const bias = fields.boolean('attention_bias');
  const norm = choice(fields, 'qk_norm');
  return grouped(shape, {
    bias: { query: bias, key: bias, value: bias, output: fields.booleanOr('attention_output_bias', bias) },
    rotary,
    span: spanOf(mixer, fields),
    ...(fields.boolean('attention_sinks') ? { sinks: true } : {}),
    ...(norm === 'none'
      ? {}
      : {
          queryKeyNorm: {
            over: norm === 'width' ? 'width' : 'head',
            style: normalization === 'rms' ? 'rms' : 'layer',
            weight: norm !== 'head_unlearned',
            bias: norm !== 'head_unlearned' && normalization === 'layer',
          } as const,
        }),
  });
}

/** `expert_layers` lists 1 for a layer with experts and 0 for a dense one; without it, all layers have them. */
function mlpsOf(shape: Shape, fields: Fields): MlpPlan {
  if (fields.optionalInteger('num_experts', 1) === undefined) return each(shape, () => 'dense');
  const listed = fields.list('expert_layers');
  if (listed === undefined) return each(shape, () => 'experts');
  return listed.map((value) => (value === 1 || value === true ? 'experts' : 'dense'));
}

function feedForwardOf(
  shape: Shape,
  fields: Fields,
  mlp: Mlp,
  traits: { readonly gated: boolean; readonly activation: Activation; readonly mlpBias: boolean },
): DenseFeedForward | Experts | readonly Part[] {
  const { gated, activation, mlpBias } = traits;
  if (mlp.kind === 'dense')
    return dense(shape.hiddenSize, shape.width, { gated, activation, bias: bothSides(mlpBias) });
  const experts = fields.integer('num_experts');
  const active = fields.integer('num_experts_per_tok');
  if (active > experts) throw fields.wrong('num_experts_per_tok', `must be at most the ${experts} experts`, active);
  const shared = fields.count('shared_expert_intermediate_size');
  const expertBias = fields.booleanOr('expert_bias', mlpBias);
  const latent = fields.optionalInteger('moe_latent_size', 1);
  const block: Experts = {
    kind: 'experts',
    inputWidth: latent ?? shape.hiddenSize,
    ...(latent === undefined ? {} : { routerWidth: shape.hiddenSize }),
    experts,
    active,
    width: fields.integerOr('moe_intermediate_size', shape.width, 1),
    gated,
    activation,
    bias: { router: fields.boolean('router_bias'), up: expertBias, down: expertBias },
    ...(fields.boolean('router_correction_bias') ? { correctionBias: true } : {}),
    ...(shared === 0
      ? {}
      : {
          shared: {
            width: shared,
            gate: fields.boolean('shared_expert_gate'),
            bias: bothSides(mlpBias),
            ...(latent === undefined ? {} : { inputWidth: shape.hiddenSize }),
          },
        }),
  };
  return latent === undefined ? block : throughLatent(shape.hiddenSize, block);
}
