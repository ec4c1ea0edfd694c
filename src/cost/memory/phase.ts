import type { MemoryComponent, MemoryEstimate } from '../../model/estimate.ts';

/** Bytes that are allocated: the component that they count to, and what they are. */
export type Allocation = readonly [component: MemoryComponent, part: string, bytes: number];

/** What is allocated in every phase of a stage, with its sum in bytes. */
export type Throughout = { readonly allocations: readonly Allocation[]; readonly total: number };

/** What PyTorch's allocator has given out on one GPU at one point of a training step. */
export type Phase = {
  readonly at: MemoryEstimate['phase'];
  readonly throughout: Throughout;
  readonly own: readonly Allocation[];
};

export const nothing: Throughout = { allocations: [], total: 0 };

/** Allocations that stay through every phase, with their sum in bytes. */
export const throughoutOf = (allocations: readonly Allocation[]): Throughout => ({
  allocations,
  total: allocations.reduce((sum, [, , bytes]) => sum + bytes, 0),
});

/** All that is allocated in a phase. */
export const allocationsOf = ({ throughout, own }: Phase): readonly Allocation[] => [...throughout.allocations, ...own];

/** @returns bytes */
export const totalOf = ({ throughout, own }: Phase): number =>
  own.reduce((sum, [, , bytes]) => sum + bytes, throughout.total);
