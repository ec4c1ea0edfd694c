import type {
  Activation,
  DenseFeedForward,
  GroupedAttention,
  Norm,
  Part,
  Span,
  TowerStage,
} from '../model/architecture.ts';
import { given } from '../model/given.ts';

/** Stages of encoders and projectors, as the parts from which their FLOPs, activations and time follow (`cost/count/encoder-passes.ts`). */

/** A layer of a Vision Transformer (Dosovitskiy et al. 2021): a norm in front of attention both ways, one in front of the rest. */
export type EncoderLayer = {
  readonly D: number;
  readonly F: number;
  readonly heads: number;
  readonly headDim?: number;
  readonly keyValueHeads?: number;
  /** Of the attention's four projections. Default: all. */
  readonly attentionBias?: 'all' | 'none' | 'output' | 'all but output' | 'all but key';
  readonly norm?: 'layer' | 'rms';
  readonly gated?: boolean;
  /** Of the feed-forward. Default: both. */
  readonly bias?: boolean | 'down';
  readonly activation?: Activation;
  readonly rotary?: boolean;
  readonly span?: Span;
  readonly queryKeyNorm?: 'head' | 'width';
  /** Values are normalised too, without weights. */
  readonly valueNormed?: boolean;
  /** All norms compute the product with their weight in fp32 too. */
  readonly upcast?: 'weight';
  /** Of those norms. Default: as the others. */
  readonly queryKeyStyle?: 'layer' | 'rms';
  /** One product makes queries, keys and values. */
  readonly fused?: boolean;
  /** Norms behind both blocks too. */
  readonly sandwich?: boolean;
  /** What both blocks give is scaled by a learned vector. */
  readonly scaled?: boolean;
  /** Queries are laid out by head. */
  readonly byHead?: boolean;
};

const attentionBiases = {
  all: { query: true, key: true, value: true, output: true },
  none: { query: false, key: false, value: false, output: false },
  output: { query: false, key: false, value: false, output: true },
  'all but output': { query: true, key: true, value: true, output: false },
  'all but key': { query: true, key: false, value: true, output: true },
} as const;

const norm = (path: string, width: number, style: 'layer' | 'rms'): Norm => ({
  ...{ kind: 'norm', path, width, style, weight: true },
  bias: style === 'layer',
});

function attention(layer: EncoderLayer): Part {
  const { D } = layer;
  // Without a number of heads that fits, the weights are those of one.
  const heads = layer.heads > 0 && layer.heads <= D ? layer.heads : 1;
  const { headDim = Math.floor(D / heads), keyValueHeads = heads, attentionBias = 'all' } = layer;
  const { queryKeyNorm: over, norm: usual = 'layer', queryKeyStyle: style = usual } = layer;
  const { span = { kind: 'full' }, rotary = false } = layer;
  return {
    kind: 'attention',
    inputWidth: D,
    heads,
    keyValueHeads,
    headDim,
    bias: attentionBiases[attentionBias],
    span,
    causal: false,
    cached: false,
    rotary,
    ...(layer.fused === true ? { fused: true } : {}),
    ...(layer.byHead === true ? { byHead: true } : {}),
    ...(over === undefined
      ? {}
      : {
          queryKeyNorm: {
            ...{ over, style, weight: true, bias: style === 'layer' },
            ...(layer.valueNormed === true ? { value: true } : {}),
            ...given({ upcast: layer.upcast }),
          },
        }),
  };
}

function layerParts(layer: EncoderLayer): readonly Part[] {
  const { D, F, norm: style = 'layer', gated = false, bias = true, activation = 'gelu' } = layer;
  const normed = (path: string): Norm => ({ ...norm(path, D, style), ...given({ upcast: layer.upcast }) });
  const behind = (block: string): readonly Part[] => [
    ...(layer.sandwich === true ? [{ ...normed(`${block}_norm_behind`), place: 'output' } as const] : []),
    ...(layer.scaled === true
      ? [
          { kind: 'activation', path: `${block}_scale`, width: D, activation: 'none' } as const,
          { kind: 'vector', path: `${block}_scale`, elements: D, component: 'towers' } as const,
        ]
      : []),
  ];
  return [
    normed('attention_norm'),
    attention(layer),
    ...behind('attention'),
    normed('feed_forward_norm'),
    { kind: 'dense', inputWidth: D, width: F, gated, activation, bias: { up: bias === true, down: bias !== false } },
    ...behind('feed_forward'),
  ];
}

