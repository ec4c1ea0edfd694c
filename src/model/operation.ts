import type { Evidence } from '../facts/evidence.ts';
import type { Activation, Component, Role, Sharding, Span, TowerInput, TowerStage } from './architecture.ts';
import type { Freezable } from './run.ts';

/**
 * One thing that a model does to a token. Every quantity is read off the list of operations: what they hold (parameters),
 * compute (FLOPs), save for the backward pass (activations) and move (time). `cost/memory` and `cost/time` know these
 * kinds and never a family's name.
 *
 * Tensors are named within a layer. A tensor read by three matrices (the input of query, key and value) is one tensor,
 * and is saved once.
 */
export type Operation =
  | Linear
  | AttentionCore
  | Normalize
  | Activate
  | Rotate
  | Add
  | Route
  | Exchange
  | Scan
  | Lookup
  | Hold
  | Loss;

/** A tensor for each token: `elements` of it, where it lives, and its name within the layer. */
export type Tensor = {
  readonly name: string;
  readonly elements: number;
  /**
   * `residual`: on the residual stream, divided by sequence parallelism only. `tensor`: inside a tensor-parallel region,
   * always divided by it. `routed`: for each row sent to an expert, `elements` for one token over all its experts.
   */
  readonly region: 'residual' | 'tensor' | 'routed';
  /** It is the residual stream itself: as the layer reads it, or after an addition. */
  readonly stream?: 'input' | 'sum';
};

type Common = {
  /** Where it stands in the model: `layers.attention.query`, `layers.experts.up`, `output`. A label for people: figures ask `role`. */
  readonly path: string;
  /** What a breakdown counts it as. */
  readonly component: Component;
  /** The block that it is part of, where a breakdown counts it as something else (a norm, multi-token prediction). */
  readonly block?: Component;
  readonly role?: Role;
  /** What a run calls it that freezes it: part of an encoder or of what joins one to the text. */
  readonly freezable?: Freezable;
  /** Another layer holds all that this one learns (a block that layers share). */
  readonly heldElsewhere?: boolean;
};

/** y = x W (+ b). FLOPs for a token 2 rows columns used. */
export type Linear = Common & {
  readonly kind: 'linear';
  readonly rows: number;
  readonly columns: number;
  readonly bias: boolean;
  /** Copies that exist in one layer (experts), and how many one token uses. */
  readonly copies: number;
  readonly used: number;
  readonly sharding: Sharding;
  readonly input: Tensor;
  readonly output: Tensor;
  /** Operations of one name can be one matrix product (query, key and value; gate and up). Megatron always fuses them. */
  readonly fusedWith?: string;
  /** They are one matrix in the model's own code too. */
  readonly storedFused?: boolean;
  /** The weights are held elsewhere. */
  readonly tied: boolean;
};

/** softmax(Q K^T) V. FLOPs for a token 2 heads (queryKeyDim + valueDim) times the keys it sees. */
export type AttentionCore = Common & {
  readonly kind: 'attention';
  /**
   * `grouped`: each key/value head serves a group of query heads (one: multi-query, as many: multi-head). `latent`: keys and values
   * are expanded from one compressed vector. `compressed`: one key for all heads, over entries of several tokens. `indexer`: scores
   * alone, which choose the keys that the other attention of the layer meets; it has no values.
   */
  readonly variant: 'grouped' | 'latent' | 'compressed' | 'indexer';
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly queryKeyDim: number;
  readonly valueDim: number;
  readonly span: Span;
  readonly causal: boolean;
  /** Scores go through a tanh first, where they are written out. */
  readonly softcapped?: boolean;
  /** The model's own code writes the score of every pair out, whatever kernel there is. */
  readonly writtenOut?: true;
  /** The model's own code hands PyTorch one key head for all queries and leaves it to broadcast that, which no fused kernel does (Falcon). */
  readonly broadcastKeys?: true;
  /** Relative places that a query or a key meets besides, in so many terms of its scores. */
  readonly places?: { readonly count: number; readonly terms: number };
  /** Share of the scores that training drops out, where dropout is on. */
  readonly dropout?: number;
  /** What comes out is laid out by head, and copied for the next matrix. */
  readonly byHead?: boolean;
  /** Learned elements (sinks). */
  readonly parameters: number;
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly output: Tensor;
  /**
   * What inference keeps of one token: the elements of its key-value cache (compressed, for latent attention).
   * 0 where the layer reads another layer's cache.
   */
  readonly cacheElements: number;
};

