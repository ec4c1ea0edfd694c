import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { forwardFlops } from '../../src/cost/count/forward.ts';
import { recomputedFlops, trainingFlops } from '../../src/cost/count/training.ts';
import { mainNetwork } from '../../src/cost/count/weights.ts';
import { expand } from '../../src/cost/expand/model.ts';
import type { Operation, Operations } from '../../src/model/operation.ts';
import type { RunFields, TrainingRun } from '../../src/model/run.ts';
import { readConfig } from '../../src/read/config.ts';
import { settleRun } from '../../src/setup/settle.ts';

/**
 * What PyTorch's FlopCounterMode counts in official Transformers code (scripts/oracle/flops.py), against ours in the full
 * convention: eager attention computes every score, and masks them after.
 */
type Count = {
  readonly by_operation: Readonly<Record<string, number>>;
  readonly rank?: number;
  readonly targets?: readonly string[];
};
type Way = 'forward' | 'sdpa' | 'training' | 'checkpoint' | 'lora';
type Row = {
  readonly model_type: string;
  readonly config: object;
  readonly sequence_length: number;
  readonly counts: { readonly [Key in Way]?: Count };
};
const rows = JSON.parse(readFileSync(new URL('flops.json', import.meta.url), 'utf8')) as readonly Row[];

const read = (row: Row) => {
  const reading = readConfig(Buffer.from(JSON.stringify(row.config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  const operations = expand(reading.architecture);
  const run = (fields: RunFields): TrainingRun => {
    const stated = { sequenceLength: row.sequence_length, mtp: false, ...fields };
    const settling = settleRun([{ origin: 'run', fields: { framework: 'megatron', ...stated } }], reading.architecture);
    if (settling.kind === 'unsettled') throw new Error('unsettled');
    return settling.settled.run;
  };
  return { operations, run };
};

const adapters = ({ rank = 0, targets = [] }: Count): RunFields => ({ lora: { rank, targets, baseBits: 16 } });

/** Ours of one sequence, as each way of running has it. */
function ours({ operations, run }: ReturnType<typeof read>, way: Way, count: Count): number {
  const trained = (fields: RunFields) => {
    const settled = run(fields);
    return (
      settled.sequenceLength *
      (trainingFlops(operations, settled, 'full') + recomputedFlops(operations, settled, 'full'))
    );
  };
  switch (way) {
    case 'forward':
    case 'sdpa':
      return sum(operations, run({}).sequenceLength, () => true);
    case 'training':
      return trained({});
    case 'checkpoint':
      return trained({ recompute: 'full' });
    case 'lora':
      return trained(adapters(count));
  }
}

const sum = (operations: Operations, S: number, wanted: (operation: Operation) => boolean): number => {
  let total = 0;
  for (const { operation, times } of mainNetwork(operations))
    if (wanted(operation)) total += times * S * forwardFlops(operation, S, 'full');
  return total;
};

const total = ({ by_operation }: Count): number => Object.values(by_operation).reduce((amount, one) => amount + one, 0);
/** Products with weight matrices; experts and matrices of diagonal blocks are apart, since they run as batched products. */
const products = ({ by_operation }: Count): number => (by_operation['mm'] ?? 0) + (by_operation['addmm'] ?? 0);

const isRecurrent = ({ operations }: { readonly operations: Operations }) =>
  operations.layers.some(({ operations: list }) => list.some(({ kind }) => kind === 'scan'));

/**
 * Differences that are known, each with its reason.
 *
 * - Recurrent models: the official code's fallback computes state updates in its own way (chunks of 64 or 256 tokens in
 *   Mamba-2 and the delta rule, element by element in Mamba-1), and FlopCounterMode sees some of them; we count what the
 *   recurrence needs, as Megatron-LM does. FlopCounterMode also forgets the groups of a depthwise convolution in its backward
 *   pass. So of these models the products with weight matrices are compared, which are all of the rest.
 * - DeepSeek Sparse Attention: the code sums the indexer's heads by a product of S x heads with heads x S for each token,
 *   2 H_I S, which we leave out with the other element-wise work; and it cannot train the indexer, since no gradient passes
 *   the choice of the best k. DeepSeek trains it with a loss of its own, which we count. DeepSeek-V4 sums the heads element by
 *   element, MiniMax-M3 takes their largest.
 * - Llama 4: the code sends every token to every expert and multiplies by zero; a token needs its own.
 * - HRM-Text trains only the last of its cycles; we count the backward pass of all, and say so.
 * - Inkling's short convolutions are computed over three tokens more than they keep, and have groups.
 */
const headsByProduct = ['deepseek_v32', 'glm_moe_dsa', 'axk2', 'hy_v4'];
const forwardOnly = ['hrm_text', 'inkling_text'];
const digitsOf = (type: string) => (type === 'inkling_text' ? 6 : 9);
const isSparse = (operation: Operation) => operation.path.includes('.indexer_');
const indexerHeads = (operations: Operations): number =>
  operations.order.reduce((heads, kind) => {
    const core = operations.layers[kind]?.operations.find(({ path }) => path.endsWith('indexer_core'));
    return heads + (core?.kind === 'attention' ? core.heads : 0);
  }, 0);

/** Forward FLOPs of the experts that a token was not sent to. */
const unchosen = (operations: Operations, S: number): number => {
  let total = 0;
  for (const { operation, times } of mainNetwork(operations)) {
    if (operation.kind !== 'linear' || operation.sharding !== 'expert') continue;
    total += times * S * (operation.copies / operation.used - 1) * forwardFlops(operation, S);
  }
  return total;
};

const ways: readonly Way[] = ['forward', 'sdpa', 'training', 'checkpoint', 'lora'];
const cases = rows.flatMap((row) =>
  ways.flatMap((way) => {
    const count = row.counts[way];
    const known = forwardOnly.includes(row.model_type) && way !== 'forward' && way !== 'sdpa';
    return count === undefined || known ? [] : [{ row, way, count, name: `${row.model_type}, ${way}` }];
  }),
);

describe("PyTorch's FlopCounterMode on official Transformers models", () => {
  it('covers a hundred and eight families', () => {
    expect(new Set(rows.map(({ model_type }) => model_type)).size).toBeGreaterThanOrEqual(108);
  });

  it.each(cases)('$name', ({ row, way, count }) => {
    const model = read(row);
    const { operations } = model;
    const S = row.sequence_length;
    if (isRecurrent(model)) {
      const isProduct = (one: Operation) => one.kind === 'linear' && one.copies === 1;
      const once = sum(operations, S, isProduct);
      const inLayers = sum(operations, S, (one) => isProduct(one) && one.path.startsWith('layers.'));
      const expected = { forward: once, sdpa: once, training: 3 * once, checkpoint: 3 * once + inLayers, lora: 0 }[way];
      expect(expected / products(count)).toBeCloseTo(1, 9);
      return;
    }
    const executed = { forward: 1, sdpa: 1, training: 3, checkpoint: 4, lora: 3 }[way];
    const wasted = row.model_type === 'llama4_text' ? executed * unchosen(operations, S) : 0;
    const indexer = sum(operations, S, isSparse);
    const headSums = headsByProduct.includes(row.model_type) ? 2 * S * S * indexerHeads(operations) : 0;
    const passes = way === 'checkpoint' ? 2 : 1;
    const known = passes * headSums - (way === 'training' || way === 'checkpoint' ? 2 * indexer : 0);
    expect((ours(model, way, count) + known + wasted) / total(count)).toBeCloseTo(1, digitsOf(row.model_type));
  });
});
