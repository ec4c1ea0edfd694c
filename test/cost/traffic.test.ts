import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { expand } from '../../src/cost/expand/model.ts';
import { contextOf } from '../../src/cost/time/context.ts';
import { elementaryTraffic } from '../../src/cost/time/elementary.ts';
import { kernelsOf } from '../../src/facts/kernels.ts';
import { stepFacts } from '../../src/facts/steps.ts';
import type { Operation } from '../../src/model/operation.ts';
import { costOf, modelOf } from './estimates.ts';

type Row = {
  readonly config: { readonly model_type: string };
  readonly run: Readonly<Record<string, unknown>>;
  readonly forward: { readonly bytes: number; readonly kernels: number };
  readonly backward: { readonly bytes: number; readonly kernels: number };
};

const rows = JSON.parse(readFileSync(new URL('../oracle/traffic.json', import.meta.url), 'utf8')) as readonly Row[];

/** What we count of the operations of a layer, for each token. */
function counted({ config, run: stated }: Pick<Row, 'config' | 'run'>, counts = (_: Operation) => true) {
  const { run, machine } = costOf(config, { accelerator: 'h200-sxm-141gb', ...stated }).run;
  if (machine === undefined) throw new Error('no such accelerator');
  const context = contextOf(run, machine, 1, { step: stepFacts, kernelsOf });
  const list = expand(modelOf(config)).layers[0]?.operations ?? [];
  const { bytes, kernels } = elementaryTraffic(list.filter(counts), run, context);
  return { bytes: [bytes[0] / context.T, bytes[1] / context.T], kernels };
}

/**
 * What is known to be off, forward and backward. Phi-3 cuts query, key and value out of one product, whose gradients are put together
 * again; GPT-NeoX rotates a quarter of each head, where all of it is counted; Mixtral weighs the rows of its experts in fp32.
 */
const known: Readonly<Record<string, readonly [number, number]>> = {
  phi3: [0, -0.146],
  gpt_neox: [0.33, -0.025],
  mixtral: [-0.122, -0.103],
};

describe('what layers of Transformers move, as PyTorch dispatches them (scripts/oracle/traffic.py)', () => {
  it.each(rows.map((row) => [row.config.model_type, row.run['weights_dtype'] ?? 'fp32', row] as const))(
    '%s over %s weights',
    (_type, _dtype, row) => {
      const { bytes, kernels } = counted(row);
      const [forward, backward] = known[row.config.model_type] ?? [0, 0];
      expect(Math.abs((bytes[0] ?? 0) / row.forward.bytes - 1 - forward)).toBeLessThan(0.02);
      expect(Math.abs((bytes[1] ?? 0) / row.backward.bytes - 1 - backward)).toBeLessThan(0.02);
      const all = row.forward.kernels + row.backward.kernels;
      expect(Math.abs((kernels[0] + kernels[1]) / all - 1)).toBeLessThan(0.25);
    },
  );

  it('what runs in one kernel of its own, as attention does, moves nothing besides', () => {
    const row = { config: { model_type: 'llama' }, run: { framework: 'transformers', weights_dtype: 'bf16' } };
    expect(counted(row, ({ kind }) => kind === 'attention')).toEqual({ bytes: [0, 0], kernels: [0, 0] });
  });
});
