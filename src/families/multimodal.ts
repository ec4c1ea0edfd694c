import type { Tower, TowerStage } from '../model/architecture.ts';
import { given } from '../model/given.ts';
import { type Dictionary, type Fields, isDictionary, own, type Reader } from '../text/fields.ts';
import { classDefaults, compositeDefaults, namesOf } from './defaults.ts';
import { emu3Tokenizer } from './image-tokenizers.ts';
import { samNeck } from './image-weights.ts';
import type { Shape } from './shape.ts';
import { qwen3Speech, qwen25Speech } from './speech.ts';
import { colors, convolution, type Encoded, layerNorm, linear } from './tower-pieces.ts';
import { matrixStage, twoMatricesStage } from './tower-stages.ts';
import { encoders } from './towers.ts';
import { modeling } from './vocabulary.ts';

/**
 * Composite (multimodal) models: a language model of some family, encoders, and a projector from each to the text. The language
 * model is read as its own family is; here stands what is added to it. Letters: T width of the text, D width of an encoder's
 * features.
 */
export type Composite = {
  /** The modelling code that the row was read from. */
  readonly source: string;
  /** Where the text model's config stands; the first that is there. Default `text_config`. */
  readonly textKeys?: readonly string[];
  /** The text model's `model_type` where it names none of its own. Default: as the class has it. */
  readonly textType?: string;
  readonly towers: (view: View) => readonly Tower[];
  /** The class fills what the text model's sub-config leaves out with its own sizes, not with those of the sub-config's type. */
  readonly fills?: boolean;
  /** The class also reads the text model's keys where they stand directly in the file, beside the towers. */
  readonly flat?: boolean;
  /** A model of this type may be the language model alone, without any sub-config. */
  readonly alone?: boolean;
  /** Tied where no key says it. Default: as the text model's class. */
  readonly tied?: boolean;
  /** A composite model of its own, which this sub-config describes: the language model and its encoders are in there. */
  readonly inner?: { readonly key: string; readonly type: string };
};

/** A composite model as its towers see it. */
export type View = {
  /** Its own keys. */
  readonly outer: Fields;
  readonly type: string;
  /** The text model. */
  readonly shape: Shape;
  readonly T: number;
  /** The config of the file, of which `outer` may be a sub-config. */
  readonly root: Fields;
};

// --- sub-configs ---------------------------------------------------------------------------------------------------------------

/** One sub-config of a model: its type, its fields, and whether the file has it. */
export type SubConfig = {
  readonly type: string;
  readonly part: Fields;
  readonly stated: boolean;
  readonly none: boolean;
};

/** A sub-config with the defaults of its class, or, where the file leaves it out, with what the composite's class builds. */
export function subConfig(outer: Fields, composite: string, key: string): SubConfig {
  const given = outer.raw(key)?.value;
  const built: Dictionary =
    (Object.hasOwn(compositeDefaults, composite) ? compositeDefaults[composite]?.parts[key] : undefined) ?? {};
  const builtType = typeof built['model_type'] === 'string' ? built['model_type'] : '';
  const stated = isDictionary(given);
  const named = stated ? own(given, 'model_type') : undefined;
  const type = typeof named === 'string' && Object.hasOwn(encoders, named) ? named : builtType;
  const defaults = Object.hasOwn(classDefaults, type) ? classDefaults[type] : {};
  const foreign = typeof named === 'string' && type !== named && !builtType.startsWith(named) && named !== composite;
  if (foreign) outer.assume(`${key}.model_type`, named, `counted as ${type}, since this tool does not know it`);
  const part = outer.nested(key, stated ? (defaults ?? {}) : { ...defaults, ...built }, readerOfType(type));
  return { type: foreign ? `${type}?` : type, part, stated, none: given === null };
}

/** Which keys count in a file or a sub-config of this type; all of them where Transformers has no such class. */
export function readerOfType(type: string): Reader | undefined {
  const known = namesOf(type);
  return known && { name: type, reads: (key) => known.has(key) };
}

/** The count of an encoder; an unknown one is listed as not counted. */
function encode(view: View, key: string, { type, part }: SubConfig): Encoded & { readonly exact: boolean } {
  const known = type.replace('?', '');
  const encoder = Object.hasOwn(encoders, known) ? encoders[known] : undefined;
  const counted = encoder?.(part) ?? { parameters: 0, width: 0, unknown: key };
  if (counted.unknown !== undefined)
    view.outer.assume(key, 'not counted', `this tool does not know ${counted.unknown}: the total leaves it out`);
  return { ...counted, exact: counted.unknown === undefined && !type.endsWith('?') };
}

/** What an encoder of a known type holds, wherever it stands; 0 where this tool does not know it. */
export function encoderElements(outer: Fields, key: string): number {
  const given = outer.raw(key)?.value;
  const type = isDictionary(given) ? own(given, 'model_type') : undefined;
  const encoder = typeof type === 'string' && Object.hasOwn(encoders, type) ? encoders[type] : undefined;
  return encoder?.(subConfig(outer, '', key).part).parameters ?? 0;
}

type Count = (D: number, view: View, part: Fields) => number;
/** What joins an encoder to the text: what it holds and, where this tool writes it out, how it is computed. */
type Projector =
  | Count
  | { readonly holds: Count; readonly stages: (D: number, view: View, part: Fields) => readonly TowerStage[] };

