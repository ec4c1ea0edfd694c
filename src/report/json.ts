import { z } from 'zod';
import { conventionSources } from '../facts/conventions.ts';
import type { Attribution, Comparison, Review, Side } from '../gate/review.ts';
import type { Estimate } from '../model/estimate.ts';
import { sequencesAtOnce } from '../model/run.ts';
import { runAsWritten } from '../setup/description.ts';

const amount = z.number();
const range = z.tuple([amount, amount]).nullable();
const ledger = z.record(z.string(), amount);
const problem = z.object({
  severity: z.string(),
  message: z.string(),
  line: z.number().optional(),
  key: z.string().optional(),
  rule: z.string().optional().describe('the rule that a run breaks which cannot start as it reads'),
});

/** Components that stand in every report, at 0 where a model has none: what is absent is said, and needs no guess. */
const alwaysStated = { embedding: 0, attention: 0, feed_forward: 0, norm: 0, output: 0 };

/** One config's report. A quantity that cannot be known is null, with the reason in `problems`. */
const reportSchema = z.object({
  path: z.string(),
  format: z.string().nullable(),
  family: z.string().nullable(),
  exact: z.boolean().nullable(),
  parameters: z
    .object({
      total: amount,
      active: amount,
      active_without_embedding: amount,
      active_without_embeddings: amount,
      mtp: amount,
      towers: amount,
      trainable: amount,
      checkpoint_bytes: amount,
      components: ledger,
      layers: z.array(z.object({ name: z.string(), count: amount, parameters: amount })),
    })
    .nullable(),
  flops: z
    .object({
      convention: z.literal('causal'),
      sequence_length: amount,
      forward_per_token: amount,
      forward_pass: amount,
      training_per_token: amount,
      hardware_per_token: amount,
      training_total: amount,
      tokens: amount,
      components: ledger,
      conventions: ledger,
      convention_sources: z.record(z.string(), z.object({ title: z.string(), url: z.string(), date: z.string() })),
    })
    .nullable(),
  memory: z
    .object({
      allocated_bytes: amount,
      reserved_bytes: amount,
      device_bytes: amount,
      capacity_bytes: amount.nullable(),
      components: ledger,
      parts: ledger,
      moment: z.string(),
      stage: amount,
      band: amount,
      basis: z.string(),
      savings: z.array(z.object({ change: z.string(), saves_bytes: amount })),
    })
    .nullable(),
  throughput: z
    .object({
      mfu: amount.nullable(),
      hfu: amount.nullable(),
      mfu_range: range,
      tokens_per_second_per_gpu: amount.nullable(),
      tokens_per_second_per_gpu_range: range,
      step_seconds: amount.nullable(),
      step_seconds_range: range,
      parts_seconds: ledger,
      basis: z.string(),
      limit: z.string(),
      training: z
        .object({
          seconds: amount,
          seconds_range: range,
          gpu_hours: amount,
          gpu_hours_range: range,
          energy_kwh: amount.nullable(),
          energy_kwh_range: range,
          cost_usd: amount.nullable(),
          cost_usd_range: range,
          price_per_gpu_hour: amount.nullable(),
          price_date: z.string().nullable(),
        })
        .nullable(),
    })
    .nullable(),
  inference: z
    .object({
      cache_bytes_per_token: amount,
      cache_bytes_per_sequence: amount,
      weight_bytes: amount,
      largest_batch: amount.nullable(),
    })
    .nullable(),
  run: z.record(z.string(), z.unknown()),
  origins: z.record(z.string(), z.string()),
  assumptions: z.array(z.object({ field: z.string(), value: z.string(), reason: z.string() })),
  problems: z.array(problem),
});

const sideSchema = reportSchema.partial();

const attributionSchema = z
  .object({
    method: z
      .enum(['exact', 'grouped', 'none'])
      .describe('over all orders of the changes; with those that move least taken together; or not known'),
    reason: z.string().optional().describe('why it is not known'),
    shares: z.array(
      z.object({
        fields: z
          .array(
            z.object({
              origin: z.enum(['architecture', 'run']),
              path: z.string().describe('the name that it has here, whatever file states it'),
              written_as: z.string().optional().describe('its name in that file, where that is another'),
              before: z.string().optional(),
              after: z.string().optional(),
              line: z.number().optional(),
            }),
          )
          .describe('several where they can only be changed together, or are taken together'),
        moved: z.record(z.string(), amount).describe('by metric; over all shares it adds up to the difference'),
      }),
    ),
  })
  .describe('what each change moved, averaged over the orders in which the changes can be made (Shapley values)');