/** Layers that read patches, with a class token or registers (`extra`) beside them. */
export const layersStage = (count: number, layer: EncoderLayer, extra = 0): TowerStage => ({
  name: 'layers',
  width: layer.D,
  count,
  parts: layerParts(layer),
  merged: 1,
  ...(extra > 0 ? { extra } : {}),
});

const matrix = (path: string, rows: number, columns: number, bias: boolean): Part => ({
  kind: 'linear',
  path,
  rows,
  columns,
  bias,
  component: 'towers',
});

/** Pixels of a patch, or bins of a frame's neighbours, to the encoder's width. */
export const patchStage = (pixels: number, D: number, bias = true, merged = 1): TowerStage => ({
  name: 'patch',
  width: pixels,
  count: 1,
  parts: [matrix('patch', pixels, D, bias)],
  merged,
});

type Two = {
  readonly inputs: number;
  readonly inner: number;
  readonly outputs: number;
  readonly bias?: boolean;
  readonly activation?: Activation;
  /** A norm over so many elements in front. */
  readonly norm?: { readonly style: 'layer' | 'rms'; readonly width: number };
};

/** Two matrices with a non-linearity between them, of which each row stands for so many patches (`merged`). */
export const twoMatricesStage = (
  { inputs, inner, outputs, bias = true, activation = 'gelu', norm: first }: Two,
  merged = 1,
): TowerStage => ({
  name: 'projector',
  width: inputs,
  count: 1,
  parts: [
    ...(first === undefined ? [] : [{ ...norm('norm', first.width, first.style), repeat: inputs / first.width }]),
    matrix('first', inputs, inner, bias),
    { kind: 'activation', path: 'activation', width: inner, activation },
    matrix('second', inner, outputs, bias),
  ],
  merged,
});

/** One matrix, of which each row stands for so many patches. */
export const matrixStage = (inputs: number, outputs: number, bias: boolean, merged = 1): TowerStage => ({
  name: 'projector',
  width: inputs,
  count: 1,
  parts: [matrix('matrix', inputs, outputs, bias)],
  merged,
});

/** A gated feed-forward alone. */
export const gatedStage = (D: number, F: number, activation: Activation, merged = 1): TowerStage => ({
  name: 'projector',
  width: D,
  count: 1,
  parts: [{ kind: 'dense', inputWidth: D, width: F, gated: true, activation, bias: { up: false, down: false } }],
  merged,
});

/** Elements of weights of the parts that stages are made of. */
function elementsOf(part: Part): number {
  switch (part.kind) {
    case 'linear':
      return part.rows * part.columns + (part.bias ? part.columns : 0);
    case 'norm':
      return part.width * (Number(part.weight) + Number(part.bias));
    case 'vector':
      return part.elements;
    case 'dense':
      return denseElements(part);
    case 'attention':
      return attentionElements(part);
    default:
      return 0;
  }
}

function denseElements({ inputWidth: D, width: F, gated, bias }: DenseFeedForward): number {
  const up = gated ? 2 : 1;
  return (up + 1) * D * F + (bias.up ? up * F : 0) + (bias.down ? D : 0);
}

function attentionElements({
  inputWidth: D,
  heads,
  keyValueHeads,
  headDim,
  bias,
  queryKeyNorm,
}: GroupedAttention): number {
  // Heads that do not divide the width share it out with a rest, and the matrices have all of it.
  const rest = headDim === Math.floor(D / heads) ? D - heads * headDim : 0;
  const query = heads * headDim + rest;
  const key = keyValueHeads === heads ? query : keyValueHeads * headDim;
  const biases = (bias.query ? query : 0) + (bias.key ? key : 0) + (bias.value ? key : 0) + (bias.output ? D : 0);
  const normed = queryKeyNorm === undefined ? 0 : queryKeyNorm.over === 'head' ? 2 * headDim : query + key;
  const perElement = Number(queryKeyNorm?.weight ?? false) + Number(queryKeyNorm?.bias ?? false);
  return 2 * D * (query + key) + biases + normed * perElement;
}

/** Elements that stages hold: an encoder that is written out is counted by its stages and nowhere else. */
export const heldBy = (stages: readonly TowerStage[]): number =>
  stages.reduce((sum, { count, parts }) => sum + count * parts.reduce((all, part) => all + elementsOf(part), 0), 0);
