import type { LinearPart, Norm, Part, Role, StateSpace } from '../model/architecture.ts';
import { given } from '../model/given.ts';

/**
 * Mixers with a recurrent state, written out as their projections and their scan. Letters: D width of the stream, H heads,
 * n width of a key (states of a channel), p width of a value, g groups that share keys and queries, d = H p.
 */

/** What a mixer's matrices are, by the names that Mamba has for them. */
const roles: Readonly<Record<string, Role>> = {
  in: 'mixer_in',
  selection: 'selection',
  time_step: 'time_step',
  out: 'mixer_out',
};

/** A matrix that the scan or the way out reads. */
export const matrix = (path: string, rows: number, columns: number, bias = false): LinearPart => ({
  kind: 'linear',
  path: `state_space.${path}`,
  ...given({ role: roles[path] }),
  rows,
  columns,
  bias,
  component: 'state_space',
});

/** A matrix that reads what the block's norm gave. */
export const projection = (path: string, rows: number, columns: number, bias = false): LinearPart => ({
  ...matrix(path, rows, columns, bias),
  reads: 'stream',
});

/** The recurrence of a state-space layer. */
export const scan = (part: Omit<StateSpace, 'kind' | 'path'>): StateSpace => ({
  kind: 'state_space',
  path: 'state_space.scan',
  ...part,
});

/** RMSNorm on what the scan gave, over its whole width or over each of `repeat` heads. */
export const scanNorm = (width: number, changes: Partial<Norm> = {}): Norm => ({
  kind: 'norm',
  path: 'norm.state_space',
  width,
  style: 'rms',
  weight: true,
  bias: false,
  ...changes,
});

/** One kernel, and maybe a bias, for each channel. */
const convolved = (channels: number, kernel: number, bias: boolean) => channels * kernel + (bias ? channels : 0);

export type Mamba1 = {
  readonly inner: number;
  readonly states: number;
  readonly kernel: number;
  readonly rank: number;
  readonly bias: { readonly projection: boolean; readonly convolution: boolean };
  /** Norms on time step, B and C (Jamba). */
  readonly norms?: boolean;
};

/** Mamba (Gu and Dao 2023, arXiv:2312.00752): d channels of n states each, a low-rank time step. */
export function mamba1(D: number, { inner: d, states: n, kernel, rank, bias, norms }: Mamba1): readonly Part[] {
  return [
    projection('in', D, 2 * d, bias.projection),
    scan({
      style: 'mamba1',
      heads: d,
      keyDim: n,
      valueDim: 1,
      convolution: { channels: d, kernel },
      // Kernels, A and D.
      parameters: convolved(d, kernel, bias.convolution) + d * n + d,
      inputElements: 2 * d,
      outputElements: d,
    }),
    matrix('selection', d, rank + 2 * n),
    ...(norms
      ? [{ kind: 'vector', path: 'state_space.norms', elements: rank + 2 * n, component: 'norm' } as const]
      : []),
    matrix('time_step', rank, d, true),
    matrix('out', d, D, bias.projection),
  ];
}

export type Mamba2 = {
  readonly heads: number;
  readonly headDim: number;
  readonly groups: number;
  readonly states: number;
  readonly kernel: number;
  readonly chunk: number;
  readonly bias: { readonly in: boolean; readonly out: boolean; readonly convolution: boolean };
  /** The gated norm before the way out. Default true. */
  readonly norm?: boolean;
};

/** Mamba-2 (Dao and Gu 2024, arXiv:2405.21060): H heads of p channels, g groups of n states. */
export function mamba2(D: number, mixer: Mamba2): readonly Part[] {
  const { heads: H, headDim: p, groups: g, states: n, kernel, chunk, bias, norm = true } = mixer;
  const d = H * p;
  const channels = d + 2 * g * n;
  return [
    projection('in', D, d + channels + H, bias.in),
    scan({
      style: 'mamba2',
      heads: H,
      keyDim: n,
      valueDim: p,
      groups: g,
      chunk,
      convolution: { channels, kernel },
      // Kernels; A, D and the bias of the time step.
      parameters: convolved(channels, kernel, bias.convolution) + 3 * H,
      inputElements: channels + d,
      outputElements: d,
    }),
    ...(norm ? [scanNorm(d)] : []),
    matrix('out', d, D, bias.out),
  ];
}

export type GatedDelta = {
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly kernel: number;
};

/** Tokens of a chunk in flash-linear-attention's delta rules. */
const deltaChunk = 64;

