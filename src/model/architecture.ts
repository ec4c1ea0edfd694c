import type { Evidence } from '../facts/evidence.ts';

/**
 * What a model is, in nouns. No formula and no text parsing: `read/` makes an Architecture out of a config file, and
 * `cost/expand/model.ts` writes it out as the list of operations from which every quantity is read.
 *
 * A layer is a list of parts, in the order in which a token meets them. Most families need only the first few kinds of part;
 * `linear`, `vector` and `table` describe, exactly, the odd tensors that no noun covers.
 */
export type Architecture = {
  /** `model_type` as the config states it, or the name of the format's own model. */
  readonly family: string;
  /** False where the family has no row of its own and was read by its keys. */
  readonly exact: boolean;
  /** What counts of its family rest on. Default: its keys. */
  readonly restsOn?: Evidence;
  /** D, the width of the residual stream. */
  readonly hiddenSize: number;
  /** V, rows of the token embedding (padding included, as stored). */
  readonly vocabularySize: number;
  /** The longest sequence that the config states, in tokens. */
  readonly maxPositions?: number;
  /** It is the default of the model's class, which rotary positions do not end at. */
  readonly positionsAssumed?: true;
  /** The config drops activations out in training, where the model's own code is what trains. */
  readonly dropout?: boolean;
  /** What a token meets before the first layer: the token table, position tables, an embedding norm or projection. */
  readonly embedding: readonly Part[];
  /** The distinct kinds of layer. */
  readonly layers: readonly Layer[];
  /** The kind (index into `layers`) of each layer, first to last. */
  readonly order: readonly number[];
  /** What follows the last layer: the final norm, the output projection, the loss. */
  readonly head: readonly Part[];
  /** Multi-token prediction: the layers that only training uses. Not part of the published total. */
  readonly prediction: readonly Part[];
  /** How many times the output projection is computed for multi-token prediction (its weights are shared). */
  readonly predictionDepth: number;
  /** False where its class has no output over a vocabulary, or sees what follows: nothing is generated, so nothing is cached. */
  readonly generates?: false;
  /** Vision and audio towers with their projectors, where the config describes them. */
  readonly towers: readonly Tower[];
  /** How the checkpoint stores its weights, where it is quantised. */
  readonly quantization?: Quantization;
  /** Bytes of one element that is not quantised, as the config states its type. Default 2. */
  readonly elementBytes?: number;
};

export type Layer = {
  /** A short name for the kind of layer: `dense`, `experts`, `sliding`, `mamba`. */
  readonly name: string;
  readonly parts: readonly Part[];
  /** Attention and feed-forward read the same residual and are added together (GPT-J, GPT-NeoX, Falcon). */
  readonly parallel?: boolean;
};

export type Tower = {
  readonly name: string;
  /** All that it holds. What its stages hold is among it, and counted here alone. */
  readonly parameters: number;
  readonly exact: boolean;
  /** How it is computed; absent where this tool does not know its shape. */
  readonly computes?: TowerShape;
};

/** What an encoder reads of each sequence, and what becomes of it. */
export type TowerShape = { readonly reads: TowerInput; readonly stages: readonly TowerStage[] };

export type TowerInput =
  | {
      readonly kind: 'image';
      /** Of one image, where the encoder takes one size alone; else it takes any size. */
      readonly patches?: number;
      /** Pixels on a side of one patch, and patches on a side that are merged into one: images are scaled to whole merges. */
      readonly patch: number;
      readonly merge: number;
    }
  | {
      readonly kind: 'sound';
      /** Frames for each second. */
      readonly perSecond: number;
      /** Seconds that are read at once, filled up with silence; absent: all of them. */
      readonly window?: number;
    };

/** Layers of an encoder, or of what joins it to the text, that are alike. */
export type TowerStage = {
  readonly name: string;
  /** Of its residual stream. */
  readonly width: number;
  readonly count: number;
  readonly parts: readonly Part[];
  /** Patches or frames that one of its tokens stands for. */
  readonly merged: number;
  /** Tokens for each image besides them: a class token, registers. */
  readonly extra?: number;
};