/** One encoder and its projector to the text. A sub-config that is null in the file, where the class allows it, is not there. */
const tower =
  (name: string, key: string, projector: Projector = () => 0, optional = false) =>
  (view: View): readonly Tower[] => {
    const found = subConfig(view.outer, view.type, key);
    if (optional && !found.stated) return [];
    const { parameters, width, exact, computes } = encode(view, key, found);
    const encoder = { name, parameters, exact, ...given({ computes }) };
    const { holds, stages } = typeof projector === 'function' ? { holds: projector, stages: undefined } : projector;
    const projected = width === 0 ? 0 : holds(width, view, found.part);
    if (projected === 0) return [encoder];
    const joined =
      stages === undefined || computes === undefined
        ? {}
        : { computes: { reads: computes.reads, stages: stages(width, view, found.part) } };
    return [encoder, { name: `${name}_projector`, parameters: projected, exact, ...joined }];
  };

const vision = (projector?: Projector, optional = false) => tower('vision', 'vision_config', projector, optional);
const audio = (projector?: Projector, optional = false) => tower('audio', 'audio_config', projector, optional);

const both =
  (...each: readonly ((view: View) => readonly Tower[])[]) =>
  (view: View): readonly Tower[] =>
    each.flatMap((count) => count(view));

/** Elements that belong to no encoder. */
const extra =
  (name: string, count: (view: View) => number) =>
  (view: View): readonly Tower[] => [{ name, parameters: count(view), exact: true }];

// --- projectors -------------------------------------------------------------------------------------------------------------------

/** How many layers of the encoder are read: a list reads several, side by side. */
const featureLayers = (outer: Fields, key = 'vision_feature_layer') => {
  const listed = outer.list(key);
  return listed === undefined ? 1 : listed.length;
};

/** Two matrices to the text, with biases unless the config goes without (LLaVA 1.5). */
const llavaProjector: Projector = {
  holds: (D, { outer, T }) => {
    const bias = outer.boolean('multimodal_projector_bias');
    return linear(D * featureLayers(outer), T, bias) + linear(T, T, bias);
  },
  stages: (D, { outer, T }) => [
    twoMatricesStage({
      inputs: D * featureLayers(outer),
      inner: T,
      outputs: T,
      bias: outer.boolean('multimodal_projector_bias'),
    }),
  ],
};

const twoMatrices: Projector = {
  holds: (D, { T }) => linear(D, T) + linear(T, T),
  stages: (D, { T }) => [twoMatricesStage({ inputs: D, inner: T, outputs: T })],
};

const oneMatrix: Projector = {
  holds: (D, { T }) => linear(D, T),
  stages: (D, { T }) => [matrixStage(D, T, true)],
};

/** Several patches merged into one by a norm and two matrices. */
const mergedProjector = (patches: (view: View, part: Fields) => number): Projector => ({
  holds: (D, view, part) => {
    const merged = D * patches(view, part);
    return layerNorm(merged) + linear(merged, view.T) + linear(view.T, view.T);
  },
  stages: (D, view, part) => {
    const merged = D * patches(view, part);
    const norm = { style: 'layer', width: merged } as const;
    return [twoMatricesStage({ inputs: merged, inner: view.T, outputs: view.T, norm }, merged / D)];
  },
});

/** Pixtral's: a norm, patches merged by one matrix, two more to the text. */
const pixtralProjector: Projector = {
  holds: (D, { outer, T }) => {
    const merge = outer.integer('spatial_merge_size');
    const bias = outer.boolean('multimodal_projector_bias');
    return D + merge ** 2 * D * D + linear(D * featureLayers(outer), T, bias) + linear(T, T, bias);
  },
  stages: (D, { outer, T }) => {
    const merged = outer.integer('spatial_merge_size') ** 2;
    const bias = outer.boolean('multimodal_projector_bias');
    const inputs = D * featureLayers(outer);
    return [
      matrixStage(merged * D, D, false, merged),
      twoMatricesStage({ inputs, inner: T, outputs: T, bias }, merged),
    ];
  },
};

/** A norm over one patch, then four of them by two matrices. */
const fourProjector = (middle: 'norm of one' | 'norm of all'): Projector => {
  const normed = (D: number) => (middle === 'norm of one' ? D : 4 * D);
  return {
    holds: (D, { T }) => layerNorm(normed(D)) + linear(4 * D, 4 * D) + linear(4 * D, T),
    stages: (D, { T }) => [
      twoMatricesStage({ inputs: 4 * D, inner: 4 * D, outputs: T, norm: { style: 'layer', width: normed(D) } }, 4),
    ],
  };
};

/** Kimi's: a norm over one patch, whose width has a key of its own. */
const kimiProjector: Projector = {
  holds: (D, { outer, T }) =>
    layerNorm(outer.integerOr(['projection_hidden_size', 'mm_hidden_size'], D, 1)) +
    linear(4 * D, 4 * D) +
    linear(4 * D, T),
  stages: (D, { T }) => [
    twoMatricesStage({ inputs: 4 * D, inner: 4 * D, outputs: T, norm: { style: 'layer', width: D } }, 4),
  ],
};

