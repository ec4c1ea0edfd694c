import type {
  Activation,
  Architecture,
  DenseFeedForward,
  Layer,
  Part,
  ResidualStreams,
} from '../model/architecture.ts';
import { type Fields, Unreadable } from '../text/fields.ts';
import { underClass } from './classes.ts';
import type { Family } from './family.ts';
import { layerName, type Mixer, type Mlp, mixerOf, mlpOf } from './layer.ts';
import { bothSides, dense, llamaAttention, normOf, table } from './pieces.ts';
import { always, slidingPlan } from './plan.ts';
import { names, type Shape } from './shape.ts';

/** Whether logits go through a tanh: as the config says, else as the family does. */
const softcaps = (family: Family, fields: Fields): boolean =>
  fields.states('final_logit_softcapping')
    ? fields.optionalNumber('final_logit_softcapping') !== undefined
    : (family.softcapped ?? false);

/** More layers than any model has, and few enough to build quickly. */
const mostLayers = 10_000;

/** More kinds of layer than any model has. Each kind costs time and memory for every quantity. */
const mostKinds = 256;

/** An Architecture out of a family's traits and the fields of its text model. */
export function build(family: Family, fields: Fields, outer: Fields, modelType: string): Architecture {
  const shape = readShape(family, fields);
  const { hiddenSize: D, vocabularySize: V, layers: L } = shape;
  const mixers = planned(family.mixers?.(shape, fields) ?? slidingPlan(shape, fields), L, fields);
  const mlps = planned(family.mlps?.(shape, fields) ?? always('dense')(shape), L, fields);
  const kinds = new Map<string, number>();
  const layers: Layer[] = [];
  const order = mixers.map(mixerOf).map((mixer, index) => {
    const mlp = mlpOf(mlps[index] ?? 'dense');
    const kind = JSON.stringify([mixer, mlp]);
    const known = kinds.get(kind);
    if (known !== undefined) return known;
    if (layers.length === mostKinds)
      throw new Unreadable(
        `More than ${mostKinds} of the config's ${L} layers differ from each other, which no model has.`,
      );
    kinds.set(kind, layers.length);
    layers.push(layerOf(family, shape, fields, layerName(mixer, mlp), mixer, mlp));
    return layers.length - 1;
  });
  const tied = readTied(family, fields, outer);
  const positions = fields.optionalInteger(names.positions, 1);
  if (family.prediction === undefined) noteUncounted(fields);
  const prediction = family.prediction?.(
    shape,
    fields,
    (mixer, mlp) => layerOf(family, shape, fields, 'prediction', { kind: mixer }, { kind: mlp }).parts,
  );
  const assumes = typeof family.assumes === 'function' ? family.assumes(fields) : (family.assumes ?? []);
  for (const { field, value, reason } of assumes) fields.assume(field, value, reason);
  const streams = family.streams?.(fields);
  const final: readonly Part[] = [
    ...(streams ? [streamsOf('final', { ...streams, back: 'joined' })] : []),
    ...(hasFinalNorm(family, fields) ? [{ ...normOf(family, 'norm.final', D), ...weightless(family, fields) }] : []),
  ];
  const narrow = family.tableWidth?.(fields, D) ?? D;
  const architecture: Architecture = {
    family: modelType,
    exact: family.exact ?? true,
    hiddenSize: D,
    vocabularySize: V,
    ...(positions === undefined ? {} : { maxPositions: positions }),
    ...(names.positions.some((name) => fields.states(name)) ? {} : { positionsAssumed: true as const }),
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
  return family.ownClasses ? architecture : underClass(architecture, fields, family);
}

/** Neither weight nor bias, where the config says so. */
const weightless = ({ normWeight }: Family, fields: Fields): { readonly weight?: false; readonly bias?: false } =>
  normWeight === undefined || normWeight(fields) ? {} : { weight: false, bias: false };

const hasFinalNorm = ({ finalNorm = true }: Family, fields: Fields): boolean =>
  typeof finalNorm === 'function' ? finalNorm(fields) : finalNorm;

/** Keys that say a checkpoint has layers for predicting further tokens. */
const predictionKeys = ['num_nextn_predict_layers', 'num_mtp_layers', 'num_mtp_modules'] as const;

/** Says that multi-token prediction is not counted, where the config has it and the family's row does not describe it. */
function noteUncounted(fields: Fields): void {
  const key = predictionKeys.find((name) => fields.states(name) && (fields.optionalNumber(name) ?? 0) > 0);
  if (key !== undefined)
    fields.assume(key, 'not counted', 'this tool does not know how the family predicts further tokens');
}

/**
 * Width, depth and heads of a family’s config.
 *
 * @throws Unreadable where a size is missing or more layers are stated than are counted
 */
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

/** Warns of sizes that do not divide evenly; they are counted as the model's code rounds them. */
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
      'grouped-heads',
    );
}

