import type { LinearPart, Norm, Part, StateSpace } from '../../model/architecture.ts';

/**
 * Mixers with a recurrent state, written out as their projections and their scan. Letters: D width of the stream, H heads,
 * n width of a key (states of a channel), p width of a value, g groups that share keys and queries, d = H p.
 */

/** A matrix that the scan or the way out reads. */
export const matrix = (path: string, rows: number, columns: number, bias = false): LinearPart => ({
  kind: 'linear',
  path: `state_space.${path}`,
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
      inputElements: channels + H * p,
      outputElements: H * p,
    }),
    scanNorm(p, { repeat: H }),
    matrix('out', H * p, D),
  ];
}

/** Kimi delta attention (Kimi Linear, arXiv:2510.26692, 3): a decay for each channel of a key, low-rank decay and gate. */
export function kimiDelta(D: number, mixer: { heads: number; headDim: number; kernel: number }): readonly Part[] {
  const { heads: H, headDim: p, kernel } = mixer;
  const d = H * p;
  return [
    projection('query_key_value', D, 3 * d),
    projection('beta', D, H),
    projection('decay_down', D, p),
    matrix('decay_up', p, d),
    projection('gate_down', D, p),
    matrix('gate_up', p, d),
    scan({
      style: 'kda',
      heads: H,
      keyDim: p,
      valueDim: p,
      convolution: { channels: 3 * d, kernel },
      // Kernels, A of each head, the bias of each channel's decay.
      parameters: 3 * d * kernel + H + d,
      inputElements: 5 * d,
      outputElements: d,
    }),
    scanNorm(p, { repeat: H }),
    matrix('out', d, D),
  ];
}

/** Lightning attention (MiniMax-01, arXiv:2501.08313): linear attention with a norm and an output gate. */
export function lightning(D: number, H: number, p: number, chunk: number): readonly Part[] {
  const d = H * p;
  return [
    projection('query_key_value', D, 3 * d),
    projection('gate', D, d),
    scan({
      style: 'lightning',
      heads: H,
      keyDim: p,
      valueDim: p,
      chunk,
      parameters: 0,
      inputElements: 3 * d,
      outputElements: d,
    }),
    scanNorm(d),
    matrix('out', d, D),
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