/** Cohere's: patches merged, a gated pair of matrices. */
const cohereProjector =
  (norm: boolean): Projector =>
  (D, { outer, T }) => {
    const merged = D * outer.integer('downsample_factor') ** 2;
    const inner = outer.integerOr('alignment_intermediate_size', T, 1);
    return (norm ? layerNorm(merged) : 0) + linear(merged, inner) + linear(Math.floor(inner / 2), T);
  };

/** A Q-Former (Li et al. 2023, arXiv:2301.12597): queries attend to each other, and in some layers to the image. */
function qformer(part: Fields, read: number, readsText = false): number {
  const D = part.integer('hidden_size');
  const L = part.integer('num_hidden_layers', 0);
  const F = part.integer('intermediate_size');
  const attention = (from: number) => 2 * linear(D, D) + 2 * linear(from, D) + layerNorm(D);
  const feedForward = linear(D, F) + linear(F, D) + layerNorm(D);
  const crossed = Math.ceil(L / part.integer('cross_attention_frequency'));
  const words = (part.count('vocab_size') + part.count('max_position_embeddings')) * D;
  const text = readsText || part.boolean('use_qformer_text_input') ? words + L * feedForward : 0;
  return layerNorm(D) + L * (attention(D) + feedForward) + crossed * attention(read) + text;
}

/** BLIP-2: learned queries, a Q-Former, one matrix to the text. */
const qformerProjector =
  (readsText: boolean): Projector =>
  (D, { outer, type, T }) => {
    const { part } = subConfig(outer, type, 'qformer_config');
    const Q = part.integer('hidden_size');
    return outer.integer('num_query_tokens') * Q + qformer(part, D, readsText) + linear(Q, T);
  };

/** Idefics 2: a gated feed-forward to the text's width, then a few latents that read all patches (a perceiver). */
const perceiverProjector: Projector = (D, { outer, type, T, shape }) => {
  const { part } = subConfig(outer, type, 'perceiver_config');
  const P = T;
  const d = part.integer('resampler_head_dim');
  const heads = part.integer('resampler_n_heads') * d;
  const keyValue = part.integer('num_key_value_heads') * d;
  const one = 3 * P + 2 * P * heads + 2 * P * keyValue + 3 * P * 4 * P;
  const resampler = part.integer('resampler_n_latents') * P + part.integer('resampler_depth', 0) * one + P;
  return 2 * D * shape.width + shape.width * T + resampler;
};

/** Aria: queries that read the patches by attention, and two matrices. */
const ariaProjector: Projector = (D, { outer, T }) => {
  const listed = Object.values((outer.raw('projector_patch_to_query_dict')?.value as object | undefined) ?? {});
  const queries = listed.length === 0 ? 256 : Math.max(...listed.map(Number));
  const cross = 3 * D * D + 4 * linear(D, D) + linear(D, D) + 2 * layerNorm(D);
  return queries * D + cross + layerNorm(D) + D * T + T * T;
};

/** ERNIE 4.5 VL: four patches, then two frames, each by a small feed-forward with a norm, and one matrix to the text. */
const ernieProjector: Projector = (D, { T }, part) => {
  const spatial = D * part.integer('spatial_merge_size') ** 2;
  const temporal = spatial * part.integer('temporal_merge_size');
  const mix = (inputs: number) => linear(inputs, spatial) + linear(spatial, spatial) + layerNorm(spatial);
  return mix(spatial) + mix(temporal) + linear(spatial, T) + T;
};

/** SAM's features halved twice by convolutions. */
const samProjector = (out: number) => convolution(out, 2 * out, 3, false) + convolution(2 * out, 4 * out, 3, false);

/** DeepSeek-VL's second, finer encoder with its neck, its convolutions and a learned weight. */
const deepseekHybrid = (view: View): readonly Tower[] => {
  const low = encode(view, 'vision_config', subConfig(view.outer, view.type, 'vision_config'));
  const fine = subConfig(view.outer, view.type, 'high_res_vision_config');
  const high = encode(view, 'high_res_vision_config', fine);
  const out = high.width;
  const half = Math.floor(view.T / 2);
  const neck = samNeck(fine.part.integer('hidden_size'), out) + samProjector(out) + 1;
  const aligner = linear(low.width, half) + linear(4 * out, half) + linear(view.T, view.T);
  return [
    { name: 'vision', parameters: low.parameters, exact: low.exact },
    { name: 'vision_fine', parameters: high.parameters + neck, exact: high.exact },
    { name: 'vision_projector', parameters: aligner, exact: true },
  ];
};

/** A residual block of a VQ-GAN (Esser et al. 2021): two norms, two convolutions, one more where the width changes. */
const residual = (inputs: number, outputs: number) =>
  2 * inputs +
  convolution(inputs, outputs, 3) +
  2 * outputs +
  convolution(outputs, outputs, 3) +
  (inputs === outputs ? 0 : linear(inputs, outputs));

/** Residual blocks in a row, of which the first changes the width. */
const stage = (before: number, width: number, count: number) =>
  count === 0 ? 0 : residual(before, width) + (count - 1) * residual(width, width);

const attentionBlock = (channels: number) => 2 * channels + 4 * linear(channels, channels);

