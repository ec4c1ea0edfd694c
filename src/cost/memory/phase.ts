import type { MemoryComponent, MemoryEstimate } from '../../model/estimate.ts';

/** Bytes that are allocated in a phase: the component that they count to, and what they are. */
export type Allocation = readonly [component: MemoryComponent, part: string, bytes: number];

/** What PyTorch's allocator has given out on one GPU at one point of a training step. */
export type Phase = { readonly at: MemoryEstimate['phase']; readonly allocations: readonly Allocation[] };

/** @returns bytes */
export const totalOf = ({ allocations }: Phase): number => allocations.reduce((sum, [, , bytes]) => sum + bytes, 0);
