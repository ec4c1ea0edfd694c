import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { countFlops } from '../src/cost/count/flops.ts';
import { countParameters } from '../src/cost/count/parameters.ts';
import { expand } from '../src/cost/expand/model.ts';
import { measuredMfu } from '../src/cost/time/step.ts';
import type { Architecture } from '../src/model/architecture.ts';
import { readConfig } from '../src/read/config.ts';
import { settleRun } from '../src/setup/settle.ts';

const page = readFileSync(new URL('../docs/note.md', import.meta.url), 'utf8');

const read = (name: string): Architecture => {
  const reading = readConfig(readFileSync(new URL(`../configs/${name}.json`, import.meta.url)), `${name}.json`);
  if (reading.kind === 'unread') throw new Error(`configs/${name}.json cannot be read`);
  return reading.architecture;
};

const ungated = (architecture: Architecture): Architecture => ({
  ...architecture,
  layers: architecture.layers.map((layer) => ({
    ...layer,
    parts: layer.parts.map((part) => (part.kind === 'dense' ? { ...part, gated: false } : part)),
  })),
});

const parametersOf = (architecture: Architecture) => countParameters(architecture, expand(architecture));

const costOf = (name: string, sequenceLength: number) => {
  const fields = { accelerator: 'a100-sxm-80gb', gpus: 8, sequenceLength, tokens: 1e12 };
  const settling = settleRun([{ origin: 'run', fields: { framework: 'megatron', ...fields } }], read(name));
  if (settling.kind === 'unsettled') throw new Error(settling.problems[0]?.message);
  const { settled } = settling;
  const flops = countFlops(expand(read(name)), settled.run);
  return { settled, flops };
};

/** A figure as the page prints it; the page must have it. */
const printed = (figure: string) => expect(page).toContain(figure);
const fixed = (value: number, digits: number) => value.toFixed(digits);
const grouped = (value: number) => Math.round(value).toLocaleString('en-US');

describe("the note's figures (docs/note.md)", () => {
  it('LLaMA-7B without its gate matrix is the note’s 5,295,575,040', () => {
    expect(parametersOf(ungated(read('llama-7b'))).total).toBe(5_295_575_040);
  });

  it('LLaMA-7B has 6,738,415,616, and the gate matrix is the difference', () => {
    expect(parametersOf(read('llama-7b')).total).toBe(6_738_415_616);
    expect(6_738_415_616 - 5_295_575_040).toBe(32 * 4096 * 11008);
    printed('6,738,415,616');
  });

  it('a pass of LLaMA-7B', () => {
    const { flops } = costOf('llama-7b', 2048);
    printed(`${fixed((flops.forward.total * 2048) / 1e12, 2)} TFLOPs`);
    printed(`${fixed(flops.forward.total / 1e9, 2)} GFLOPs`);
    printed(`(${fixed(flops.conventions.full / 3e9, 2)} with full attention)`);
    printed(`${fixed(flops.training / 1e9, 2)} GFLOPs`);
    expect(flops.training / flops.forward.total).toBeCloseTo(3, 10);
    printed(`${grouped(flops.budget / 1e18)} EFLOPs`);
  });

  it('a layer of LLaMA-7B', () => {
    const [layer] = costOf('llama-7b', 2048).flops.layers;
    const { attention = 0, feedForward = 0 } = layer ?? {};
    printed(`${fixed((100 * attention) / (attention + feedForward), 1)} % and`);
    printed(`${fixed((100 * feedForward) / (attention + feedForward), 1)} % at 2,048 tokens`);
    printed(`${fixed(attention / feedForward, 2)} : 1 here`);
  });

  it('four times the sequence is sixteen times the attention scores', () => {
    const { growth } = costOf('llama-7b', 2048).flops;
    const at = (length: number) => growth.find(({ sequenceLength }) => sequenceLength === length)?.attention ?? 0;
    expect((at(8192) * 8192) / (at(2048) * 2048)).toBeCloseTo(16, 1);
  });

  it('DeepSeek-V3', () => {
    const counted = parametersOf(read('deepseek-v3'));
    printed(grouped(counted.total));
    printed(grouped(counted.mtp));
    printed(`${fixed(counted.active / 1e9, 2)}B with both embeddings`);
    printed(`${fixed(counted.activeWithoutEmbedding / 1e9, 2)}B without the input table`);
    printed(`${fixed((100 * counted.active) / counted.total, 1)} %`);
    const { flops } = costOf('deepseek-v3', 4096);
    printed(`${fixed((flops.forward.total * 4096) / 1e12, 1)} TFLOPs`);
    printed(`${fixed(flops.forward.total / 1e9, 2)} GFLOPs`);
    const layer = flops.layers.find(({ router }) => router > 0);
    const { attention = 0, feedForward = 0, router = 0 } = layer ?? {};
    printed(`${fixed((100 * attention) / (attention + feedForward + router), 1)} % attention`);
    printed(`${fixed(attention / feedForward, 2)} : 1 at 4,096`);
  });

  it('45,000 tokens/s on 8 A100 are 74.4 % of their peak for the real model', () => {
    const { flops, settled } = costOf('llama-7b', 2048);
    const { mfu, peak } = measuredMfu(flops, settled, 45_000);
    expect(peak).toBe(8 * 312e12);
    expect(mfu).toBeCloseTo(0.744, 3);
    const share = (amount: number) => `${fixed((100 * amount * 45_000) / (peak ?? 0), 1)} %`;
    printed(`**${share(flops.training)}** (causal`);
    printed(`${share(flops.conventions.full)} with full attention`);
    printed(`${share(flops.conventions.palm)} in PaLM's convention`);
    printed(`${share(flops.forward.total)}`);
  });
});
