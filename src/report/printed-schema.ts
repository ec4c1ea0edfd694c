import { z } from 'zod';

// What commands print besides reports. Nothing at run time needs these schemas, so that no start waits for them.

const amount = z.number();
const assumptions = z.array(z.object({ field: z.string(), value: z.string(), reason: z.string() }));
const run = z.record(z.string(), z.unknown()).describe('in the words of a run description');

/** `mfu --format json`. */
export const mfuSchema = z.object({
  version: z.literal(1),
  path: z.string(),
  tokens_per_second: amount.describe('as measured, of all GPUs together'),
  training_flops_per_token: amount,
  peak_flops_per_second: amount.describe('of all GPUs together, dense, in the precision of the run'),
  mfu: amount,
  hfu: amount,
  mfu_by_convention: z.record(z.string(), amount),
  projected_mfu: amount.nullable(),
  run: z.object({
    accelerator: z.string(),
    gpus: amount,
    sequence_length: amount.describe('tokens'),
    precision: z.string(),
  }),
  assumptions,
});

/** `plan --format json`. */
export const planSchema = z.object({
  version: z.literal(1),
  path: z.string(),
  budget_bytes: amount.describe('what memory per GPU may be, its margin of error included'),
  search: z.object({
    candidates: amount.describe('runs that divide and were looked at'),
    fitting: amount,
    too_large_by_states: amount,
    refused_by_framework: amount,
    complete: z.boolean().describe('whether the whole space was looked at'),
    stopped_by: z.string().nullable(),
    seconds: amount,
  }),
  run_as_it_is: run,
  impossible_as_it_is: z.string().nullable().describe('why the run as it is cannot be started'),
  assumptions,
  smallest: z.object({ memory_bytes: amount, run }).nullable(),
  plans: z
    .array(
      z.object({
        names: z.array(z.enum(['fastest', 'simplest', 'nearest'])),
        memory_bytes: amount,
        memory_band: amount,
        mfu: amount.nullable(),
        tokens_per_second_per_gpu: amount,
        limit: z.string(),
        changes: z.array(z.string()).describe('fields of the run that are otherwise than it is'),
        never_measured: z
          .array(z.string())
          .describe('fields of the run with values with which the speed of no run of its framework was ever measured'),
        run,
        description: z.string().describe('a run description, YAML'),
        own_format: z
          .object({
            format: z.string(),
            text: z.string().describe('the run under the keys of the job'),
            leave_out: z.array(z.string()).describe('flags that the job must not have'),
            no_key_for: z.array(z.string()).describe('fields for which the format has no key'),
          })
          .nullable()
          .describe('null where the format of the job is not written'),
      }),
    )
    .describe('the fastest first'),
});

const accelerator = z.object({
  id: z.string(),
  name: z.string(),
  generation: z.string(),
  densePeak: z.record(z.string(), amount).describe('FLOP/s by precision, without sparsity'),
  memory: amount.describe('bytes, as soldered'),
  usable: amount.describe('bytes, as the framework sees it'),
  bandwidth: amount.describe('bytes per second'),
  multiprocessors: amount.nullable(),
  fast: z.object({ domain: amount, perDirection: amount }).describe('the link within a node: GPUs, bytes per second'),
  network: amount.nullable().describe('bytes per second and GPU, one direction'),
  power: amount.nullable().describe('watts'),
  price: amount.nullable().describe('US dollars for one GPU and hour, indicative'),
  datasheet: z.string().nullable(),
  sources: z.array(z.string()),
  uncertain: z.array(z.string()).describe('columns that only one source says, or none settles'),
  kernels: z.string().describe('whether the rates of its kernels were measured'),
});

/** `list ... --format json`. */
export const listSchema = z.union([
  z.array(accelerator).describe('accelerators'),
  z.array(z.string()).describe('families'),
  z.array(z.object({ id: z.string(), title: z.string() })).describe('formats'),
  z.array(z.object({ name: z.string(), parameters: amount, active: amount, source: z.string() })).describe('models'),
]);

export type MfuReport = z.infer<typeof mfuSchema>;
export type PlanReport = z.infer<typeof planSchema>;