/** How the checkpoint stores its matrices. What no scheme covers keeps the checkpoint's own type. */
export type Quantization = {
  readonly method: string;
  readonly schemes: readonly Scheme[];
  /**
   * By path of an operation (without `layers.`): the scheme (index into `schemes`) in each layer, first to last, then in the
   * layers of multi-token prediction; the number of schemes where the matrix is kept. Outside the layers: one number.
   */
  readonly stored: Readonly<Record<string, readonly number[]>>;
  /** The scheme of every matrix and table that `stored` does not name; without it they are kept. */
  readonly rest?: number;
  /** The checkpoint leaves the layers of multi-token prediction out. */
  readonly withoutPrediction?: true;
};

/** How one matrix of [outputs, inputs] is stored. */
export type Scheme = {
  /** Of one weight. */
  readonly bits: number;
  /** What shares a scale: the matrix, an output, `group` inputs of one output, or a `block` of [outputs, inputs]. */
  readonly shares: 'matrix' | 'output' | 'group' | 'block';
  readonly group?: number;
  readonly block?: readonly [number, number];
  /** Bytes of one scale, and bits of the zero point beside it. */
  readonly scaleBytes: number;
  readonly zeroBits?: number;
  /** A matrix whose inputs the groups do not divide is kept. */
  readonly dividing?: true;
  /** Further bytes for each input (an order of the inputs) and for each matrix (a scale of scales, a shape, a table). */
  readonly inputBytes?: number;
  readonly matrixBytes?: number;
};

/** What a breakdown is grouped by. */
export type Component =
  | 'embedding'
  | 'attention'
  | 'feed_forward'
  | 'experts'
  | 'shared_experts'
  | 'router'
  | 'state_space'
  | 'norm'
  | 'output'
  | 'prediction'
  | 'towers'
  | 'other';

/**
 * What a matrix, a vector or a norm is to its block. Figures that treat one tensor differently from others ask for its role, so that
 * a path is a label and nothing more.
 */
export type Role =
  // Attention, with its low-rank pairs where queries, or keys and values, are compressed.
  | 'query'
  | 'query_down'
  | 'query_up'
  | 'key'
  | 'value'
  | 'key_value_down'
  | 'key_value_up'
  | 'output_gate'
  | 'attention_output'
  | 'indexer'
  // A feed-forward network, dense or of one expert.
  | 'gate'
  | 'up'
  | 'down'
  // Mixture of experts.
  | 'router'
  | 'shared_expert_scale'
  // A mixer with a recurrent state (Mamba's names).
  | 'mixer_in'
  | 'selection'
  | 'time_step'
  | 'mixer_out'
  // Multi-token prediction: the matrix that joins hidden state and embedding, and stored copies of embedding and output.
  | 'join'
  | 'embedding_and_output_copies'
  | 'unembedding';

export type Activation =
  | 'silu'
  | 'gelu'
  | 'gelu_tanh'
  | 'gelu_new'
  | 'gelu_fast'
  | 'quick_gelu'
  | 'relu'
  | 'relu2'
  | 'swiglu_oai'
  | 'none';

export type Part =
  | Norm
  | GroupedAttention
  | LatentAttention
  | CompressedAttention
  | DenseFeedForward
  | Experts
  | StateSpace
  | SharedBlock
  | LinearPart
  | ActivationPart
  | VectorPart
  | TablePart
  | ResidualStreams
  | Output;

/** RMSNorm or LayerNorm over `width` elements. */
export type Norm = {
  readonly kind: 'norm';
  readonly path: string;
  readonly width: number;
  readonly style: 'rms' | 'layer';
  readonly weight: boolean;
  readonly bias: boolean;
  /** How many norms of this width run for each token with one set of weights (heads of a query norm). Default 1. */
  readonly repeat?: number;
  /**
   * What the model's own code computes in fp32: the input, or the product with the weight too. A LayerNorm without it is one
   * kernel in the model's dtype.
   */
  readonly upcast?: 'none' | 'input' | 'weight';
  /** `output`: normalises what a block gives back, before the residual is added. Default `input`. */
  readonly place?: 'input' | 'output';
  /** Rank of a pair of matrices that reads the result and gates it (A.X-K2). */
  readonly gateRank?: number;
};