export type Normalize = Common & {
  readonly kind: 'norm';
  readonly style: 'rms' | 'layer';
  /** What the model's own code computes in fp32: the input (Llama), the product with the weight too (Gemma, OLMo 2), or nothing, under autocast either (Nemotron). */
  readonly upcast?: 'none' | 'input' | 'weight';
  /** Elements normalised together. */
  readonly width: number;
  readonly parameters: number;
  readonly input: Tensor;
  readonly output: Tensor;
};

/** The non-linearity between two matrices; `gated` multiplies it with a second input. */
export type Activate = Common & {
  readonly kind: 'activation';
  readonly function: Activation;
  readonly gated: boolean;
  readonly input: Tensor;
  /** The second factor, where gated. */
  readonly gate?: Tensor;
  readonly output: Tensor;
};

/** Rotary position on queries and keys. */
export type Rotate = Common & {
  readonly kind: 'rope';
  readonly query: Tensor;
  readonly key: Tensor;
  /** Rotated and other elements are joined into a new tensor. */
  readonly joined?: boolean;
};

/** A residual connection. */
export type Add = Common & { readonly kind: 'add'; readonly output: Tensor };

/** Softmax or sigmoid over experts and the choice of the best. */
export type Route = Common & {
  readonly kind: 'route';
  readonly experts: number;
  readonly active: number;
  readonly parameters: number;
  readonly input: Tensor;
};

/** Tokens sent to their experts (`dispatch`) or brought back (`combine`). */
export type Exchange = Common & {
  readonly kind: 'dispatch' | 'combine';
  readonly width: number;
  readonly experts: number;
  readonly active: number;
  readonly input: Tensor;
  readonly output: Tensor;
};

/** A recurrence over the sequence. */
export type Scan = Common & {
  readonly kind: 'scan';
  readonly style: string;
  readonly parameters: number;
  /** Forward FLOPs for a token: causal within a chunk, and with whole chunks. */
  readonly flopsPerToken: number;
  readonly fullFlopsPerToken: number;
  readonly stateElements: number;
  readonly convolutionState: number;
  readonly input: Tensor;
  readonly output: Tensor;
};

/** A table of `rows` x `columns` of which a token reads `used` rows. */
export type Lookup = Common & {
  readonly kind: 'table';
  readonly rows: number;
  readonly columns: number;
  readonly used: number;
  readonly output: Tensor;
};

/** Learned elements that belong to no other operation. */
export type Hold = Common & { readonly kind: 'vector'; readonly elements: number; readonly flopsPerToken: number };

/** Cross-entropy over the vocabulary. */
export type Loss = Common & {
  readonly kind: 'loss';
  readonly vocabulary: number;
  readonly input: Tensor;
  /** Logits go through a tanh first. */
  readonly softcapped?: boolean;
};

/** The block that an operation is part of, in multi-token prediction too. */
export const blockOf = ({ block, component }: Operation): Component => block ?? component;

/** An encoder, or what joins one to the text: it holds all its parameters at once. */
export type TowerOperations = Hold & {
  /** Absent where its shape is not known: then its weights alone are counted. */
  readonly computes?: {
    readonly reads: TowerInput;
    /** The operations of one layer of each stage. None of them holds anything. */
    readonly stages: readonly (Omit<TowerStage, 'parts'> & { readonly operations: readonly Operation[] })[];
  };
};

/** A model written out. Layers of one kind share one list; `order` says which kind stands where. */
export type Operations = {
  readonly embedding: readonly Operation[];
  readonly layers: readonly { readonly name: string; readonly operations: readonly Operation[] }[];
  readonly order: readonly number[];
  readonly head: readonly Operation[];
  readonly prediction: readonly Operation[];
  readonly predictionDepth: number;
  /** Encoders and what joins them to the text, on the first pipeline stage. */
  readonly towers: readonly TowerOperations[];
  /** What an approximate count rests on; absent where it is exact. */
  readonly approximate?: Evidence;
  /** False where no text is generated, so that nothing is cached for it. */
  readonly generates?: false;
};