/** Gated delta net (Yang et al. 2024, arXiv:2412.06464): an output gate, a decay and a strength for each value head. */
export function gatedDelta(D: number, mixer: GatedDelta): readonly Part[] {
  const { keyHeads, valueHeads: H, keyDim: n, valueDim: p, kernel } = mixer;
  const channels = 2 * keyHeads * n + H * p;
  return [
    projection('query_key_value', D, channels),
    projection('gate', D, H * p),
    projection('beta_alpha', D, 2 * H),
    scan({
      style: 'gated_delta',
      heads: H,
      keyDim: n,
      valueDim: p,
      groups: keyHeads,
      convolution: { channels, kernel },
      parameters: channels * kernel + 2 * H,
      // The convolution's input and output, the gate, and a chunk's scores (flash-linear-attention `chunk_gated_delta_rule`).
      inputElements: 2 * channels + H * p + deltaChunk * H,
      outputElements: H * p,
    }),
    scanNorm(p, { repeat: H }),
    matrix('out', H * p, D),
  ];
}

export type KimiDelta = {
  readonly heads: number;
  readonly headDim: number;
  readonly kernel: number;
  /** The gate is one matrix and not a low-rank pair (Kimi K3). */
  readonly fullRankGate: boolean;
};

/** Kimi delta attention (Kimi Linear, arXiv:2510.26692, 3): a decay for each channel of a key, low-rank decay and gate. */
export function kimiDelta(D: number, mixer: KimiDelta): readonly Part[] {
  const { heads: H, headDim: p, kernel } = mixer;
  const d = H * p;
  const gate = mixer.fullRankGate
    ? [projection('gate', D, d)]
    : [projection('gate_down', D, p), matrix('gate_up', p, d)];
  return [
    projection('query_key_value', D, 3 * d),
    projection('beta', D, H),
    projection('decay_down', D, p),
    matrix('decay_up', p, d),
    ...gate,
    scan({
      style: 'kda',
      heads: H,
      keyDim: p,
      valueDim: p,
      convolution: { channels: 3 * d, kernel },
      // Kernels, A of each head, the bias of each channel's decay.
      parameters: 3 * d * kernel + H + d,
      // As above, and the decay of each channel, in fp32.
      inputElements: 9 * d + deltaChunk * H,
      outputElements: d,
    }),
    scanNorm(p, { repeat: H }),
    matrix('out', d, D),
  ];
}

export type Lightning = {
  readonly heads: number;
  readonly headDim: number;
  readonly chunk: number;
  /** A norm over each head's query and key. */
  readonly queryKeyNorm?: boolean;
  readonly bias?: { readonly in: boolean; readonly out: boolean };
};

/** Lightning attention (MiniMax-01, arXiv:2501.08313): linear attention with a norm and an output gate. */
export function lightning(
  D: number,
  { heads: H, headDim: p, chunk, queryKeyNorm = false, bias = { in: false, out: false } }: Lightning,
): readonly Part[] {
  const d = H * p;
  return [
    projection('query_key_value', D, 3 * d, bias.in),
    projection('gate', D, d),
    ...(queryKeyNorm
      ? [{ kind: 'vector', path: 'state_space.query_key_norm', elements: 2 * p, component: 'norm' } as const]
      : []),
    scan({
      style: 'lightning',
      heads: H,
      keyDim: p,
      valueDim: p,
      chunk,
      parameters: 0,
      // Query, key and value before and behind their activation, and the gate.
      inputElements: 7 * d,
      outputElements: d,
    }),
    scanNorm(d),
    matrix('out', d, D, bias.out),
  ];
}

/** A gated short convolution (LFM2, arXiv:2511.23404, 2): two gates around a kernel of a few tokens. */
export function shortConvolution(D: number, kernel: number, bias: boolean): readonly Part[] {
  return [
    projection('in', D, 3 * D, bias),
    scan({
      style: 'conv',
      heads: 1,
      keyDim: 1,
      valueDim: D,
      convolution: { channels: D, kernel },
      parameters: convolved(D, kernel, bias),
      inputElements: 3 * D,
      outputElements: D,
    }),
    matrix('out', D, D, bias),
  ];
}

/** RG-LRU (Griffin, De et al. 2024, arXiv:2402.19427, 2.4): a convolution, two block-diagonal gates, a real decay for each channel. */
export function recurrentGriffin(D: number, width: number, blocks: number, kernel: number): readonly Part[] {
  const block = Math.floor(width / blocks);
  const gate = (path: string): LinearPart => ({
    ...matrix(path, block, block, true),
    copies: blocks,
    used: blocks,
  });
  return [
    projection('gate', D, width, true),
    projection('in', D, width, true),
    gate('input_gate'),
    gate('recurrence_gate'),
    scan({
      style: 'rglru',
      heads: blocks,
      keyDim: 1,
      valueDim: block,
      convolution: { channels: width, kernel },
      parameters: convolved(width, kernel, true) + width,
      inputElements: 4 * width,
      outputElements: width,
    }),
    matrix('out', width, D, true),
  ];
}

