import { cachingAllocator } from '../../facts/memory.ts';
import type { Allocator, Block } from './allocator.ts';

/** Allocations in their order: n + 1 gives out block n of a tape, -(n + 1) takes it back; 0 is a matrix product. */
export type Track = readonly number[];

/**
 * What a part of a model (a layer, the table, the loss) allocates and frees in its two passes, as PyTorch does one after another.
 * Blocks are numbered. A part takes back the gradient of its output, and its input where its backward pass needs that.
 */
export type Tape = {
  /** of each block */
  readonly bytes: readonly number[];
  readonly forward: Track;
  readonly backward: Track;
  readonly input: number;
  /** its input is needed until its backward pass */
  readonly keepsInput: boolean;
  readonly output: number;
  readonly outputGradient: number;
  readonly inputGradient: number;
  /** gradients of weights, which stay after the backward pass */
  readonly weightGradients: readonly number[];
  /** 16-bit copies of weights that autocast keeps to the end of the forward pass */
  readonly casts: readonly number[];
};

/** Blocks of a tape that is being played, by number. */
export type Live = (Block | undefined)[];

/** Small blocks are left out: they fill segments of their own, and few. */
export const isTraced = (bytes: number): boolean => bytes > cachingAllocator.small;

/** Gives out and takes back as a track says. */
export function play(track: Track, { bytes }: Tape, live: Live, allocator: Allocator, atProduct: () => void): void {
  for (const code of track) {
    const index = Math.abs(code) - 1;
    if (code === 0) atProduct();
    else if (code > 0) live[index] = allocator.allocate(bytes[index] ?? 0);
    else {
      const block = live[index];
      if (block !== undefined) allocator.release(block);
      live[index] = undefined;
    }
  }
}

/** Writes the tracks of a tape. */
export class Recorder {
  readonly bytes: number[] = [];
  private track: number[] = [];

  /** A block that is given out elsewhere. */
  block(bytes: number): number {
    return this.bytes.push(bytes) - 1;
  }

  make(bytes: number): number {
    const index = this.block(bytes);
    if (isTraced(bytes)) this.track.push(index + 1);
    return index;
  }

  free(...blocks: readonly (number | undefined)[]): void {
    for (const index of blocks)
      if (index !== undefined && isTraced(this.bytes[index] ?? 0)) this.track.push(-(index + 1));
  }

  product(): void {
    this.track.push(0);
  }

  /** What was written since the last call. */
  cut(): Track {
    const { track } = this;
    this.track = [];
    return track;
  }
}
