import type {
  Activation,
  CompressedAttention,
  DenseFeedForward,
  Experts,
  GroupedAttention,
  LatentAttention,
  Part,
} from '../model/architecture.ts';
import type { Dictionary, Fields } from '../text/fields.ts';
import type { Mixer, MixerKind, MixerPlan, Mlp, MlpKind, MlpPlan } from './layer.ts';
import type { Shape } from './shape.ts';

/**
 * How a family builds its layers: traits, not formulas. What a row leaves out is as in Llama: RMSNorm in front of each block,
 * grouped attention with rotary positions and without biases, a gated feed-forward, an untied output.
 */
export type Family = {
  /** The modelling code that the row was read from. */
  readonly source: string;
  readonly norm?: {
    readonly style: 'rms' | 'layer';
    readonly weight?: boolean;
    readonly bias?: boolean;
    readonly upcast?: 'input' | 'weight';
  };
  /**
   * Where norms stand: `pre` in front of both blocks, `post` behind both, `sandwich` both, `single` one for two parallel
   * blocks, `double` two for two parallel blocks, `own` where the mixer's parts bring theirs.
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
  /** Keys that say whether the output is tied, first wins. Default `tie_word_embeddings`. None: `tied` holds, whatever the config says. */
  readonly tiedKeys?: readonly string[];
  /** The layers' norms have a bias where the config says so. */
  readonly normBias?: (fields: Fields) => boolean;
  /** Columns of the token table where they are fewer than the stream's. */
  readonly tableWidth?: (fields: Fields, hiddenSize: number) => number;
  /** What else stands at the embedding: learned positions, a norm. */
  readonly embedding?: (shape: Shape, fields: Fields) => readonly Part[];
  /** What stands between the final norm and the output. */
  readonly beforeOutput?: (shape: Shape, fields: Fields) => readonly Part[];
  readonly finalNorm?: boolean | ((fields: Fields) => boolean);
  /** What stands there in place of the final norm and the output; `tied` as the config or the class has it. */
  readonly head?: (shape: Shape, fields: Fields, tied: boolean) => readonly Part[];
  /** What the figures take for granted of this kind of model, as key, value and reason. */
  readonly assumes?: readonly { readonly field: string; readonly value: string; readonly reason: string }[];
  /** Several residual streams in place of one, and how blocks write back to them. */
  readonly streams?: (fields: Fields) => {
    readonly count: number;
    readonly back: 'added' | 'mixed';
    readonly rank?: number;
  };
  /** What a norm in front of a block has besides. */
  readonly normGate?: (fields: Fields, block: 'attention' | 'feed_forward', mlp: Mlp) => number | undefined;
  /** Layers whose mixer comes again are wholly an earlier layer. */
  readonly repeats?: true;
  /** Logits go through a tanh where the config does not say. */
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
  /** Checkpoints store the embeddings once more with each multi-token-prediction layer. */
  readonly copiesEmbeddings?: boolean;
  /** `model_type` of the class whose defaults hold, where it is another's. */
  readonly defaultsOf?: string;
  /** What code that is in no release of Transformers (`source`) takes where a config leaves a key out. */
  readonly defaults?: Dictionary;
  /** How many layers, where a pattern says it. */
  readonly layers?: (fields: Fields) => number | undefined;
  /** Key/value heads are listed, one number for each layer. */
  readonly listsHeads?: boolean;
  /** Rows of the token table where they are not as stated. */
  readonly vocabulary?: (fields: Fields) => number;
  /** The feed-forward's width where no key says it. */
  readonly width?: (fields: Fields, hiddenSize: number) => number;
  readonly exact?: boolean;
};

export type NormPlan = 'pre' | 'post' | 'sandwich' | 'single' | 'double' | 'own';
