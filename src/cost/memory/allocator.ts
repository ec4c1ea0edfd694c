import { cachingAllocator as sizes } from '../../facts/memory.ts';

/** A piece of a segment: given out, or free. Neighbours are of the same segment. */
export type Block = {
  bytes: number;
  readonly address: number;
  readonly small: boolean;
  free: boolean;
  before: Block | undefined;
  after: Block | undefined;
};

/** Segments lie further apart than any is long. */
const apart = 2 ** 45;

const upTo = (bytes: number, step: number): number => Math.ceil(bytes / step) * step;

/**
 * PyTorch's caching allocator without expandable segments, one stream, as much as a training step needs of it
 * (c10/cuda/CUDACachingAllocator.cpp): the smallest free block that is large enough is given out, and split where enough is left;
 * free neighbours become one; segments go back where a new one would not fit on the card, those that are free as a whole.
 */
export class Allocator {
  /** bytes of all segments, now and at most */
  reserved = 0;
  held = 0;
  /** bytes given out, now and at most */
  allocated = 0;
  peak = 0;
  private readonly most: number;
  private segments = 0;
  private readonly smallBlocks: Block[] = [];
  private readonly largeBlocks: Block[] = [];

  /** @param most bytes that segments may have in all */
  constructor(most = Number.POSITIVE_INFINITY) {
    this.most = most;
  }

  allocate(wanted: number): Block {
    const bytes = upTo(Math.max(1, wanted), sizes.rounding);
    const small = bytes <= sizes.small;
    const pool = small ? this.smallBlocks : this.largeBlocks;
    const block = pool.splice(position(pool, bytes, 0), 1)[0] ?? this.segment(bytes, small);
    const left = block.bytes - bytes;
    if (small ? left >= sizes.rounding : left > sizes.small) this.split(block, bytes);
    block.free = false;
    this.allocated += block.bytes;
    this.peak = Math.max(this.peak, this.allocated);
    return block;
  }

  release(block: Block): void {
    this.allocated -= block.bytes;
    let whole = block;
    if (block.before?.free === true) {
      whole = block.before;
      this.take(whole);
      join(whole, block);
    }
    if (whole.after?.free === true) {
      const { after } = whole;
      this.take(after);
      join(whole, after);
    }
    this.put(whole);
  }

  private segment(bytes: number, small: boolean): Block {
    const { segments } = sizes;
    const length = small ? segments.small : bytes < sizes.large ? segments.medium : upTo(bytes, segments.step);
    if (this.reserved + length > this.most) this.giveBack();
    this.reserved += length;
    this.held = Math.max(this.held, this.reserved);
    this.segments += 1;
    return { bytes: length, address: this.segments * apart, small, free: false, before: undefined, after: undefined };
  }

  /** Gives back all segments of which nothing is given out. */
  private giveBack(): void {
    for (const pool of [this.smallBlocks, this.largeBlocks]) {
      const stay = pool.filter(({ before, after }) => before !== undefined || after !== undefined);
      this.reserved -=
        pool.reduce((sum, { bytes }) => sum + bytes, 0) - stay.reduce((sum, { bytes }) => sum + bytes, 0);
      pool.splice(0, pool.length, ...stay);
    }
  }

  private split(block: Block, bytes: number): void {
    const { address, small, after } = block;
    const rest: Block = {
      bytes: block.bytes - bytes,
      address: address + bytes,
      small,
      free: true,
      before: block,
      after,
    };
    if (after !== undefined) after.before = rest;
    block.after = rest;
    block.bytes = bytes;
    this.put(rest);
  }

  private put(block: Block): void {
    const pool = block.small ? this.smallBlocks : this.largeBlocks;
    block.free = true;
    pool.splice(position(pool, block.bytes, block.address), 0, block);
  }

  private take(block: Block): void {
    const pool = block.small ? this.smallBlocks : this.largeBlocks;
    pool.splice(position(pool, block.bytes, block.address), 1);
  }
}

function join(block: Block, next: Block): void {
  block.bytes += next.bytes;
  block.after = next.after;
  if (next.after !== undefined) next.after.before = block;
}

/** Index of the first block that is no smaller, and among blocks as large none that lies before the address. */
function position(pool: readonly Block[], bytes: number, address: number): number {
  let [low, high] = [0, pool.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const block = pool[middle];
    if (block !== undefined && (block.bytes < bytes || (block.bytes === bytes && block.address < address)))
      low = middle + 1;
    else high = middle;
  }
  return low;
}