/** Which keys a query sees. */
export type Span =
  | { readonly kind: 'full' }
  | { readonly kind: 'window'; readonly tokens: number }
  | { readonly kind: 'chunk'; readonly tokens: number }
  /** `tokens` selected keys (sparse attention; all where absent), plus a local `window`, over a context compressed by `ratio`. */
  | { readonly kind: 'selected'; readonly tokens?: number; readonly window?: number; readonly ratio?: number };

/** Multi-head, multi-query and grouped-query attention. */
export type GroupedAttention = {
  readonly kind: 'attention';
  /** Where a layer has two: what the second is called. Default `attention`. */
  readonly path?: string;
  /** D, or the width that the projections read where it is not the residual stream's. */
  readonly inputWidth: number;
  readonly outputWidth?: number;
  /** H */
  readonly heads: number;
  /** K */
  readonly keyValueHeads: number;
  /** d, of queries and keys */
  readonly headDim: number;
  /** of values, where it differs */
  readonly valueHeadDim?: number;
  /** What one head's scores weigh, where it is more than its own values (both halves' in differential attention). */
  readonly weighedDim?: number;
  readonly bias: { readonly query: boolean; readonly key: boolean; readonly value: boolean; readonly output: boolean };
  /** Norms on queries and keys: over each head, or over the whole projected width. */
  readonly queryKeyNorm?: {
    readonly over: 'head' | 'width';
    readonly style: 'rms' | 'layer';
    readonly weight: boolean;
    readonly bias: boolean;
    readonly upcast?: 'none' | 'input' | 'weight';
    /** One set of weights for each head. */
    readonly perHead?: boolean;
    /** The value is normalised too, without weights. */
    readonly value?: boolean;
  };
  readonly span: Span;
  readonly causal: boolean;
  readonly rotary: boolean;
  /** The model's own code joins rotated and other elements of a head into a new tensor. */
  readonly rotaryJoined?: boolean;
  /** The model's own code lays queries out by head, and with them what comes out, which the output matrix then copies. */
  readonly byHead?: boolean;
  /** One learned logit for each head. */
  /** Scores go through a tanh before the softmax. */
  readonly softcapped?: boolean;
  /** The model's own code writes the score of every pair out, whatever kernel there is. */
  readonly writtenOut?: true;
  /** The model's own code hands PyTorch one key head for all queries and leaves it to broadcast that, which no fused kernel does (Falcon). */
  readonly broadcastKeys?: true;
  /** A query, or a key, meets a table of so many relative places besides, in so many terms of its scores (DeBERTa). */
  readonly places?: { readonly count: number; readonly terms: number };
  /** Share of the scores that training drops out, where dropout is on. */
  readonly dropout?: number;
  readonly sinks?: boolean;
  /** Gate on the attention's output: one value for each element or for each head. */
  readonly outputGate?: 'element' | 'head';
  /** Generation keeps keys and values. Default true; false in an encoder. */
  readonly cached?: boolean;
  /** Whether the gate's matrix has a bias. Default: as the query's. */
  readonly gateBias?: boolean;
  /** Queries and outputs of `count` experts, of which a token uses `active`: their heads are `heads` together (JetMoE). */
  readonly experts?: { readonly count: number; readonly active: number };
  readonly indexer?: Indexer;
  /** Keys and values come from an earlier layer: no projections here. */
  readonly sharedKeyValue?: boolean;
  /** Values are the keys: no value projection. */
  readonly valueIsKey?: boolean;
  /** The matrices of query, key and value are stored as one. */
  readonly fused?: boolean;
  /** Further matrices and vectors inside the block (an indexer, a gate's low-rank pair). */
  readonly extra?: readonly (LinearPart | VectorPart | Norm)[];
};

/** Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, 2.1). */
export type LatentAttention = {
  readonly kind: 'latent';
  readonly inputWidth: number;
  readonly heads: number;
  /** Rank of the query's compression; absent where queries are projected directly. */
  readonly queryRank?: number;
  readonly keyValueRank: number;
  /** Head width without and with rotary position. */
  readonly nopeDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
  readonly bias: { readonly down: boolean; readonly output: boolean };
  readonly span: Span;
  /** One learned logit for each head. */
  readonly sinks?: boolean;
  /** A gate on each element of the output, made of the layer's input, or in one product with the queries. */
  readonly outputGate?: 'input' | 'query';
  readonly indexer?: Indexer;
  readonly extra?: readonly (LinearPart | VectorPart | Norm)[];
};

/**
 * Multi-query attention over a window and over entries that each stand for `ratio` tokens (DeepSeek-V4): one key, which is the
 * value too, queries through a low-rank pair, and an output through one matrix for each group of heads.
 */
export type CompressedAttention = {
  readonly kind: 'compressed';
  readonly inputWidth: number;
  readonly heads: number;
  readonly headDim: number;
  readonly queryRank: number;
  readonly outputGroups: number;
  readonly outputRank: number;
  readonly window: number;
  /** Absent where the layer has its window alone. */
  readonly compression?: {
    readonly ratio: number;
    /** Each entry reads its own tokens and those before: twice the width. */
    readonly overlaps: boolean;
    /** Which entries a query meets; all where absent. */
    readonly chosen?: { readonly entries: number; readonly heads: number; readonly headDim: number };
  };
};

/** A small attention that scores every key, so that the large one meets `span.tokens` of them (DeepSeek-V3.2). */
export type Indexer = {
  readonly heads: number;
  readonly headDim: number;
  /** One LayerNorm on its key (default), or RMSNorms on queries and key. */
  readonly norms?: 'key' | 'query and key';
  /** A learned weight for each head's score. Default true. */
  readonly weighted?: boolean;
  /** Tokens whose keys are averaged before they are scored. Default 1. */
  readonly ratio?: number;
};

export type DenseFeedForward = {
  readonly kind: 'dense';
  readonly inputWidth: number;
  /** F */
  readonly width: number;
  readonly gated: boolean;
  readonly activation: Activation;
  readonly bias: { readonly up: boolean; readonly down: boolean };
  /** Gate and up projections are stored as one matrix. */
  readonly fused?: boolean;
  readonly component?: Component;
};

/** Mixture of experts. */
export type Experts = {
  readonly kind: 'experts';
  /** D, or the latent width that the experts read and write (`moe_latent_size`). */
  readonly inputWidth: number;
  /** The router's input where it differs from the experts'. */
  readonly routerWidth?: number;
  /** E */
  readonly experts: number;
  /** k */
  readonly active: number;
  /** F of one expert */
  readonly width: number;
  readonly gated: boolean;
  readonly activation: Activation;
  readonly bias: { readonly router: boolean; readonly up: boolean; readonly down: boolean };
  /** One load-balancing bias for each expert, stored with the weights (`e_score_correction_bias`). */
  readonly correctionBias?: boolean;
  /** Experts that compute nothing and hold nothing (LongCat-Flash's identity experts), besides `experts`. */
  readonly zeroExperts?: number;
  /** Always-on experts: their total width, and whether a learned gate scales them. */
  readonly shared?: {
    readonly width: number;
    readonly gate: boolean;
    readonly inputWidth?: number;
    /** How many they are, where the gate has a value for each. Default 1. */
    readonly count?: number;
    /** Where they differ from the routed experts'. */
    readonly bias?: { readonly up: boolean; readonly down: boolean };
  };
};