/** `tie_word_embeddings` of the text model, else of the composite; a family's own default where neither says. */
function readTied(family: Family, fields: Fields, outer: Fields): boolean {
  if (family.tiedKeys?.length === 0) return family.tied ?? false;
  if (outerDecides(fields, outer)) return outer.boolean('tie_word_embeddings');
  for (const view of [fields, outer])
    for (const key of family.tiedKeys ?? ['tie_word_embeddings']) if (view.states(key)) return view.boolean(key);
  if (family.tied === undefined) return fields.boolean('tie_word_embeddings');
  fields.assume('tie_word_embeddings', family.tied, "the default of the model's own code");
  return family.tied;
}

/** Where the text model's key and the composite's differ: transformers 5 goes by the composite's, earlier versions by the text's. */
function outerDecides(fields: Fields, outer: Fields): boolean {
  const key = 'tie_word_embeddings';
  if (!fields.states(key) || !outer.states(key)) return false;
  return Number(String(outer.ofFile('transformers_version')).split('.')[0]) >= 5;
}

/** A plan with one entry for each layer: a longer list is cut, as the model's own code does, and a shorter one is an error. */
function planned<Kind>(plan: readonly Kind[], layers: number, fields: Fields): readonly Kind[] {
  if (plan.length < layers) throw fields.wrong('layer_types', `must name all ${layers} layers`, plan.length);
  return plan.slice(0, layers);
}

function layerOf(family: Family, shape: Shape, fields: Fields, name: string, mixer: Mixer, mlp: Mlp): Layer {
  const { hiddenSize: D } = shape;
  const plan = typeof family.norms === 'function' ? family.norms(fields, mixer) : (family.norms ?? 'pre');
  const mix = parts(mixer.kind === 'none' ? [] : (family.attention ?? llamaAttention)(shape, fields, mixer));
  const forward = parts(
    mlp.kind === 'none' ? [] : (family.feedForward ?? denseFeedForward(family))(shape, fields, mlp),
  );
  const bias = family.normBias?.(fields);
  const norm = (path: string, place: 'input' | 'output' = 'input') => ({
    ...normOf(family, path, D, place),
    ...(bias === undefined ? {} : { bias }),
    ...weightless(family, fields),
  });
  const streams = family.streams?.(fields);
  const withNorms = (block: readonly Part[], path: 'attention' | 'feed_forward'): readonly Part[] => {
    const collect: readonly Part[] = streams && block.length > 0 ? [streamsOf(path, streams)] : [];
    if (block.length === 0 || plan === 'own') return [...collect, ...block];
    const gateRank = family.normGate?.(fields, path, mlp);
    const gate = gateRank === undefined ? {} : { gateRank };
    const before = plan === 'post' ? [] : [{ ...norm(`norm.${path}`), ...gate }];
    const after = plan === 'post' || plan === 'sandwich' ? [norm(`norm.${path}_output`, 'output')] : [];
    return [...collect, ...before, ...block, ...after];
  };
  const extras = family.layerExtras?.(shape, fields, mixer, mlp) ?? [];
  if (plan === 'single' || plan === 'double') {
    const second = plan === 'double' ? [norm('norm.feed_forward')] : [];
    return { name, parallel: true, parts: [norm('norm.attention'), ...mix, ...second, ...forward, ...extras] };
  }
  const before = family.layerStart?.(shape, fields, mixer) ?? [];
  const layer = [...before, ...withNorms(mix, 'attention'), ...withNorms(forward, 'feed_forward'), ...extras];
  return { name, parts: family.repeats && mixer.again ? [{ kind: 'shared', holds: false, parts: layer }] : layer };
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

/** Names of Transformers' activation functions (`ACT2FN`) that this tool tells apart. */
const activations: Readonly<Record<string, Activation>> = {
  gelu: 'gelu',
  gelu_new: 'gelu_new',
  gelu_fast: 'gelu_fast',
  gelu_pytorch_tanh: 'gelu_tanh',
  relu: 'relu',
  relu2: 'relu2',
  silu: 'silu',
  swish: 'silu',
};

/** The activation function that the config names, under the key that the model's class reads. */
function statedActivation(fields: Fields): Activation | undefined {
  const key = ['hidden_act', 'activation_function', 'hidden_activation'].find((name) => fields.states(name));
  const name = key === undefined ? undefined : fields.string(key);
  return name !== undefined && Object.hasOwn(activations, name) ? activations[name] : undefined;
}

const denseFeedForward =
  (family: Family) =>
  (shape: Shape, fields: Fields): DenseFeedForward =>
    dense(shape.hiddenSize, shape.width, {
      gated: family.gated ?? true,
      activation: statedActivation(fields) ?? family.activation ?? 'silu',
      bias: bothSides(
        typeof family.feedForwardBias === 'function'
          ? family.feedForwardBias(fields)
          : (family.feedForwardBias ?? false),
      ),
    });