/** A VQ-GAN's encoder, and its decoder where the model draws: the image tokenizer of Chameleon and Janus. */
function vqgan(part: Fields, decodes: boolean, attends: boolean): number {
  const base = part.integer('base_channels');
  const multiples = part.listed('channel_multiplier').map(Number);
  const blocks = part.integer('num_res_blocks', 0);
  const latent = part.integer('latent_channels');
  const embed = part.integer('embed_dim');
  const colours = part.integer('in_channels');
  const widths = multiples.map((multiple) => base * multiple);
  const last = widths.at(-1) ?? base;
  const middle = 2 * residual(last, last) + attentionBlock(last);
  const down = widths.reduce((sum, width, level) => {
    const before = level === 0 ? base : (widths[level - 1] ?? base);
    const attention = attends && level === widths.length - 1 ? blocks * attentionBlock(width) : 0;
    const halved = level === widths.length - 1 ? 0 : convolution(width, width, 3);
    return sum + stage(before, width, blocks) + attention + halved;
  }, 0);
  const doubled = part.boolean('double_latent') ? 2 * latent : latent;
  const encoder = convolution(colours, base, 3) + down + middle + 2 * last + convolution(last, doubled, 3);
  const up = [...widths.keys()].reverse().reduce((sum, level) => {
    const width = widths[level] ?? base;
    const before = level === widths.length - 1 ? last : (widths[level + 1] ?? last);
    const attention = level === widths.length - 1 ? (blocks + 1) * attentionBlock(width) : 0;
    const grown = level === 0 ? 0 : convolution(width, width, 3);
    return sum + stage(before, width, blocks + 1) + attention + grown;
  }, 0);
  const first = widths[0] ?? base;
  const decoder =
    convolution(latent, last, 3) +
    middle +
    up +
    2 * first +
    convolution(first, part.integerOr('out_channels', colors, 1), 3);
  const codes = part.integer('num_embeddings') * embed + linear(latent, embed) + linear(embed, latent);
  return encoder + codes + (decodes ? decoder : 0);
}

/** Janus: an encoder that reads images, and a VQ-GAN with its own embedding, aligner and head that draws them. */
const janus = (view: View): readonly Tower[] => {
  const seen = subConfig(view.outer, view.type, 'vision_config');
  const { parameters, width: D, exact, computes } = encode(view, 'vision_config', seen);
  const project = (inputs: number, out: number, depth: number) => linear(inputs, out) + (depth - 1) * linear(out, out);
  const { part } = subConfig(view.outer, view.type, 'vq_config');
  const out = part.integer('projection_dim');
  const codes = part.integer('num_embeddings');
  const embed = part.integer('embed_dim');
  const draws =
    vqgan(part, true, true) +
    codes * embed +
    project(embed, out, part.integer('num_hidden_layers')) +
    linear(part.integer('image_token_embed_dim'), out) +
    linear(out, codes);
  const reads = project(D, seen.part.integer('projection_dim'), seen.part.integer('depth'));
  return [
    { name: 'vision', parameters, exact, ...given({ computes }) },
    { name: 'vision_projector', parameters: reads, exact },
    { name: 'vision_generation', parameters: draws, exact: true },
  ];
};

/** GOT-OCR 2: SAM's features halved by two convolutions, and one matrix. */
const gotProjector: Projector = (D, { T }) =>
  convolution(D, 2 * D, 3, false) + convolution(2 * D, T, 3, false) + linear(T, T);

/** Pixels shuffled into fewer, and one matrix without bias. */
const shuffledProjector: Projector = {
  holds: (D, { outer, T }) => D * outer.integer('scale_factor') ** 2 * T,
  stages: (D, { outer, T }) => {
    const merged = outer.integer('scale_factor') ** 2;
    return [matrixStage(D * merged, T, false, merged)];
  },
};

const internProjector = mergedProjector(({ outer }) => 1 / outer.number('downsample_ratio') ** 2);

/** One learned token that ends a line of patches. */
const newline = extra('image_newline', ({ T }) => T);

/** Gemma's: one matrix; Gemma 3 has a norm before. */
const gemma3Projector: Projector = {
  holds: (D, { T }) => D + D * T,
  // Patches are averaged to so many tokens.
  stages: (D, { outer, T }, part) => {
    const side = Math.floor(part.integer('image_size') / part.integer('patch_size'));
    return [matrixStage(D, T, false, side ** 2 / outer.integer('mm_tokens_per_image'))];
  },
};

/** Gemma 3n: hard tokens of each kind with two norms, and one matrix. */
const gemma3nProjector: Projector = (D, { T }, part) => part.integer('vocab_size') * D + 2 * D + D * T;

/** Gemma 4: one matrix from each encoder that the config has. */
const gemma4 = (view: View): readonly Tower[] => {
  const holds: Count = (D, { T }) => D * T;
  // Patches of a square are averaged.
  const averaged: Projector = {
    holds,
    stages: (D, { T }, part) => [matrixStage(D, T, false, part.integer('pooling_kernel_size') ** 2)],
  };
  const { outer } = view;
  const counted = both(vision(averaged, true), audio(holds, true))(view);
  // The published models with per-layer inputs (E2B, E4B) hear; some copies of their configs lost the description.
  const lost = outer.states('audio_config') && !isDictionary(outer.raw('audio_config')?.value) && counted.length > 0;
  if (!lost || outer.nested('text_config').count('hidden_size_per_layer_input') === 0) return counted;
  outer.assume('audio_config', "the class's own", 'published models with per-layer inputs have an audio tower');
  return [...counted, ...audio(holds)(view)];
};