/** A recurrent mixer: its state updates. The projections around it are `linear` parts of the same layer. */
export type StateSpace = {
  readonly kind: 'state_space';
  readonly path: string;
  readonly style:
    | 'mamba1'
    | 'mamba2'
    | 'gated_delta'
    | 'kda'
    | 'lightning'
    | 'rwkv4'
    | 'rwkv5'
    | 'rwkv7'
    | 'rglru'
    | 'mlstm'
    | 'conv';
  /** H; where channels are independent, one head for each. */
  readonly heads: number;
  /** Width of a key: states of a channel. */
  readonly keyDim: number;
  /** Width of a value: channels of a head. */
  readonly valueDim: number;
  /** Groups of heads that share keys and queries. Default: one for each head. */
  readonly groups?: number;
  /** Tokens that are computed together, where training does so and the config or its class says how many. */
  readonly chunk?: number;
  /** A causal convolution of each channel in front of the recurrence. */
  readonly convolution?: { readonly channels: number; readonly kernel: number };
  /** Learned elements that belong to no matrix (A, D, time-step biases, convolution kernels). */
  readonly parameters: number;
  /** Width of the mixer's input and output for one token (elements): what the backward pass keeps. */
  readonly inputElements: number;
  readonly outputElements: number;
};

/** A block whose weights one layer holds and later layers read again (Zamba's transformer blocks). */
export type SharedBlock = { readonly kind: 'shared'; readonly holds: boolean; readonly parts: readonly Part[] };

/** A matrix that no noun covers: `rows` inputs to `columns` outputs. */
export type LinearPart = {
  readonly kind: 'linear';
  readonly path: string;
  readonly rows: number;
  readonly columns: number;
  readonly bias: boolean;
  readonly component: Component;
  readonly role?: Role;
  /** Copies that exist, and how many of them one token uses. Default 1 and 1. */
  readonly copies?: number;
  readonly used?: number;
  /** How tensor parallelism divides it. Default `column`. */
  readonly sharding?: Sharding;
  /** It reads what the block's norm gave, and the block goes on after it. Default: told from the widths. */
  readonly reads?: 'stream';
  /** Weights belong to an earlier layer: computed here, held there. */
  readonly tied?: boolean;
};

/** A non-linearity between two matrices that are written as single parts; behind a block, what scales its result (`none`). */
export type ActivationPart = {
  readonly kind: 'activation';
  readonly path: string;
  readonly width: number;
  readonly activation: Activation;
};

/** Learned elements that multiply no token by a matrix. */
export type VectorPart = {
  readonly kind: 'vector';
  readonly path: string;
  readonly elements: number;
  readonly component: Component;
  readonly role?: Role;
  /** Forward FLOPs for each token that they cost, where the field counts it. */
  readonly flopsPerToken?: number;
};

/** A lookup table. */
export type TablePart = {
  readonly kind: 'table';
  readonly path: string;
  readonly rows: number;
  readonly columns: number;
  /** Rows one token reads. */
  readonly used: number;
};

/**
 * Several residual streams in place of one (hyper-connections, arXiv:2409.19606): what follows reads a weighted sum of them, with
 * weights made of all streams. A block's result is added to each (`added`), which are mixed first (`mixed`: mHC,
 * arXiv:2512.24880); at the end of the model they become one (`joined`).
 */
export type ResidualStreams = {
  readonly kind: 'streams';
  readonly path: string;
  readonly streams: number;
  readonly back: 'added' | 'mixed' | 'joined';
  /** Weights for each element, through a pair of matrices of this rank, of streams that are normalised first (Qwen4). */
  readonly rank?: number;
};

/** The output projection, with the loss. */
export type Output = {
  readonly kind: 'output';
  readonly rows: number;
  readonly columns: number;
  /** The matrix is the token table's: computed here, held there. */
  readonly tied: boolean;
  readonly bias: boolean;
  /** Logits go through a tanh (Gemma 2). */
  readonly softcapped?: boolean;
};

/** How tensor parallelism divides a matrix: by its outputs, by its inputs, not at all, or by experts. */
export type Sharding = 'column' | 'row' | 'replicated' | 'expert';
