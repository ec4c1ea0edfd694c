/** How layers differ within one model: the plan of a family names a mixer and a feed-forward for each of them. */

/** Token mixers that rows tell apart. What a mixer is made of is its family's `attention`. */
export type MixerKind =
  | 'full'
  | 'sliding'
  | 'chunked'
  | 'sparse'
  | 'shared'
  | 'cross'
  | 'sliding_attention'
  | 'compressed_sparse_attention'
  | 'heavily_compressed_attention'
  | 'attention'
  | 'linear'
  | 'delta'
  | 'mamba'
  | 'hybrid'
  | 'conv'
  | 'recurrent'
  | 'encoder'
  | 'decoder'
  | 'fast'
  | 'slow'
  | 'last'
  | 'none';

/** A layer's mixer, with what this layer has that others of its kind do not. */
export type Mixer = {
  readonly kind: MixerKind;
  /** As reports call it, where the kind does not say enough. */
  readonly label?: string;
  /** Sizes of its own, where the model's do not hold. */
  readonly heads?: number;
  readonly keyValueHeads?: number;
  readonly headDim?: number;
  readonly window?: number;
  /** The first layer, which lacks what later ones have. */
  readonly first?: true;
  /** Runs with the weights of an earlier layer. */
  readonly again?: true;
  /** Reads the keys and values of an earlier layer. */
  readonly sharedKeyValue?: true;
  /** Which of the n-gram tables stand at the layer, counted from 0. */
  readonly tables?: number;
};

/** Feed-forwards that rows tell apart. */
export type MlpKind = 'dense' | 'experts' | 'half' | 'double' | 'encoder' | 'decoder' | 'none';

/** A layer's feed-forward, with what this layer has that others of its kind do not. */
export type Mlp = {
  readonly kind: MlpKind;
  readonly label?: string;
  readonly width?: number;
  readonly first?: true;
  /** Experts are chosen by a table of tokens. */
  readonly hashed?: true;
};

/** One entry for each layer; a kind alone where there is no more to say. */
export type MixerPlan = readonly (MixerKind | Mixer)[];
export type MlpPlan = readonly (MlpKind | Mlp)[];

/** A mixer of which only the kind is said, with everything else as usual. */
export const mixerOf = (one: MixerKind | Mixer): Mixer => (typeof one === 'string' ? { kind: one } : one);
/** The same for a feed-forward. */
export const mlpOf = (one: MlpKind | Mlp): Mlp => (typeof one === 'string' ? { kind: one } : one);

/** What reports call a layer: its mixer and its feed-forward, without what goes without saying. */
export function layerName(mixer: Mixer, mlp: Mlp): string {
  const words = [mixer.label ?? mixer.kind, mlp.label ?? mlp.kind];
  return [...new Set(words)].filter((word) => word !== 'full' && word !== 'none').join(' ') || (words[0] ?? '');
}