/** Gemma 4 without encoders: patches and sound go through one matrix each. */
const gemma4Unified = (view: View): readonly Tower[] => {
  const { outer, T, type } = view;
  const seen = subConfig(outer, type, 'vision_config');
  const heard = subConfig(outer, type, 'audio_config');
  const D = seen.stated ? seen.part.integer('mm_embed_dim') : 0;
  const pixels = seen.stated
    ? 3 * (seen.part.integer('patch_size') * seen.part.integer('pooling_kernel_size')) ** 2
    : 0;
  const positions = seen.stated ? 2 * seen.part.integer('mm_posemb_size') * D : 0;
  const sees = layerNorm(pixels) + linear(pixels, D) + 2 * layerNorm(D) + positions + D * T;
  return [
    ...(seen.stated ? [{ name: 'vision', parameters: sees, exact: true }] : []),
    ...(heard.stated ? [{ name: 'audio', parameters: heard.part.integer('audio_embed_dim') * T, exact: true }] : []),
  ];
};

/** Granite Vision 4: eight windowed Q-Formers, one for each layer that is read and each place. */
const graniteVisionProjector: Projector = (D, { outer, type, T }) => {
  const { part } = subConfig(outer, type, 'qformer_config');
  const [numerator = 1, denominator = 1] = (outer.string('downsample_rate') ?? '').split('/').map(Number);
  const layers = (outer.list('deepstack_layer_map')?.length ?? 0) + outer.listed('spatial_target_layers').length;
  const one =
    (numerator ** 2 + denominator ** 2) * D +
    qformer(part, part.integerOr('encoder_hidden_size', D, 1)) +
    layerNorm(D) +
    linear(D, T);
  return T + layers * one;
};

/** Granite Speech: a few queries for each window of sound, a Q-Former, one matrix. */
const graniteSpeech = (view: View): readonly Tower[] => {
  const { outer, type, T } = view;
  const heard = encode(view, 'encoder_config', subConfig(outer, type, 'encoder_config'));
  const { part } = subConfig(outer, type, 'projector_config');
  const Q = part.integer('hidden_size');
  const queries = Math.floor(outer.integer('window_size') / outer.integer('downsample_rate'));
  return [
    { name: 'audio', parameters: heard.parameters, exact: heard.exact },
    {
      name: 'audio_projector',
      parameters: queries * Q + qformer(part, part.integerOr('encoder_hidden_size', Q, 1)) + linear(Q, T),
      exact: heard.exact,
    },
  ];
};

/** Phi-4: an image encoder with two separators and two matrices, a sound encoder with two pairs of matrices. */
const phi4: Composite['towers'] = both(
  vision((D, { T }) => 2 * D + linear(D, T) + linear(T, T)),
  audio((D, { T }) => 2 * (linear(D, T) + linear(T, T))),
);

const qwenOmniThinker = both(audio(), vision());

/** CLIP ViT-L/14 for images of 336 pixels, which Phi-3 names instead of describing: as `clip_vision_model` counts it. */
const namedClip = { name: 'clip-vit-large-patch14-336', parameters: 303_507_456, width: 1024 };

/** Phi-3 vision: a named encoder, two separators, two matrices from four patches to the text. */
const phi3Vision = (view: View): readonly Tower[] => {
  const { outer, T } = view;
  const processor = outer.nested('img_processor');
  const known = (processor.string('model_name') ?? namedClip.name).endsWith(namedClip.name);
  if (!known) outer.assume('img_processor.model_name', 'not counted', 'this tool does not know the encoder');
  const merged = 4 * processor.integerOr('image_dim_out', namedClip.width, 1);
  return [
    { name: 'vision', parameters: known ? namedClip.parameters : 0, exact: known },
    { name: 'vision_projector', parameters: 2 * merged + linear(merged, T) + linear(T, T), exact: known },
  ];
};

/** MiniCPM-V: learned queries that read the patches by one attention as wide as the text. */
const resamplerProjector: Projector = (D, { outer, T }) => {
  const queries = outer.integer('query_num');
  return queries * T + D * T + 4 * linear(T, T) + 3 * layerNorm(T) + T * T;
};

/** How deep LLaVA's own code makes its projector; undefined where it knows no such type. */
function projectorDepth(type: string): number | undefined {
  if (type === 'identity') return 0;
  if (type === 'linear') return 1;
  const [, depth] = /^mlp([1-9])x_gelu$/.exec(type) ?? [];
  return depth === undefined ? undefined : Number(depth);
}

