import { z } from 'zod';
import { evidences } from '../facts/evidence.ts';
import { findingCodes } from '../gate/review.ts';
import { lazily } from '../remembering.ts';

/** Built when a report is read, which no report that is written needs. */
const schemas = lazily(() => {
  const amount = z.number();
  const range = z.tuple([amount, amount]).nullable();
  const ledger = z.record(z.string(), amount);
  const problem = z.object({
    severity: z.string(),
    message: z.string(),
    line: z.number().exactOptional(),
    key: z.string().exactOptional(),
    rule: z.string().exactOptional().describe('the rule that a run breaks which cannot start as it reads'),
  });

  /** One config's report. A quantity that cannot be known is null, with the reason in `problems`. */
  const reportSchema = z.object({
    path: z.string(),
    format: z.string().nullable(),
    family: z.string().nullable(),
    exact: z.boolean().nullable(),
    basis: z
      .enum(evidences)
      .nullable()
      .describe(
        "what stands behind the count of parameters: its official code or its authors', built and counted; a published model's count; a rule, the row of its family or of another type; or the keys of the config alone",
      ),
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
        routing: z
          .object({ experts: amount, active: amount })
          .nullable()
          .describe('experts of a layer, and how many of them a token uses; null without experts'),
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
        layers: z
          .array(
            z.object({
              name: z.string(),
              count: amount,
              attention: amount,
              feed_forward: amount,
              router: amount,
              other: amount,
            }),
          )
          .describe('forward FLOPs per token of one layer of each kind'),
        by_length: z
          .array(z.object({ sequence_length: amount, forward_per_token: amount, attention_scores_per_token: amount }))
          .describe('how the forward FLOPs per token grow with the sequence'),
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
      reason: z.string().exactOptional().describe('why it is not known'),
      shares: z.array(
        z.object({
          fields: z
            .array(
              z.object({
                origin: z.enum(['architecture', 'run']),
                path: z.string().describe('the name that it has here, whatever file states it'),
                written_as: z.string().exactOptional().describe('its name in that file, where that is another'),
                before: z.string().exactOptional(),
                after: z.string().exactOptional(),
                line: z.number().exactOptional(),
              }),
            )
            .describe('several where they can only be changed together, or are taken together'),
          moved: z.record(z.string(), amount).describe('by metric; over all shares it adds up to the difference'),
        }),
      ),
    })
    .describe('what each change moved, averaged over the orders in which the changes can be made (Shapley values)');

  const adviceSchema = z
    .object({
      kind: z.enum(['fits', 'faster']).describe('the nearest run that fits the memory budget, or a faster one'),
      changes: z
        .array(z.object({ field: z.string(), value: z.string() }))
        .describe('fields of the run, with new values'),
      memory_bytes: amount,
      memory_band: amount,
      mfu: amount.nullable(),
      speed: amount.describe('tokens per second over those of the run that was judged'),
      never_measured: z
        .array(z.string())
        .describe('of the changed fields, those with whose new values no speed was ever measured'),
    })
    .describe('a run near to the one of the head');

  const commit = z
    .object({ sha: z.string(), label: z.string() })
    .describe('what was compared; the head of a working tree has no identity of its own');

  /** The JSON report, version 1. */
  const json = z.object({
    version: z.literal(1),
    tool: z.string().exactOptional().describe('who computed it, with the version: numbers may move with it'),
    base: commit.exactOptional(),
    head: commit.exactOptional(),
    reports: z.array(reportSchema),
    comparisons: z.array(
      z.object({
        path: z.string(),
        previous_path: z.string().exactOptional(),
        status: z.enum(['added', 'removed', 'changed', 'unchanged', 'unreadable']),
        base: sideSchema.nullable(),
        head: sideSchema.nullable(),
        changes: z
          .array(
            z.object({
              origin: z.enum(['architecture', 'run']).describe('of the config as written, or of the run as settled'),
              path: z.string(),
              before: z.string().exactOptional(),
              after: z.string().exactOptional(),
              line: z.number().exactOptional(),
              moved: z
                .record(z.string(), amount)
                .exactOptional()
                .describe('by metric, where it is known of this field alone (attribution)'),
            }),
          )
          .describe('fields that changed; a side that is absent does not have the field'),
        metrics: z
          .array(
            z.object({
              metric: z.string(),
              before: amount.exactOptional(),
              after: amount.exactOptional(),
              ratio: amount.exactOptional(),
            }),
          )
          .describe('what each metric was and is'),
        limits: z
          .array(
            z.object({
              metric: z.string(),
              bound: z.enum(['max', 'min']),
              severity: z.enum(['fail', 'warn']).describe('what the verdict is beyond it'),
              amount: amount.describe("in the metric's own unit"),
            }),
          )
          .exactOptional()
          .describe('what the metrics of the head may be at most or at least'),
        attribution: attributionSchema.exactOptional(),
        advice: adviceSchema.exactOptional(),
      }),
    ),
    verdict: z.object({
      outcome: z.enum(['pass', 'warn', 'fail']),
      findings: z.array(
        z.object({
          code: z.enum(findingCodes),
          path: z.string(),
          metric: z.string().exactOptional(),
          severity: z.enum(['fail', 'warn', 'notice']),
          before: amount.exactOptional(),
          after: amount.exactOptional(),
          limit: amount.exactOptional(),
          line: z.number().exactOptional(),
          message: z.string(),
          from: z
            .object({ what: z.enum(['tip', 'merge']), commit: z.string() })
            .exactOptional()
            .describe("the base branch's tip, where its rules or the merge with it are the reason"),
          waiver: z.object({ until: z.string(), reason: z.string(), holds: z.boolean() }).exactOptional(),
        }),
      ),
      override: z
        .object({ label: z.string(), by: z.string().exactOptional() })
        .exactOptional()
        .describe('who let a failure pass, and by which label'),
    }),
    notes: z.array(z.string()).exactOptional().describe('sentences about the run as a whole'),
  });

  return { json, report: reportSchema, attribution: attributionSchema, advice: adviceSchema };
});

/** The JSON report, version 1. */
export const jsonSchema = () => schemas().json;

type Schemas = ReturnType<typeof schemas>;
export type JsonReport = z.infer<Schemas['json']>;
export type OneReport = z.infer<Schemas['report']>;
export type AdviceReport = z.infer<Schemas['advice']>;
export type AttributionReport = z.infer<Schemas['attribution']>;
