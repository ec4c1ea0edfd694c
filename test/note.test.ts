import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { countFlops } from '../src/cost/flops.ts';
import { expand } from '../src/cost/operations.ts';
import { countParameters } from '../src/cost/parameters.ts';
import { measuredMfu } from '../src/cost/time.ts';
import type { Architecture } from '../src/model/architecture.ts';
import { settleRun } from '../src/model/settle.ts';
import { readConfig } from '../src/read/config.ts';

const read = (): Architecture => {
  const reading = readConfig(readFileSync(new URL('../configs/llama-7b.json', import.meta.url)), 'llama-7b.json');
  if (reading.kind === 'unread') throw new Error('configs/llama-7b.json cannot be read');
  return reading.architecture;
};

const ungated = (architecture: Architecture): Architecture => ({
  ...architecture,
  layers: architecture.layers.map((layer) => ({
    ...layer,
    parts: layer.parts.map((part) => (part.kind === 'dense' ? { ...part, gated: false } : part)),
  })),
});

const total = (architecture: Architecture) => countParameters(architecture, expand(architecture)).total;

describe("the note's figures (docs/note.md)", () => {
  it('LLaMA-7B without its gate matrix is the note’s 5,295,575,040', () => {
    expect(total(ungated(read()))).toBe(5_295_575_040);
  });

  it('LLaMA-7B has 6,738,415,616', () => {
    expect(total(read())).toBe(6_738_415_616);
  });

  it('45,000 tokens/s on 8 A100 are 74.4 % of their peak for the real model', () => {
    const settling = settleRun(
      [{ origin: 'run', fields: { accelerator: 'a100-sxm-80gb', gpus: 8, sequenceLength: 2048 } }],
      read(),
    );
    if (settling.kind === 'unsettled') throw new Error('unsettled');
    const { run } = settling.settled;
    const flops = countFlops(expand(read()), run);
    expect(flops.training / 1e9).toBeCloseTo(41.25, 2);
    expect(measuredMfu(flops, run, 45_000).mfu).toBeCloseTo(0.744, 3);
  });
});