/** LLaVA's own code keeps the projector beside the text's keys and loads its encoder from where it was published. */
const besideLlava = ({ outer, T }: View): readonly Tower[] => {
  const encoder = outer.string(['mm_vision_tower', 'vision_tower']);
  if (encoder === undefined) return [];
  outer.assume('mm_vision_tower', 'not counted', 'the encoder is loaded from a repository of its own');
  const type = outer.string('mm_projector_type') ?? 'linear';
  const depth = projectorDepth(type);
  if (depth === undefined) outer.assume('mm_projector_type', type, 'a projector of this type is not counted');
  const width = outer.integer('mm_hidden_size');
  const newline = (outer.string('mm_patch_merge_type') ?? '').includes('unpad') ? T : 0;
  const projector = depth ? linear(width, T) + (depth - 1) * linear(T, T) : 0;
  return [
    { name: 'vision', parameters: 0, exact: false },
    { name: 'vision_projector', parameters: projector + newline, exact: depth !== undefined },
  ];
};

const llavaCode = 'haotian-liu/LLaVA llava/model/llava_arch.py and multimodal_projector/builder.py';
const besideText = (textType: string): Composite => ({
  source: llavaCode,
  textType,
  flat: true,
  towers: besideLlava,
});

/** Composites that go by another's `model_type` (`variants.ts`), or by one that no published file of theirs states. */
const variantComposites: Readonly<Record<string, Composite>> = {
  llava_llama: besideText('llama'),
  llava_mistral: besideText('mistral'),
  llava_qwen: besideText('qwen2'),
};

/** Molmo's own code writes its encoder out (CLIP ViT-L/14 at 336 pixels without its last layer) and reads two of its layers. */
const molmoVision = ({ T, shape }: View): readonly Tower[] => {
  const D = 1024;
  const layer = 4 * linear(D, D) + linear(D, 4 * D) + linear(4 * D, D) + 2 * layerNorm(D);
  const patches = (336 / 14) ** 2 + 1;
  const encoder = D + patches * D + linear(14 * 14 * colors, D, false) + layerNorm(D) + 23 * layer;
  const pooling = 3 * linear(2 * D, D) + linear(D, D);
  // Besides the gated matrices stand two vectors for patches that are padding, whole or in part.
  const projector = 2 * D * shape.width + shape.width * T + 2 * 2 * D;
  return [
    { name: 'vision', parameters: encoder, exact: true },
    { name: 'vision_projector', parameters: pooling + projector, exact: true },
  ];
};