/** The JSON report, version 1. */
export const jsonSchema = z.object({
  version: z.literal(1),
  reports: z.array(reportSchema),
  comparisons: z.array(
    z.object({
      path: z.string(),
      previous_path: z.string().optional(),
      status: z.enum(['added', 'removed', 'changed', 'unchanged', 'unreadable']),
      base: sideSchema.nullable(),
      head: sideSchema.nullable(),
      changes: z.array(
        z.object({ metric: z.string(), before: amount.optional(), after: amount.optional(), ratio: amount.optional() }),
      ),
      fields: z
        .array(
          z.object({
            origin: z.enum(['architecture', 'run']).describe('of the config as written, or of the run as settled'),
            path: z.string(),
            before: z.string().optional(),
            after: z.string().optional(),
            line: z.number().optional(),
          }),
        )
        .describe('what changed; a side that is absent does not have the field'),
      attribution: attributionSchema.optional(),
    }),
  ),
  verdict: z.object({
    outcome: z.enum(['pass', 'warn', 'fail']),
    findings: z.array(
      z.object({
        code: z.string(),
        path: z.string(),
        metric: z.string().optional(),
        severity: z.enum(['fail', 'warn', 'notice']),
        before: amount.optional(),
        after: amount.optional(),
        limit: amount.optional(),
        line: z.number().optional(),
        message: z.string(),
        from: z
          .object({ what: z.enum(['tip', 'merge']), commit: z.string() })
          .optional()
          .describe("the base branch's tip, where its rules or the merge with it are the reason"),
        waiver: z.object({ until: z.string(), reason: z.string(), holds: z.boolean() }).optional(),
      }),
    ),
    override: z
      .object({ label: z.string(), by: z.string().optional() })
      .optional()
      .describe('who let a failure pass, and by which label'),
  }),
  notes: z.array(z.string()).optional().describe('sentences about the run as a whole'),
});

