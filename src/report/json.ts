import { conventionSources } from '../facts/conventions.ts';
import {
  type Advice,
  type Attribution,
  type ChangedField,
  type Comparison,
  type Review,
  type Side,
  states,
} from '../gate/review.ts';
import type { Estimate } from '../model/estimate.ts';
import { sequencesAtOnce } from '../model/run.ts';
import { runAsWritten } from '../setup/description.ts';
import type { AdviceReport, AttributionReport, JsonReport, OneReport } from './json-schema.ts';

/** Components that stand in every report, at 0 where a model has none: what is absent is said, and needs no guess. */
const alwaysStated = { embedding: 0, attention: 0, feed_forward: 0, norm: 0, output: 0 };

/** As text. What could mislead a terminal or an eye is written as an escape, which JSON reads as the same. */
export const jsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(/[\u007f-\u009f\u2028\u2029\p{Cf}\p{Cs}]/gu, (letters) =>
    letters.replace(/[\s\S]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );

/** A review as the JSON that `schema/report.schema.json` describes. */
export function jsonReport(review: Review): JsonReport {
  return {
    ...startOf(review),
    reports: review.comparisons.flatMap(headReport),
    comparisons: review.comparisons.map(comparisonReport),
    ...endOf(review),
  };
}

/** The report's text bit by bit: of a thousand configs it is larger than all that it is made of. */
export function* jsonPieces(review: Review): Generator<string> {
  yield `${jsonText(startOf(review)).slice(0, -1)},"reports":[`;
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

const startOf = ({ version, base, head }: Review): Pick<JsonReport, 'version' | 'tool' | 'base' | 'head'> => ({
  version: 1,
  tool: `model-cost-gate ${version}`,
  ...(base === undefined ? {} : { base: { ...base } }),
  ...(head === undefined ? {} : { head: { ...head } }),
});

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
    changes: comparison.fields.map((field) => ({ ...field, ...movedBy(field, comparison.attribution) })),
    metrics: comparison.changes.map((change) => ({ ...change })),
    ...(comparison.limits === undefined ? {} : { limits: comparison.limits.map((limit) => ({ ...limit })) }),
    ...(comparison.attribution === undefined ? {} : { attribution: attributionReport(comparison.attribution) }),
    ...(comparison.advice === undefined ? {} : { advice: adviceReport(comparison.advice) }),
  };
}

/** What one field moved, where the attribution knows it of this field alone. */
function movedBy(field: ChangedField, attribution: Attribution | undefined): { moved?: Record<string, number> } {
  const shares = attribution?.kind === 'shares' ? attribution.shares : [];
  const share = shares.find(({ fields: [first, ...rest] }) => first && rest.length === 0 && states(field, first));
  return share === undefined ? {} : { moved: { ...share.moved } };
}

const adviceReport = ({ kind, changes, memory, band, mfu, speed, unmeasured }: Advice): AdviceReport => ({
  kind,
  changes: changes.map((change) => ({ ...change })),
  memory_bytes: memory,
  memory_band: band,
  mfu,
  speed,
  never_measured: [...unmeasured],
});

function attributionReport(attribution: Attribution): AttributionReport {
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
  if (estimate === undefined)
    return { ...common, ...nothing, run: {}, origins: {}, assumptions: [], problems: readProblems };
  return {
    ...common,
    exact: estimate.parameters.exact,
    basis: estimate.parameters.restsOn,
    parameters: parametersReport(estimate),
    flops: flopsReport(estimate),
    memory: memoryReport(estimate),
    throughput: throughputReport(estimate),
    inference: inferenceReport(estimate),
    run: runAsWritten(estimate.run.run),
    origins: { ...estimate.run.origins },
    assumptions: estimate.assumptions.map((one) => ({ ...one })),
    problems: [...readProblems, ...unknowns(estimate), ...estimate.problems.map((one) => ({ ...one }))],
  };
}

/** What a side that could not be read has. */
const nothing = {
  exact: null,
  basis: null,
  parameters: null,
  flops: null,
  memory: null,
  throughput: null,
  inference: null,
};

const parametersReport = ({ parameters, routing }: Estimate): OneReport['parameters'] => ({
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
  routing: routing === undefined ? null : { ...routing },
});

const flopsReport = ({ flops, run }: Estimate): OneReport['flops'] => ({
  convention: 'causal',
  sequence_length: flops.sequenceLength,
  forward_per_token: flops.forward.total,
  forward_pass: flops.forward.total * flops.sequenceLength * sequencesAtOnce(run.run),
  training_per_token: flops.training,
  hardware_per_token: flops.hardware,
  training_total: flops.budget,
  tokens: run.run.tokens,
  components: { ...alwaysStated, ...flops.forward.lines },
  layers: flops.layers.map(({ feedForward, ...layer }) => ({ ...layer, feed_forward: feedForward })),
  by_length: flops.growth.map(({ sequenceLength, attention, total }) => ({
    sequence_length: sequenceLength,
    forward_per_token: total,
    attention_scores_per_token: attention,
  })),
  conventions: { ...flops.conventions },
  convention_sources: conventionSources,
});

const memoryReport = ({ memory }: Estimate): OneReport['memory'] => ({
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
});

const throughputReport = ({ throughput }: Estimate): OneReport['throughput'] => ({
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
});

const inferenceReport = ({ inference }: Estimate): OneReport['inference'] => ({
  cache_bytes_per_token: inference.cachePerToken,
  cache_bytes_per_sequence: inference.cachePerSequence,
  weight_bytes: inference.weights,
  largest_batch: inference.largestBatch,
});

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