/** Every composite model, by `model_type`. */
export const composites: Readonly<Record<string, Composite>> = {
  aria: { source: modeling('aria'), towers: vision(ariaProjector) },
  aya_vision: { source: modeling('aya_vision'), towers: vision(cohereProjector(true)) },
  'blip-2': { source: modeling('blip_2'), towers: vision(qformerProjector(false)) },
  chameleon: {
    source: modeling('chameleon'),
    textType: 'chameleon',
    flat: true,
    towers: (view) => [
      {
        name: 'vision',
        parameters: vqgan(subConfig(view.outer, view.type, 'vq_config').part, false, false),
        exact: true,
      },
    ],
  },
  cohere2_vision: { source: modeling('cohere2_vision'), towers: vision(cohereProjector(false)) },
  cohere_compass: { source: modeling('cohere_compass'), towers: vision() },
  cosmos3_edge: {
    source: modeling('cosmos3_edge'),
    towers: vision((D, { outer, T }, part) => {
      const inner = outer.integer('projector_hidden_size');
      return layerNorm(D) + linear(D * part.integer('spatial_merge_size') ** 2, inner) + linear(inner, T);
    }),
  },
  cosmos3_omni: { source: modeling('cosmos3_omni'), towers: vision() },
  deepseek_vl: { source: modeling('deepseek_vl'), towers: vision(twoMatrices) },
  deepseek_vl_hybrid: { source: modeling('deepseek_vl_hybrid'), towers: deepseekHybrid },
  emu3: {
    source: modeling('emu3'),
    towers: ({ outer, type }) => [
      { name: 'vision', parameters: emu3Tokenizer(subConfig(outer, type, 'vq_config').part), exact: true },
    ],
  },
  ernie4_5_vl_moe: { source: modeling('ernie4_5_vl_moe'), flat: true, towers: vision(ernieProjector) },
  exaone4_5: { source: modeling('exaone4_5'), towers: vision() },
  fast_vlm: { source: modeling('fast_vlm'), towers: vision(llavaProjector) },
  fuyu: {
    source: modeling('fuyu'),
    textType: 'persimmon',
    flat: true,
    towers: extra('vision', ({ outer, T }) =>
      linear(outer.integer('num_channels') * outer.integer('patch_size') ** 2, outer.integerOr('hidden_size', T, 1)),
    ),
  },
  gemma3: { source: modeling('gemma3'), towers: vision(gemma3Projector) },
  gemma3n: { source: modeling('gemma3n'), towers: both(vision(gemma3nProjector), audio(gemma3nProjector)) },
  gemma4: {
    source: modeling('gemma4'),
    towers: gemma4,
  },
  gemma4_unified: { source: modeling('gemma4_unified'), towers: gemma4Unified },
  glm46v: { source: modeling('glm46v'), towers: vision() },
  glm4v: { source: modeling('glm4v'), towers: vision() },
  glm4v_moe: { source: modeling('glm4v_moe'), towers: vision() },
  glm_ocr: { source: modeling('glm_ocr'), towers: vision() },
  glmga: { source: modeling('glm46v'), towers: vision() },
  glmasr: {
    source: modeling('glmasr'),
    towers: audio((_D, { T }, part) => linear(part.integer('intermediate_size'), 2 * T) + linear(2 * T, T)),
  },
  got_ocr2: { source: modeling('got_ocr2'), tied: true, towers: vision(gotProjector) },
  granite4_vision: { source: modeling('granite4_vision'), towers: vision(graniteVisionProjector) },
  granite_speech: { source: modeling('granite_speech'), towers: graniteSpeech },
  granite_speech_plus: { source: modeling('granite_speech_plus'), towers: graniteSpeech },
  hunyuan_vl: { source: modeling('hunyuan_vl'), flat: true, towers: vision() },
  hyperclovax_vision_v2: { source: modeling('hyperclovax_vision_v2'), towers: vision((D, { T }) => linear(D, T)) },
  idefics2: { source: modeling('idefics2'), towers: vision(perceiverProjector) },
  idefics3: { source: modeling('idefics3'), towers: vision(shuffledProjector) },
  inkling_mm_model: {
    source: modeling('inkling'),
    towers: both(
      vision((D, { T }) => D * T + T),
      // A table for each band of the spectrum, summed, and a norm.
      extra('audio', ({ outer, type, T }) => {
        const { part } = subConfig(outer, type, 'audio_config');
        return (part.integer('n_mel_bins') * part.integer('mel_vocab_size') + 1) * T;
      }),
    ),
  },
  instructblip: { source: modeling('instructblip'), towers: vision(qformerProjector(true)) },
  instructblipvideo: { source: modeling('instructblipvideo'), towers: vision(qformerProjector(true)) },
  internvl: { source: modeling('internvl'), towers: vision(internProjector) },
  janus: { source: modeling('janus'), towers: janus },
  qwen2_5_omni: {
    source: modeling('qwen2_5_omni'),
    inner: { key: 'thinker_config', type: 'qwen2_5_omni_thinker' },
    towers: ({ root }) => qwen25Speech(root),
  },
  qwen3_omni_moe: {
    source: modeling('qwen3_omni_moe'),
    inner: { key: 'thinker_config', type: 'qwen3_omni_moe_thinker' },
    towers: ({ root }) => qwen3Speech(root),
  },
  internvl_chat: {
    source: 'OpenGVLab/InternVL2-8B modeling_internvl_chat.py',
    textKeys: ['llm_config'],
    towers: vision(internProjector),
  },
  kimi_vl: {
    source: 'moonshotai/Kimi-VL-A3B-Instruct modeling_kimi_vl.py',
    textType: 'deepseek_v3',
    towers: vision(fourProjector('norm of one')),
  },
  minicpmv: {
    source: 'openbmb/MiniCPM-V-2_6 modeling_minicpmv.py',
    textType: 'qwen2',
    flat: true,
    towers: vision(resamplerProjector),
  },
  phi3_v: {
    source: 'microsoft/Phi-3-vision-128k-instruct modeling_phi3_v.py',
    textType: 'phi3',
    flat: true,
    towers: phi3Vision,
  },
  kimi_k25: { source: modeling('kimi_k25'), towers: vision(kimiProjector) },
  'kosmos-2': {
    source: modeling('kosmos2'),
    towers: vision((D, { outer, T }) => outer.integer('latent_query_num') * T + linear(D, T) + 4 * linear(T, T)),
  },
  lfm2_vl: {
    source: modeling('lfm2_vl'),
    towers: vision((D, { outer, T }) => {
      const merged = D * outer.integer('downsample_factor') ** 2;
      const inner = outer.integer('projector_hidden_size');
      const bias = outer.boolean('projector_bias');
      const norm = outer.boolean('projector_use_layernorm') ? layerNorm(merged) : 0;
      return norm + linear(merged, inner, bias) + linear(inner, T, bias);
    }),
  },
  lighton_ocr: { source: modeling('lighton_ocr'), towers: vision(pixtralProjector) },
  llama4: {
    source: modeling('llama4'),
    towers: vision({
      holds: (D, { T }) => D * T,
      stages: (D, { T }, part) => [
        matrixStage(
          D,
          T,
          false,
          Math.max(1, Math.floor(part.integer('intermediate_size') / part.integer('hidden_size'))),
        ),
      ],
    }),
  },
  llava: { source: modeling('llava'), towers: vision(llavaProjector) },
  llava_next: { source: modeling('llava_next'), towers: both(vision(llavaProjector), newline) },
  llava_next_video: { source: modeling('llava_next_video'), towers: both(vision(llavaProjector), newline) },
  llava_onevision: { source: modeling('llava_onevision'), towers: both(vision(llavaProjector), newline) },
  molmo: { source: 'allenai/Molmo-7B-D-0924 modeling_molmo.py', textType: 'molmo', flat: true, towers: molmoVision },
  minicpmv4_6: { source: modeling('minicpmv4_6'), towers: vision(fourProjector('norm of all')) },
  minicpmv4_7: { source: modeling('minicpmv4_7'), towers: vision(fourProjector('norm of all')) },
  minimax_m3_vl: {
    source: modeling('minimax_m3_vl'),
    towers: vision((D, { outer, T }, part) => {
      const inner = outer.integer('projector_hidden_size');
      const merged = outer.integerOr('merged_hidden_size', T * part.integer('spatial_merge_size') ** 2, 1);
      return linear(D, inner) + linear(inner, T) + linear(merged, inner) + linear(inner, T);
    }),
  },
  ministral3: { source: modeling('mistral3'), alone: true, textType: 'ministral3', towers: vision(pixtralProjector) },
  mistral3: { source: modeling('mistral3'), towers: vision(pixtralProjector) },
  mllama: { source: modeling('mllama'), towers: vision(oneMatrix) },
  muse_glimmer: {
    source: modeling('muse_glimmer'),
    towers: vision((_D, { outer, T }) => {
      const inner = outer.integer('projector_hidden_size');
      return outer.integer('out_hidden_size') * inner + inner * inner + inner * T;
    }),
  },
  nemotron_h_omni: {
    source: modeling('nemotron_h_omni'),
    textKeys: ['text_config', 'llm_config'],
    towers: both(
      vision((D, { outer, T }) => {
        const merged = outer.integerOr('vision_hidden_size', D, 1) / outer.number('downsample_ratio') ** 2;
        const inner = outer.integer('projector_hidden_size');
        return merged + merged * inner + inner * T;
      }),
      audio(undefined, true),
    ),
  },
  ovis2: {
    source: modeling('ovis2'),
    towers: vision((words, { outer }) => words * outer.integer('hidden_size')),
  },
  paddleocr_vl: { source: modeling('paddleocr_vl'), flat: true, towers: vision(fourProjector('norm of one')) },
  paligemma: {
    source: modeling('paligemma'),
    towers: vision({
      holds: (D, { outer }) => linear(D, outer.integer('projection_dim')),
      stages: (D, { outer }) => [matrixStage(D, outer.integer('projection_dim'), true)],
    }),
  },
  perception_lm: { source: modeling('perception_lm'), towers: vision(twoMatrices) },
  phi4_multimodal: { source: modeling('phi4_multimodal'), textType: 'phi4_multimodal', flat: true, towers: phi4 },
  pp_chart2table: { source: modeling('got_ocr2'), tied: true, towers: vision(gotProjector) },
  qianfan_ocr: { source: modeling('qianfan_ocr'), towers: vision(internProjector) },
  qwen2_5_omni_thinker: { source: modeling('qwen2_5_omni'), tied: false, towers: qwenOmniThinker },
  qwen2_5_vl: { source: modeling('qwen2_5_vl'), flat: true, towers: vision() },
  qwen2_audio: {
    source: modeling('qwen2_audio'),
    towers: audio({ ...oneMatrix, stages: (D, { T }) => [matrixStage(D, T, true, 2)] }),
  },
  qwen2_vl: { source: modeling('qwen2_vl'), flat: true, towers: vision() },
  qwen3_5: { source: modeling('qwen3_5'), towers: vision() },
  qwen3_5_moe: { source: modeling('qwen3_5_moe'), towers: vision() },
  qwen3_asr: {
    source: modeling('qwen3_asr'),
    tied: true,
    towers: audio((D, _view, part) => linear(D, D) + linear(D, part.integer('output_dim'))),
  },
  qwen3_omni_moe_thinker: { source: modeling('qwen3_omni_moe'), towers: qwenOmniThinker },
  qwen3_vl: { source: modeling('qwen3_vl'), towers: vision() },
  qwen3_vl_moe: { source: modeling('qwen3_vl_moe'), towers: vision() },
  qwen4_exp: { source: modeling('qwen4_exp'), towers: vision() },
  shieldgemma2: { source: modeling('gemma3'), towers: vision(gemma3Projector) },
  smolvlm: { source: modeling('smolvlm'), towers: vision(shuffledProjector) },
  step3p7: {
    source: modeling('step3p7'),
    towers: vision((D, { outer, T }) => linear(D, T, outer.boolean('projector_bias'))),
  },
  video_llama_3: { source: modeling('video_llama_3'), towers: vision(twoMatrices) },
  video_llava: {
    source: modeling('video_llava'),
    // Two encoders of one shape: one for images, one for video.
    towers: both(vision(llavaProjector), (view) => vision()(view).map((one) => ({ ...one, name: 'video' }))),
  },
  vipllava: {
    source: modeling('vipllava'),
    towers: vision((D, { outer, T }) => {
      const read = D * outer.listed('vision_feature_layers').length;
      return layerNorm(read) + linear(read, T) + linear(T, T);
    }),
  },
  voxtral: {
    source: modeling('voxtral'),
    fills: true,
    towers: audio({
      holds: (_D, { T }, part) => part.integer('intermediate_size') * T + T * T,
      stages: (D, { T }, part) => {
        const inputs = part.integer('intermediate_size');
        return [twoMatricesStage({ inputs, inner: T, outputs: T, bias: false }, inputs / D)];
      },
    }),
  },
  voxtral_realtime: {
    source: modeling('voxtral_realtime'),
    fills: true,
    towers: audio((D, { outer, T }) => D * outer.integer('downsample_factor') * T + T * T),
  },
};

/** How the parts of a multimodal type are put together; undefined for other types. */
export const findComposite = (modelType: string): Composite | undefined =>
  Object.hasOwn(composites, modelType)
    ? composites[modelType]
    : Object.hasOwn(variantComposites, modelType)
      ? variantComposites[modelType]
      : undefined;