/** RWKV-4 (Peng et al. 2023, arXiv:2305.13048, 3): channels with a decay and a bonus each; the token before is mixed in. */
export function rwkv4(D: number, d: number): readonly Part[] {
  return [
    projection('receptance', D, d),
    projection('key', D, d),
    projection('value', D, d),
    scan({
      style: 'rwkv4',
      heads: d,
      keyDim: 1,
      valueDim: 1,
      // The token before is the tail that a convolution of two tokens would keep.
      convolution: { channels: D, kernel: 2 },
      parameters: 2 * d + 3 * D,
      inputElements: 3 * d,
      outputElements: d,
    }),
    matrix('out', d, D),
  ];
}

export type ReceptanceMixer = {
  /** Width of what is received: heads times their width. */
  readonly width: number;
  readonly headDim: number;
};

/** What RWKV-5 and 6 share: a matrix state for each head, a gate, a norm for each head with weights of its own. */
function receptance(D: number, { width: d, headDim: p }: ReceptanceMixer, parameters: number): readonly Part[] {
  return [
    projection('receptance', D, d),
    projection('key', D, d),
    projection('value', D, d),
    projection('gate', D, d),
    scan({
      style: 'rwkv5',
      heads: Math.floor(d / p),
      keyDim: p,
      valueDim: p,
      convolution: { channels: D, kernel: 2 },
      parameters,
      inputElements: 4 * d,
      outputElements: d,
    }),
    // One norm for each head, with weights over the whole stream.
    scanNorm(D, { style: 'layer', bias: true }),
    matrix('out', d, D),
  ];
}

/** RWKV-5 (Peng et al. 2024, arXiv:2404.05892, 4): a decay and a bonus for each channel, four mixes of the token before. */
export const rwkv5 = (D: number, mixer: ReceptanceMixer): readonly Part[] =>
  receptance(D, mixer, 4 * D + 2 * mixer.width);

/** RWKV-6 (Peng et al. 2024, arXiv:2404.05892, 4): mixes and decay follow the token through low-rank pairs. */
export function rwkv6(D: number, mixer: ReceptanceMixer, rank: { mix: number; decay: number }): readonly Part[] {
  const [first, ...rest] = receptance(D, mixer, 6 * D + 2 * mixer.width);
  return [
    projection('mix_down', D, 5 * rank.mix),
    { ...matrix('mix_up', rank.mix, D), copies: 5, used: 5 },
    projection('decay_down', D, rank.decay),
    matrix('decay_up', rank.decay, mixer.width),
    ...(first === undefined ? [] : [first]),
    ...rest,
  ];
}

/** RWKV-7 (Peng et al. 2025, arXiv:2503.14456, 4): a delta rule whose decay, rate, gate and value mix are low-rank. */
export function rwkv7(
  D: number,
  mixer: ReceptanceMixer & { values: number },
  rank: { decay: number; rate: number; gate: number; value?: number },
): readonly Part[] {
  const { width: d, headDim: p, values: v } = mixer;
  const pair = (path: string, inner: number, columns: number, bias: boolean): readonly Part[] => [
    projection(`${path}_down`, D, inner),
    matrix(`${path}_up`, inner, columns, bias),
  ];
  return [
    ...pair('decay', rank.decay, d, true),
    ...pair('rate', rank.rate, d, true),
    ...pair('gate', rank.gate, v, false),
    ...(rank.value === undefined ? [] : pair('value_mix', rank.value, v, true)),
    projection('receptance', D, d),
    projection('key', D, d),
    projection('value', D, v),
    scan({
      style: 'rwkv7',
      heads: Math.floor(d / p),
      keyDim: p,
      valueDim: Math.floor((v * p) / d),
      convolution: { channels: D, kernel: 2 },
      // Six mixes of the token before; a scale, a rate and a bonus of each channel's key.
      parameters: 6 * D + 3 * d,
      inputElements: 4 * d + 2 * v,
      outputElements: v,
    }),
    scanNorm(v, { style: 'layer', bias: true }),
    matrix('out', v, D),
  ];
}

/** mLSTM (Beck et al. 2024, arXiv:2405.04517; xLSTM-7B, arXiv:2503.13427): a matrix memory for each head, two scalar gates. */
export function matrixLstm(
  D: number,
  {
    heads: H,
    keys,
    values,
    chunk,
    bias,
  }: { heads: number; keys: number; values: number; chunk: number; bias: boolean },
): readonly Part[] {
  return [
    projection('query', D, keys, bias),
    projection('key', D, keys, bias),
    projection('value', D, values, bias),
    projection('gate', D, values, bias),
    projection('input_forget', D, 2 * H, true),
    scan({
      style: 'mlstm',
      heads: H,
      keyDim: Math.floor(keys / H),
      valueDim: Math.floor(values / H),
      chunk,
      parameters: 0,
      inputElements: 2 * keys + 2 * values,
      outputElements: values,
    }),
    // One norm for each head, with its own weights.
    scanNorm(values, { style: 'layer', bias }),
    matrix('out', values, D, bias),
  ];
}