export type JsonReport = z.infer<typeof jsonSchema>;
/** As text. What could mislead a terminal or an eye is written as an escape, which JSON reads as the same. */
export const jsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(/[\u007f-\u009f\u2028\u2029\p{Cf}\p{Cs}]/gu, (letters) =>
    letters.replace(/[\s\S]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );

type OneReport = z.infer<typeof reportSchema>;

/** A review as the JSON that `schema/report.schema.json` describes. */
export function jsonReport(review: Review): JsonReport {
  return {
    version: 1,
    reports: review.comparisons.flatMap(headReport),
    comparisons: review.comparisons.map(comparisonReport),
    ...endOf(review),
  };
}

/** The report's text bit by bit: of a thousand configs it is larger than all that it is made of. */
export function* jsonPieces(review: Review): Generator<string> {
  yield '{"version":1,"reports":[';
  yield* listed(review.comparisons, headReport);
  yield '],"comparisons":[';
  yield* listed(review.comparisons, (comparison) => [comparisonReport(comparison)]);
  yield `],${jsonText(endOf(review)).slice(1)}`;
}

function* listed<Item>(items: readonly Item[], reports: (item: Item) => readonly unknown[]): Generator<string> {
  let comma = '';
  for (const item of items)
    for (const report of reports(item)) {
      yield comma + jsonText(report);
      comma = ',';
    }
}

const headReport = ({ path, head }: Comparison): readonly OneReport[] =>
  head === undefined ? [] : [sideReport(path, head)];

const endOf = ({ verdict, notes }: Review): Pick<JsonReport, 'verdict' | 'notes'> => ({
  verdict: { ...verdict, findings: verdict.findings.map((finding) => ({ ...finding })) },
  ...(notes.length === 0 ? {} : { notes: [...notes] }),
});

function comparisonReport(comparison: Comparison): JsonReport['comparisons'][number] {
  const side = (one: Side | undefined) => (one === undefined ? null : sideReport(comparison.path, one));
  return {
    path: comparison.path,
    ...(comparison.previousPath === undefined ? {} : { previous_path: comparison.previousPath }),
    status: comparison.status,
    base: side(comparison.base),
    head: side(comparison.head),
    changes: comparison.changes.map((change) => ({ ...change })),
    fields: comparison.fields.map((field) => ({ ...field })),
    ...(comparison.attribution === undefined ? {} : { attribution: attributionReport(comparison.attribution) }),
  };
}

function attributionReport(attribution: Attribution): z.infer<typeof attributionSchema> {
  if (attribution.kind === 'none') return { method: 'none', reason: attribution.reason, shares: [] };
  return {
    method: attribution.grouped ? 'grouped' : 'exact',
    shares: attribution.shares.map(({ fields, moved }) => ({
      fields: fields.map(({ writtenAs, ...field }) => ({
        ...field,
        ...(writtenAs === undefined ? {} : { written_as: writtenAs }),
      })),
      moved: { ...moved },
    })),
  };
}

/** One side as JSON. */
export function sideReport(path: string, { reading, estimate }: Side): OneReport {
  const readProblems = reading.problems.map((one) => ({ ...one }));
  const common = {
    path,
    format: reading.format ?? null,
    family: reading.kind === 'read' ? reading.family : null,
  };
  if (estimate === undefined) {
    const nothing = { exact: null, parameters: null, flops: null, memory: null, throughput: null, inference: null };
    return { ...common, ...nothing, run: {}, origins: {}, assumptions: [], problems: readProblems };
  }
  const { parameters, flops, memory, throughput, inference, run } = estimate;
  return {
    ...common,
    exact: parameters.exact,
    parameters: {
      total: parameters.total,
      active: parameters.active,
      active_without_embedding: parameters.activeWithoutEmbedding,
      active_without_embeddings: parameters.activeWithoutEmbeddings,
      mtp: parameters.mtp,
      towers: parameters.towers,
      trainable: parameters.trainable,
      checkpoint_bytes: parameters.checkpoint,
      components: { ...alwaysStated, ...parameters.components.lines },
      layers: parameters.layers.map((layer) => ({ ...layer })),
    },
    flops: {
      convention: 'causal',
      sequence_length: flops.sequenceLength,
      forward_per_token: flops.forward.total,
      forward_pass: flops.forward.total * flops.sequenceLength * sequencesAtOnce(run.run),
      training_per_token: flops.training,
      hardware_per_token: flops.hardware,
      training_total: flops.budget,
      tokens: run.run.tokens,
      components: { ...alwaysStated, ...flops.forward.lines },
      conventions: { ...flops.conventions },
      convention_sources: conventionSources,
    },
    memory: {
      allocated_bytes: memory.allocated,
      reserved_bytes: memory.reserved,
      device_bytes: memory.device,
      capacity_bytes: memory.capacity,
      components: { ...memory.components },
      parts: { loss: 0, ...memory.parts.lines },
      moment: memory.phase,
      stage: memory.stage,
      ...(memory.roles === undefined
        ? {}
        : {
            roles: {
              update_bytes: memory.roles.update,
              rollout_bytes: memory.roles.rollout,
              held_bytes: { ...memory.roles.held },
            },
          }),
      band: memory.band,
      basis: memory.basis,
      savings: memory.savings.map(({ change, saves }) => ({ change, saves_bytes: saves })),
    },
    throughput: {
      mfu: throughput.mfu,
      hfu: throughput.hfu,
      mfu_range: throughput.range === null ? null : [throughput.range[0], throughput.range[1]],
      tokens_per_second_per_gpu: throughput.tokensPerSecondPerGpu,
      tokens_per_second_per_gpu_range: within(throughput.tokensPerSecondPerGpu, throughput.band),
      step_seconds: throughput.stepTime,
      step_seconds_range: within(throughput.stepTime, throughput.band),
      parts_seconds: { ...throughput.parts },
      basis: throughput.basis,
      limit: throughput.limit,
      training:
        throughput.training === null
          ? null
          : {
              seconds: throughput.training.time,
              seconds_range: within(throughput.training.time, throughput.band),
              gpu_hours: throughput.training.gpuHours,
              gpu_hours_range: within(throughput.training.gpuHours, throughput.band),
              energy_kwh: throughput.training.energyKilowattHours,
              energy_kwh_range: within(throughput.training.energyKilowattHours, throughput.band),
              cost_usd: throughput.training.costUsd,
              cost_usd_range: within(throughput.training.costUsd, throughput.band),
              price_per_gpu_hour: throughput.training.pricePerGpuHour,
              price_date: throughput.training.priceDate,
            },
    },
    inference: {
      cache_bytes_per_token: inference.cachePerToken,
      cache_bytes_per_sequence: inference.cachePerSequence,
      weight_bytes: inference.weights,
      largest_batch: inference.largestBatch,
    },
    run: runAsWritten(run.run),
    origins: { ...run.origins },
    assumptions: estimate.assumptions.map((one) => ({ ...one })),
    problems: [...readProblems, ...unknowns(estimate), ...estimate.problems.map((one) => ({ ...one }))],
  };
}

/** The ends of a band whose half width is a log ratio. */
const within = (value: number | null, band: number): [number, number] | null =>
  value === null ? null : [value * Math.exp(-band), value * Math.exp(band)];

/** The reason for each null. */
function unknowns({ throughput, memory }: Estimate): OneReport['problems'] {
  return [
    ...(throughput.mfu === null ? [{ severity: 'notice', message: throughput.limit }] : []),
    ...(memory.capacity === null ? [{ severity: 'notice', message: 'The memory of the accelerator is unknown.' }] : []),
  ];
}
