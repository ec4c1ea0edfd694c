import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Allocator, type Block } from '../../src/cost/memory/allocator.ts';

const KiB = 2 ** 10;
const MiB = 2 ** 20;

describe("PyTorch's caching allocator (c10/cuda/CUDACachingAllocator.cpp)", () => {
  it.each([
    ['one byte', 1, 2 * MiB],
    ['a small block', MiB, 2 * MiB],
    ['above 1 MiB', MiB + 1, 20 * MiB],
    ['below 10 MiB', 10 * MiB - 512, 20 * MiB],
    ['10 MiB', 10 * MiB, 10 * MiB],
    ['above, in steps of 2 MiB', 10 * MiB + 1, 12 * MiB],
  ])('%s comes from a segment of its kind', (_name, bytes, segment) => {
    const allocator = new Allocator();
    allocator.allocate(bytes);
    expect(allocator.reserved).toBe(segment);
  });

  it('rounds up to 512 bytes', () => {
    const allocator = new Allocator();
    allocator.allocate(513);
    expect(allocator.allocated).toBe(1024);
  });

  it('splits a segment, so that the next block needs none', () => {
    const allocator = new Allocator();
    for (let index = 0; index < 10; index++) allocator.allocate(2 * MiB);
    expect(allocator.reserved).toBe(20 * MiB);
    allocator.allocate(2 * MiB);
    expect(allocator.reserved).toBe(40 * MiB);
  });

  it('gives out 1 MiB more than was asked for rather than split that off', () => {
    const allocator = new Allocator();
    const free = allocator.allocate(32 * MiB);
    allocator.release(free);
    allocator.allocate(31 * MiB);
    expect(allocator.allocated).toBe(32 * MiB);
    allocator.allocate(MiB + 1);
    expect(allocator.reserved).toBe(32 * MiB + 20 * MiB);
  });

  it('takes the smallest free block that is large enough, and of several the one at the lowest address', () => {
    const allocator = new Allocator();
    const [large, first, second] = [64, 32, 32].map((size) => allocator.allocate(size * MiB));
    for (const block of [second, large, first]) if (block !== undefined) allocator.release(block);
    expect(allocator.allocate(32 * MiB).address).toBe(first?.address);
    expect(allocator.allocate(32 * MiB).address).toBe(second?.address);
    expect(allocator.allocate(32 * MiB).address).toBe(large?.address);
    expect(allocator.reserved).toBe(128 * MiB);
  });

  it('joins free neighbours of one segment, and not of two', () => {
    const allocator = new Allocator();
    const whole = allocator.allocate(48 * MiB);
    allocator.release(whole);
    const parts = [16, 16, 16].map((size) => allocator.allocate(size * MiB));
    for (const index of [0, 2, 1]) {
      const part = parts[index];
      if (part !== undefined) allocator.release(part);
    }
    allocator.allocate(48 * MiB);
    expect(allocator.reserved).toBe(48 * MiB);
    for (const block of [16, 16].map((size) => allocator.allocate(size * MiB))) allocator.release(block);
    allocator.allocate(32 * MiB);
    expect(allocator.reserved).toBe((48 + 16 + 16 + 32) * MiB);
  });

  it('keeps small and large blocks apart', () => {
    const allocator = new Allocator();
    allocator.release(allocator.allocate(20 * MiB));
    allocator.allocate(512 * KiB);
    expect(allocator.reserved).toBe(22 * MiB);
  });

  it('gives segments back that are free as a whole, where a new one would not fit on the card', () => {
    const allocator = new Allocator(100 * MiB);
    const [whole, cut] = [40, 40].map((size) => allocator.allocate(size * MiB));
    for (const block of [whole, cut]) if (block !== undefined) allocator.release(block);
    allocator.allocate(20 * MiB);
    allocator.allocate(50 * MiB);
    expect(allocator.reserved).toBe((40 + 50) * MiB);
    expect(allocator.held).toBe((40 + 50) * MiB);
    allocator.allocate(60 * MiB);
    expect(allocator.reserved).toBe((40 + 50 + 60) * MiB);
  });

  it('remembers the most that it held', () => {
    const allocator = new Allocator(100 * MiB);
    allocator.release(allocator.allocate(80 * MiB));
    allocator.allocate(90 * MiB);
    expect(allocator.reserved).toBe(90 * MiB);
    allocator.release(allocator.allocate(10 * MiB));
    expect(allocator.held).toBe(100 * MiB);
  });

  it('never gives out a byte twice, holds all that it gave out, and serves again from what came back', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 64 * MiB }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(sizes, fc.array(fc.nat(), { maxLength: 40 }), (wanted, order) => {
        const allocator = new Allocator();
        const out: Block[] = wanted.map((bytes) => allocator.allocate(bytes));
        for (const pick of order) {
          const [block] = out.splice(pick % Math.max(1, out.length), 1);
          if (block !== undefined) allocator.release(block);
        }
        const spans = out.map(({ address, bytes }) => [address, address + bytes] as const).sort(([a], [b]) => a - b);
        for (const [index, [, end]] of spans.entries())
          expect(spans[index + 1]?.[0] ?? end).toBeGreaterThanOrEqual(end);
        expect(allocator.allocated).toBe(out.reduce((sum, { bytes }) => sum + bytes, 0));
        expect(allocator.reserved).toBeGreaterThanOrEqual(allocator.peak);
        const held = allocator.reserved;
        for (const block of out) allocator.release(block);
        for (const bytes of wanted) allocator.allocate(bytes);
        expect(allocator.allocated).toBeGreaterThanOrEqual(wanted.reduce((sum, bytes) => sum + bytes, 0));
        expect(allocator.reserved).toBeGreaterThanOrEqual(held);
      }),
    );
  });
});
