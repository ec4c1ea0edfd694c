import type {
  Activation,
  CompressedAttention,
  DenseFeedForward,
  Experts,
  GroupedAttention,
  LatentAttention,
  Part,
} from '../model/architecture.ts';
import type { Assumption } from '../model/reading.ts';
import type { Dictionary, Fields } from '../text/fields.ts';
import type { Mixer, MixerKind, MixerPlan, Mlp, MlpKind, MlpPlan } from './layer.ts';
import type { Shape } from './shape.ts';

/**
 * How a family builds its layers, as traits rather than formulas. What a row leaves out is as in Llama: RMSNorm before each block,
 * grouped attention with rotary positions and without biases, a gated feed-forward, an untied output.
 */
export type Family = {
  /** The modelling code that the row was read from. */
  readonly source: string;
  readonly norm?: {
    readonly style: 'rms' | 'layer';
    readonly weight?: boolean;
    readonly bias?: boolean;
    readonly upcast?: 'none' | 'input' | 'weight';
  };
  /**
   * Where norms stand: `pre` before both blocks, `post` after both, `sandwich` before and after both, `single` one norm that two
   * parallel blocks share, `double` one norm for each of two parallel blocks, `own` where the blocks contain their norms.
   */
  readonly norms?: NormPlan | ((fields: Fields, mixer: Mixer) => NormPlan);
  readonly attention?: (
    shape: Shape,
    fields: Fields,
    mixer: Mixer,
  ) => GroupedAttention | LatentAttention | CompressedAttention | readonly Part[];
  readonly feedForward?: (shape: Shape, fields: Fields, mlp: Mlp) => DenseFeedForward | Experts | readonly Part[];
  /** The mixer of each layer. */
  readonly mixers?: (shape: Shape, fields: Fields) => MixerPlan;
  /** The feed-forward of each layer. */
  readonly mlps?: (shape: Shape, fields: Fields) => MlpPlan;
  readonly activation?: Activation;
  readonly gated?: boolean;
  readonly feedForwardBias?: boolean | ((fields: Fields) => boolean);
  readonly outputBias?: (fields: Fields) => boolean;
  /** Tied where the config does not say. Default false. */
  readonly tied?: boolean;
  /** Keys that say whether the output is tied; the first that is stated wins. Default `tie_word_embeddings`. An empty list means that the code ignores the config and `tied` holds. */
  readonly tiedKeys?: readonly string[];
  /** Whether the layers' norms have a bias, where the config decides it. */
  readonly normBias?: (fields: Fields) => boolean;
  /** Whether norms have a weight and a bias, where the config decides it. */
  readonly normWeight?: (fields: Fields) => boolean;
  /** Columns of the token table where the residual stream is wider. */
  readonly tableWidth?: (fields: Fields, hiddenSize: number) => number;
  /** Parts of the embedding besides the token table: learned positions, a norm. */
  readonly embedding?: (shape: Shape, fields: Fields) => readonly Part[];
  /** Parts between the final norm and the output matrix. */
  readonly beforeOutput?: (shape: Shape, fields: Fields) => readonly Part[];
  readonly finalNorm?: boolean | ((fields: Fields) => boolean);
  /** Parts that replace the final norm and the output matrix. `tied` is what the config or the class says. */
  readonly head?: (shape: Shape, fields: Fields, tied: boolean) => readonly Part[];
  /** Its head follows the class that the config names by itself, as in BERT and its kin. */
  readonly ownClasses?: true;
  /** An encoder and a decoder: its classifiers have a matrix more. */
  readonly twoStacks?: true;
  /** The class that finds answers has as many outputs as there are labels; in other families two. */
  readonly answersByLabels?: true;
  /** Assumptions that the figures of such a model rest on; they are listed in every report. */
  readonly assumes?: readonly Assumption[] | ((fields: Fields) => readonly Assumption[]);
  /** How many residual streams there are, where there are several, and how blocks write back to them. */
  readonly streams?: (fields: Fields) => {
    readonly count: number;
    readonly back: 'added' | 'mixed';
    readonly rank?: number;
  };
  /** Rank of the learned gate on the norm before a block; undefined where it has none. */
  readonly normGate?: (fields: Fields, block: 'attention' | 'feed_forward', mlp: Mlp) => number | undefined;
  /** A layer whose mixer is marked `again` runs with all the weights of an earlier layer. */
  readonly repeats?: true;
  /** Whether logits go through a tanh, where the config does not say. */
  readonly softcapped?: boolean;
  /** Extra parts at the start of each layer. */
  readonly layerStart?: (shape: Shape, fields: Fields, mixer: Mixer) => readonly Part[];
  /** Extra parts at the end of each layer. */
  readonly layerExtras?: (shape: Shape, fields: Fields, mixer: Mixer, mlp: Mlp) => readonly Part[];
  readonly prediction?: (
    shape: Shape,
    fields: Fields,
    layer: (mixer: MixerKind, mlp: MlpKind) => readonly Part[],
  ) => { readonly depth: number; readonly parts: readonly Part[] };
  /** Checkpoints store a second copy of the embeddings with each multi-token-prediction layer. */
  readonly copiesEmbeddings?: boolean;
  /** The `model_type` whose class defaults apply, where it is not the family's own. */
  readonly defaultsOf?: string;
  /** What code that is in no release of Transformers (`source`) takes where a config leaves a key out. */
  readonly defaults?: Dictionary;
  /** How many layers there are, where that does not stand under one of the usual keys. */
  readonly layers?: (fields: Fields) => number | undefined;
  /** The key for key/value heads holds a list, with one number for each layer. */
  readonly listsHeads?: boolean;
  /** Rows of the token table, where they are not the stated vocabulary. */
  readonly vocabulary?: (fields: Fields) => number;
  /** The feed-forward's width, where it does not stand under one of the usual keys. */
  readonly width?: (fields: Fields, hiddenSize: number) => number;
  readonly exact?: boolean;
};

export type NormPlan = 'pre' | 'post' | 'sandwich' | 'single' | 'double' | 'own';
