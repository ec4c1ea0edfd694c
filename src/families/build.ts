import type {
  Activation,
  Architecture,
  CompressedAttention,
  DenseFeedForward,
  Experts,
  GroupedAttention,
  LatentAttention,
  Layer,
  Norm,
  Part,
  ResidualStreams,
  Span,
  TablePart,
} from '../model/architecture.ts';
import { type Dictionary, type Fields, Unreadable } from '../text/fields.ts';

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
  readonly norms?: NormPlan | ((fields: Fields, mixer: string) => NormPlan);
  readonly attention?: (
    shape: Shape,
    fields: Fields,
    mixer: string,
  ) => GroupedAttention | LatentAttention | CompressedAttention | readonly Part[];
  readonly feedForward?: (shape: Shape, fields: Fields, feed: string) => DenseFeedForward | Experts | readonly Part[];
  /** The mixer of each layer: `full`, `sliding`, or a name that `attention` knows. */
  readonly mixers?: (shape: Shape, fields: Fields) => readonly string[];
  /** The feed-forward of each layer: `dense`, `experts`, `none`. */
  readonly feeds?: (shape: Shape, fields: Fields) => readonly string[];
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
  readonly normGate?: (fields: Fields, block: 'attention' | 'feed_forward', feed: string) => number | undefined;
  /** Mixers whose layers use the weights of an earlier layer. */
  readonly repeats?: (mixer: string) => boolean;
  /** Logits go through a tanh where the config does not say. */
  readonly softcapped?: boolean;
  /** Extra parts at the start of each layer. */
  readonly layerStart?: (shape: Shape, fields: Fields, mixer: string) => readonly Part[];
  /** Extra parts at the end of each layer. */
  readonly layerExtras?: (shape: Shape, fields: Fields, mixer: string, feed: string) => readonly Part[];
  readonly prediction?: (
    shape: Shape,
    fields: Fields,
    layer: (mixer: string, feed: string) => readonly Part[],
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

/** Whether logits go through a tanh: as the config says, else as the family does. */
const softcaps = (family: Family, fields: Fields): boolean =>
  fields.states('final_logit_softcapping')
    ? fields.optionalNumber('final_logit_softcapping') !== undefined
    : (family.softcapped ?? false);

export type NormPlan = 'pre' | 'post' | 'sandwich' | 'single' | 'double' | 'own';

/** The dimensions that nearly every family has. Letters as in `cost/operations.ts`. */
export type Shape = {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  /** F; 0 where the family has none */
  readonly width: number;
  readonly vocabularySize: number;
};

/** Names under which configs state a dimension. */
export const names = {
  hidden: ['hidden_size', 'n_embd', 'n_embed', 'd_model', 'dim', 'model_dim', 'embed_dim'],
  layers: ['num_hidden_layers', 'n_layer', 'n_layers', 'num_layers', 'num_transformer_layers', 'layers'],
  heads: ['num_attention_heads', 'n_head', 'n_heads', 'num_heads', 'attention_heads'],
  keyValueHeads: [
    'num_key_value_heads',
    'num_kv_heads',
    'n_head_kv',
    'multi_query_group_num',
    'kv_n_heads',
    'n_kv_heads',
  ],
  headDim: ['head_dim', 'kv_channels', 'attention_head_dim', 'dim_head'],
  width: [
    'intermediate_size',
    'n_inner',
    'ffn_dim',
    'ffn_hidden_size',
    'd_ff',
    'ff_intermediate_size',
    'dff',
    'dim_ff',
  ],
  vocabulary: ['vocab_size', 'padded_vocab_size'],
  experts: ['num_local_experts', 'num_experts', 'n_routed_experts', 'moe_num_experts'],
  activeExperts: [
    'num_experts_per_tok',
    'num_experts_per_token',
    'experts_per_token',
    'moe_topk',
    'moe_k',
    'moe_top_k',
    'top_k_experts',
  ],
  expertWidth: ['moe_intermediate_size', 'expert_ffn_hidden_size', 'expert_intermediate_size', 'intermediate_size'],
  positions: [
    'max_position_embeddings',
    'n_positions',
    'n_ctx',
    'max_seq_len',
    'max_sequence_length',
    'seq_length',
    'context_length',
    'model_max_length',
  ],
} as const;

/** More layers than any model has, few enough to write out. */
const mostLayers = 10_000;

/** More kinds of layer than any model has: each is written out, and held for every quantity. */
const mostKinds = 256;

/** An Architecture out of a family's traits and the fields of its text model. */
export function build(family: Family, fields: Fields, outer: Fields, modelType: string): Architecture {
  const shape = readShape(family, fields);
  const { hiddenSize: D, vocabularySize: V, layers: L } = shape;
  const mixers = planned(family.mixers?.(shape, fields) ?? slidingPlan(shape, fields), L, fields);
  const feeds = planned(family.feeds?.(shape, fields) ?? Array.from({ length: L }, () => 'dense'), L, fields);
  const kinds = new Map<string, number>();
  const layers: Layer[] = [];
  const order = mixers.map((mixer, index) => {
    const feed = feeds[index] ?? 'dense';
    const name = [...new Set([mixer, feed])].filter((word) => word !== 'full' && word !== 'none').join(' ') || mixer;
    const known = kinds.get(`${mixer} ${feed}`);
    if (known !== undefined) return known;
    if (layers.length === mostKinds)
      throw new Unreadable(
        `More than ${mostKinds} of the config's ${L} layers differ from each other, which no model has.`,
      );
    kinds.set(`${mixer} ${feed}`, layers.length);
    layers.push(layerOf(family, shape, fields, name, mixer, feed));
    return layers.length - 1;
  });
  const tied = readTied(family, fields, outer);
  const positions = fields.optionalInteger(names.positions, 1);
  if (family.prediction === undefined) noteUncounted(fields);
  const prediction = family.prediction?.(
    shape,
    fields,
    (mixer, feed) => layerOf(family, shape, fields, 'prediction', mixer, feed).parts,
  );
  for (const { field, value, reason } of family.assumes ?? []) fields.assume(field, value, reason);
  const streams = family.streams?.(fields);
  const final: readonly Part[] = [
    ...(streams ? [streamsOf('final', { ...streams, back: 'joined' })] : []),
    ...(hasFinalNorm(family, fields) ? [normOf(family, 'norm.final', D)] : []),
  ];
  const narrow = family.tableWidth?.(fields, D) ?? D;
  return {
    family: modelType,
    exact: family.exact ?? true,
    hiddenSize: D,
    vocabularySize: V,
    ...(positions === undefined ? {} : { maxPositions: positions }),
    embedding: [table('embedding.token', V, narrow), ...(family.embedding?.(shape, fields) ?? [])],
    layers,
    order,
    head: family.head?.(shape, fields, tied) ?? [
      ...final,
      ...(family.beforeOutput?.(shape, fields) ?? []),
      {
        kind: 'output',
        rows: narrow,
        columns: V,
        tied,
        bias: family.outputBias?.(fields) ?? false,
        ...(softcaps(family, fields) ? { softcapped: true } : {}),
      },
    ],
    prediction: prediction?.parts ?? [],
    predictionDepth: prediction?.depth ?? 0,
    towers: [],
  };
}

const hasFinalNorm = ({ finalNorm = true }: Family, fields: Fields): boolean =>
  typeof finalNorm === 'function' ? finalNorm(fields) : finalNorm;

/** Keys that say a checkpoint has layers for predicting further tokens. */
const predictionKeys = ['num_nextn_predict_layers', 'num_mtp_layers', 'num_mtp_modules'] as const;

/** A family whose multi-token prediction nobody wrote down says so where the config has some. */
function noteUncounted(fields: Fields): void {
  const key = predictionKeys.find((name) => fields.states(name) && (fields.optionalNumber(name) ?? 0) > 0);
  if (key !== undefined)
    fields.assume(key, 'not counted', 'this tool does not know how the family predicts further tokens');
}

export function readShape(family: Family, fields: Fields): Shape {
  const hiddenSize = fields.integer(names.hidden);
  const layers = family.layers?.(fields) ?? fields.integer(names.layers, 0);
  if (layers > mostLayers) throw new Unreadable(`The config states ${layers} layers; up to ${mostLayers} are counted.`);
  // Models without attention have no such key, and no figure of theirs reads the shape's heads.
  const statedHeads = fields.optionalInteger(names.heads, 1);
  const heads = statedHeads ?? 1;
  // Where each layer has heads of its own, their key is a list that the family reads.
  const keyValueHeads = (family.listsHeads ? undefined : fields.optionalInteger(names.keyValueHeads, 1)) ?? heads;
  const stated = fields.optionalInteger(names.headDim, 1);
  const headDim = stated ?? Math.floor(hiddenSize / heads);
  if (headDim < 1 && heads > 0)
    throw new Unreadable(`${heads} attention heads are more than a hidden size of ${hiddenSize} gives a width to.`);
  warnOfShape(fields, { hiddenSize, heads, keyValueHeads, headDim, stated: stated !== undefined });
  const width = family.width?.(fields, hiddenSize) ?? fields.optionalInteger(names.width, 0) ?? 4 * hiddenSize;
  const vocabularySize = family.vocabulary?.(fields) ?? fields.integer(names.vocabulary);
  return { hiddenSize, layers, heads, keyValueHeads, headDim, width, vocabularySize };
}

/** Sizes that do not divide: counted as the code rounds them, and said. */
function warnOfShape(
  fields: Fields,
  shape: Pick<Shape, 'hiddenSize' | 'heads' | 'keyValueHeads' | 'headDim'> & { readonly stated: boolean },
): void {
  const { hiddenSize, heads, keyValueHeads, headDim, stated } = shape;
  const latent = (fields.raw('kv_lora_rank')?.value ?? null) !== null;
  if (!stated && !latent && hiddenSize % heads !== 0)
    fields.warn(
      `hidden_size ${hiddenSize} is no multiple of the ${heads} attention heads and no head_dim is stated: each head is taken as ${headDim} wide.`,
      'hidden_size',
    );
  if (!latent && keyValueHeads > 0 && heads % keyValueHeads !== 0)
    fields.warn(
      `${heads} attention heads are no multiple of ${keyValueHeads} key/value heads: such a model does not run.`,
      'num_key_value_heads',
    );
}

/** `tie_word_embeddings` of the text model, else of the whole; a family's own default where neither says. */
function readTied(family: Family, fields: Fields, outer: Fields): boolean {
  if (family.tiedKeys?.length === 0) return family.tied ?? false;
  if (outerDecides(fields, outer)) return outer.boolean('tie_word_embeddings');
  for (const view of [fields, outer])
    for (const key of family.tiedKeys ?? ['tie_word_embeddings']) if (view.states(key)) return view.boolean(key);
  if (family.tied === undefined) return fields.boolean('tie_word_embeddings');
  fields.assume('tie_word_embeddings', family.tied, "the default of the model's own code");
  return family.tied;
}

/** Where the text model's key and the whole's differ: transformers 5 goes by the whole's, earlier ones by the text's. */
function outerDecides(fields: Fields, outer: Fields): boolean {
  const key = 'tie_word_embeddings';
  if (!fields.states(key) || !outer.states(key)) return false;
  return Number(String(outer.ofFile('transformers_version')).split('.')[0]) >= 5;
}

/** A plan for each layer, as long as the model: a longer list is cut as the model's own code does, a shorter one is an error. */
function planned(plan: readonly string[], layers: number, fields: Fields): readonly string[] {
  if (plan.length < layers) throw fields.wrong('layer_types', `must name all ${layers} layers`, plan.length);
  return plan.slice(0, layers);
}

function layerOf(family: Family, shape: Shape, fields: Fields, name: string, mixer: string, feed: string): Layer {
  const { hiddenSize: D } = shape;
  const plan = typeof family.norms === 'function' ? family.norms(fields, mixer) : (family.norms ?? 'pre');
  const mix = parts(mixer === 'none' ? [] : (family.attention ?? llamaAttention)(shape, fields, mixer));
  const forward = parts(feed === 'none' ? [] : (family.feedForward ?? denseFeedForward(family))(shape, fields, feed));
  const bias = family.normBias?.(fields);
  const norm = (path: string, place: 'input' | 'output' = 'input') => ({
    ...normOf(family, path, D, place),
    ...(bias === undefined ? {} : { bias }),
  });
  const streams = family.streams?.(fields);
  const around = (block: readonly Part[], path: 'attention' | 'feed_forward'): readonly Part[] => {
    const collect: readonly Part[] = streams && block.length > 0 ? [streamsOf(path, streams)] : [];
    if (block.length === 0 || plan === 'own') return [...collect, ...block];
    const gateRank = family.normGate?.(fields, path, feed);
    const gate = gateRank === undefined ? {} : { gateRank };
    const before = plan === 'post' ? [] : [{ ...norm(`norm.${path}`), ...gate }];
    const after = plan === 'post' || plan === 'sandwich' ? [norm(`norm.${path}_output`, 'output')] : [];
    return [...collect, ...before, ...block, ...after];
  };
  const extras = family.layerExtras?.(shape, fields, mixer, feed) ?? [];
  if (plan === 'single' || plan === 'double') {
    const second = plan === 'double' ? [norm('norm.feed_forward')] : [];
    return { name, parallel: true, parts: [norm('norm.attention'), ...mix, ...second, ...forward, ...extras] };
  }
  const before = family.layerStart?.(shape, fields, mixer) ?? [];
  const whole = [...before, ...around(mix, 'attention'), ...around(forward, 'feed_forward'), ...extras];
  return { name, parts: family.repeats?.(mixer) ? [{ kind: 'shared', holds: false, parts: whole }] : whole };
}

const streamsOf = (
  path: string,
  { count, back, rank }: { readonly count: number; readonly back: ResidualStreams['back']; readonly rank?: number },
): ResidualStreams => ({
  kind: 'streams',
  path: `streams.${path}`,
  streams: count,
  back,
  ...(rank === undefined ? {} : { rank }),
});

const isPart = (value: Part | readonly Part[]): value is Part => 'kind' in value;
const parts = (value: Part | readonly Part[]): readonly Part[] => (isPart(value) ? [value] : value);

// --- pieces that rows are made of ---------------------------------------------------------------------------------------

export const table = (path: string, rows: number, columns: number, used = 1): TablePart => ({
  kind: 'table',
  path,
  rows,
  columns,
  used,
});

export function normOf(family: Family, path: string, width: number, place: 'input' | 'output' = 'input'): Norm {
  const { style = 'rms', weight = true, bias = style === 'layer', upcast } = family.norm ?? {};
  return {
    kind: 'norm',
    path,
    width,
    style,
    weight,
    bias,
    ...(upcast === undefined ? {} : { upcast }),
    ...(place === 'output' ? { place } : {}),
  };
}

export const noBias = { query: false, key: false, value: false, output: false } as const;
export const fullBias = { query: true, key: true, value: true, output: true } as const;
export const inputBias = { query: true, key: true, value: true, output: false } as const;

/** Grouped attention with the shape's dimensions; `changes` are what the family does otherwise. */
export function grouped(shape: Shape, changes: Partial<GroupedAttention> = {}): GroupedAttention {
  return {
    kind: 'attention',
    inputWidth: shape.hiddenSize,
    heads: shape.heads,
    keyValueHeads: shape.keyValueHeads,
    headDim: shape.headDim,
    bias: noBias,
    span: { kind: 'full' },
    causal: true,
    rotary: true,
    ...changes,
  };
}

/** Biases on all four projections where `attention_bias` says so; a sliding window where the layer has one. */
export const llamaAttention = (shape: Shape, fields: Fields, mixer: string): GroupedAttention =>
  grouped(shape, { bias: fields.boolean('attention_bias') ? fullBias : noBias, span: spanOf(mixer, fields) });

export function spanOf(mixer: string, fields: Fields): Span {
  const tokens = fields.optionalInteger(['sliding_window', 'sliding_window_size', 'attention_chunk_size']);
  // Some configs write no window as 0.
  if (tokens === undefined || tokens === 0 || !/sliding|local|chunked/.test(mixer)) return { kind: 'full' };
  return { kind: mixer.includes('chunked') ? 'chunk' : 'window', tokens };
}

/** `layer_types` where the config has it; else every layer slides where the config has a window and does not switch it off. */
export function slidingPlan(shape: Shape, fields: Fields): readonly string[] {
  const stated = fields.list('layer_types');
  if (stated) return stated.map((type) => String(type).replace('_attention', ''));
  const window = fields.states('sliding_window') ? fields.optionalInteger('sliding_window') || undefined : undefined;
  const slides = window !== undefined && (!fields.states('use_sliding_window') || fields.boolean('use_sliding_window'));
  return Array.from({ length: shape.layers }, () => (slides ? 'sliding' : 'full'));
}

/** One full layer in `period`, the others sliding. */
export const everyNth = (shape: Shape, period: number): readonly string[] =>
  Array.from({ length: shape.layers }, (_, index) => ((index + 1) % period === 0 ? 'full' : 'sliding'));

export const denseFeedForward =
  (family: Family) =>
  (shape: Shape, fields: Fields): DenseFeedForward =>
    dense(shape.hiddenSize, shape.width, {
      gated: family.gated ?? true,
      activation: family.activation ?? 'silu',
      bias: bothSides(
        typeof family.feedForwardBias === 'function'
          ? family.feedForwardBias(fields)
          : (family.feedForwardBias ?? false),
      ),
    });

export const bothSides = (bias: boolean) => ({ up: bias, down: bias });

export function dense(inputWidth: number, width: number, changes: Partial<DenseFeedForward> = {}): DenseFeedForward {
  return { kind: 'dense', inputWidth, width, gated: true, activation: 'silu', bias: bothSides(false), ...changes };
}

/** A mixture of experts with the config's counts; `changes` are what the family does otherwise. */
export function experts(shape: Shape, fields: Fields, changes: Partial<Experts> = {}): Experts {
  const count = fields.integer(names.experts);
  const active = changes.active ?? fields.integer(names.activeExperts);
  if (active > count) throw fields.wrong('num_experts_per_tok', `must be at most the ${count} experts`, active);
  return {
    kind: 'experts',
    inputWidth: shape.hiddenSize,
    experts: count,
    active,
    width: changes.width ?? fields.integer(names.expertWidth),
    gated: true,
    activation: 'silu',
    bias: { router: false, up: false, down: false },
    ...changes,
  };
}

/** The first k layers dense, then experts in each n-th (DeepSeek, GLM, Kimi). */
export function denseFirst(shape: Shape, fields: Fields): readonly string[] {
  const types = fields.list('mlp_layer_types');
  if (types) return types.map((type) => (type === 'sparse' ? 'experts' : 'dense'));
  const first = fields.count('first_k_dense_replace');
  const listed = fields.list('moe_layer_freq');
  if (listed) return listed.map((value) => (value === 1 ? 'experts' : 'dense'));
  const frequency = fields.every('moe_layer_freq');
  return Array.from({ length: shape.layers }, (_, index) =>
    index >= first && index % frequency === 0 ? 'experts' : 'dense',
  );
}

/**
 * Multi-token prediction as DeepSeek-V3 has it (arXiv:2412.19437, 2.2), for one depth: a norm on the embedding and one on the
 * hidden state, a matrix that joins them, layers of the model's own kind, a norm.
 */
export function predictor(family: Family, hiddenSize: number, layers: readonly Part[]): readonly Part[] {
  return [
    normOf(family, 'norm.embedding', hiddenSize),
    normOf(family, 'norm.hidden', hiddenSize),
    {
      kind: 'linear',
      path: 'join',
      role: 'join',
      rows: 2 * hiddenSize,
      columns: hiddenSize,
      bias: false,
      component: 'prediction',
    },
    ...layers,
    normOf(family, 'norm.final', hiddenSize),
  ];
}

/** More depths than any model predicts are a mistake or an attack. */
export const depths = (fields: Fields, key: string): number =>
  fields.states(key) ? Math.min(fields.count(key), 16) : 0;

/**
 * Multi-token prediction as DeepSeek-V3 has it (arXiv:2412.19437, 2.2): two norms, a matrix that joins them, one more layer and
 * a norm, for each depth that `num_nextn_predict_layers` states.
 */
export function nextToken(
  feed: string,
  changes: {
    /** Elements of tables that checkpoints store once more with each depth. */
    readonly copies?: (shape: Shape) => number;
    /** The depth ends with the model's own last norm. */
    readonly sharedNorm?: boolean;
    readonly joinBias?: (fields: Fields) => boolean;
  } = {},
): NonNullable<Family['prediction']> {
  return function (this: Family, shape, fields, layer) {
    const stated = fields.states('num_nextn_predict_layers') ? fields.count('num_nextn_predict_layers') : 0;
    const depth = Math.min(stated, 16);
    const { hiddenSize: D } = shape;
    const elements = changes.copies?.(shape) ?? 0;
    const copied: readonly Part[] =
      elements === 0 ? [] : [{ kind: 'vector', path: 'embedding_copy', elements, component: 'prediction' }];
    const bias = changes.joinBias?.(fields) ?? false;
    const one: readonly Part[] = [
      normOf(this, 'norm.embedding', D),
      normOf(this, 'norm.hidden', D),
      { kind: 'linear', path: 'join', role: 'join', rows: 2 * D, columns: D, bias, component: 'prediction' },
      ...layer('full', feed),
      ...(changes.sharedNorm ? [] : [normOf(this, 'norm.final', D)]),
      ...copied,
    ];
    return { depth, parts: Array.from({ length: depth }, () => one).flat() };
  };
}

/** A pattern as a word, L for a local layer and G for a global one, or as a number: each n-th is global. */
export function pattern(key: string) {
  return (shape: Shape, fields: Fields): readonly string[] => {
    const word = fields.raw(key)?.value;
    if (typeof word !== 'string') return everyNth(shape, fields.integer(key));
    if (!/^[LG]+$/.test(word)) throw fields.wrong(key, 'must be a number, or letters L and G', word);
    return Array.from({ length: shape.layers }, (_, index) => (word[index % word.length] === 'L' ? 'sliding' : 'full'));
  };
}

export const always =
  (kind: string) =>
  (shape: Shape): readonly string[] =>
    Array.from({ length: shape.layers }, () => kind);
