import { describe, expect, it } from 'vitest';
import { largestLoss, remedyFor } from '../../src/cost/time/bottleneck.ts';
import { partNames } from '../../src/cost/time/parts.ts';
import type { TimePart } from '../../src/model/estimate.ts';
import { runAsText } from '../../src/setup/description.ts';
import { costOf, small } from './estimates.ts';

/** What one line could do about a part of the step, in words and as the run that it makes. */
function remedyOf(part: TimePart, fields: object) {
  const { run, machine } = costOf(small, {
    gpus: 8,
    accelerator: 'h100-sxm-80gb',
    global_batch_size: 64,
    ...fields,
  }).run;
  if (machine === undefined) throw new Error('not in the table');
  const remedy = remedyFor(part, run, machine);
  if (remedy === undefined) return undefined;
  const [before, after] = [runAsText(run), runAsText(remedy.run)];
  const changed = [...after].filter(([field, value]) => before.get(field) !== value);
  expect(changed.map(([field, value]) => `${field}: ${value}`)).toEqual([remedy.words]);
  return remedy.words;
}

const a100 = { accelerator: 'a100-sxm-80gb' };
const fsdp = { framework: 'fsdp' };
const trainer = { framework: 'transformers' };
const staged = { parallelism: { pipeline: 2, virtual_pipeline: 2 } };

describe('the line of a run that would shrink the largest part of its step', () => {
  it.each<[TimePart, object, string | undefined]>([
    ['matrix_products', {}, 'precision: fp8'],
    ['matrix_products', { precision: 'fp8' }, undefined],
    ['matrix_products', a100, undefined],
    ['attention', { flash_attention: false }, 'flash_attention: true'],
    ['attention', fsdp, 'attention_kernel: cudnn'],
    ['attention', { ...fsdp, attention_kernel: 'cudnn' }, undefined],
    ['attention', { ...fsdp, ...a100 }, undefined],
    ['attention', {}, undefined],
    ['memory_bound', { ...fsdp, compile: false }, 'compile: true'],
    ['memory_bound', { ...fsdp, compile: true }, undefined],
    ['memory_bound', trainer, 'fused_cross_entropy: true'],
    ['memory_bound', { flash_attention: false }, undefined],
    ['loss', { fused_cross_entropy: false }, 'fused_cross_entropy: true'],
    ['loss', { fused_cross_entropy: true }, undefined],
    ['recompute', { recompute: 'full' }, 'recompute: none'],
    ['exposed_tensor', { parallelism: { tensor: 2 } }, 'overlap_tensor_parallel: true'],
    ['exposed_tensor', { parallelism: { tensor: 2 }, overlap_tensor_parallel: true }, undefined],
    ['exposed_context', { parallelism: { context: 2 } }, undefined],
    ['exposed_data', { sharding: 'none' }, 'global_batch_size: 128'],
    ['exposed_data', { ...fsdp, sharding: 'full' }, undefined],
    ['bubble', { parallelism: { pipeline: 2 } }, 'parallelism.virtual_pipeline: 2'],
    ['bubble', staged, 'global_batch_size: 128'],
    ['bubble', { parallelism: { pipeline: 2 }, pipeline_schedule: 'gpipe' }, 'global_batch_size: 128'],
    ['optimizer', { sharding: 'none' }, 'sharding: optimizer'],
    ['optimizer', { sharding: 'none', gpus: 1 }, 'global_batch_size: 128'],
    ['optimizer', { sharding: 'optimizer' }, 'global_batch_size: 128'],
    ['host', {}, 'cuda_graphs: true'],
    ['host', { cuda_graphs: true }, undefined],
    ['host', fsdp, undefined],
  ])('%s of %j: %s', (part, fields, line) => {
    expect(remedyOf(part, fields)).toBe(line);
  });
});

it('the largest part that is not products is named where it takes 5 % of the step', () => {
  const parts = (host: number, loss: number) => ({ ...costOf(small).throughput.parts, ...none, host, loss });
  const none = Object.fromEntries(partNames.map((name) => [name, 0]));
  expect(largestLoss(parts(0.06, 0.02), 1)).toBe('host');
  expect(largestLoss(parts(0.06, 0.07), 1)).toBe('loss');
  expect(largestLoss(parts(0.04, 0.02), 1)).toBe('matrix_products');
  expect(largestLoss({ ...parts(0.06, 0), matrix_products: 0.9 }, 1)).toBe('host');
});
