import { adaptersOf } from '../cost/count/lora.ts';
import { estimate } from '../cost/engine.ts';
import { expand } from '../cost/expand/model.ts';
import { boundOf, type Limit } from '../gate/rules.ts';
import type { Architecture } from '../model/architecture.ts';
import type { Cost } from '../model/estimate.ts';
import type { Operations } from '../model/operation.ts';
import type { Assumption } from '../model/reading.ts';
import type { RunSource, SettledRun, TrainingRun } from '../model/run.ts';
import { settleRun } from '../setup/settle.ts';
import type { Adapters } from '../setup/start/rule.ts';
import { refusal } from '../setup/startable.ts';
import { withStages } from './describe.ts';

/** The run as it is, from which plans start. */
export type Start = {
  readonly kind: 'start';
  readonly architecture: Architecture;
  readonly operations: Operations;
  readonly settled: SettledRun;
  readonly cost: Cost;
  readonly adapters: Adapters | undefined;
  readonly assumptions: readonly Assumption[];
  /** Why the run as it is cannot be started on these GPUs; plans can. */
  readonly impossible?: string;
};

/** What the rules of a start look at. */
export type Refusing = Pick<Start, 'architecture' | 'operations' | 'settled' | 'adapters'>;

export type Starting = Start | { readonly kind: 'unsettled'; readonly message: string };

/** A usual batch of pre-training, in tokens, where nobody states one. */
const usualBatch = 2 ** 22;

/**
 * Settles the run that plans start from. Where its parallelism and the wanted GPUs contradict each other, it is settled with
 * GPUs of its own, and plans use those that are wanted.
 *
 * @param sources strongest first
 */
export function startOf(sources: readonly RunSource[], architecture: Architecture): Starting {
  const direct = settleRun(sources, architecture);
  const gpus = sources.find(({ fields }) => fields.gpus !== undefined)?.fields.gpus;
  const own = direct.kind === 'settled' ? direct : settleRun(sources.map(withoutGpus), architecture);
  const message = direct.problems.find(({ severity }) => severity === 'error')?.message ?? 'The run cannot be settled.';
  if (own.kind === 'unsettled') return { kind: 'unsettled', message };
  const cost = estimate(architecture, own.settled);
  const { run } = cost.run;
  const wanted = gpus ?? run.gpus;
  const stated = own.settled.origins['global_batch_size'] !== 'default';
  const each = Math.ceil(usualBatch / run.sequenceLength / wanted);
  const globalBatchSize = stated ? run.globalBatchSize : each * wanted;
  const others = own.assumptions.filter(({ field }) => stated || field !== 'global_batch_size');
  const batch = {
    field: 'global_batch_size',
    value: String(globalBatchSize),
    reason: 'a usual batch of about 4M tokens',
  };
  return {
    kind: 'start',
    architecture,
    operations: expand(architecture),
    settled: { ...cost.run, run: { ...run, gpus: wanted, globalBatchSize } },
    cost,
    adapters: adaptersOf(cost),
    assumptions: stated ? others : [...others, batch],
    ...(direct.kind === 'settled' ? {} : { impossible: message }),
  };
}

/** Why the framework of a plan refuses it as it is described; undefined where it starts. */
export function refusalOf({ architecture, operations, adapters, settled }: Refusing) {
  return (run: TrainingRun): string | undefined =>
    refusal({ ...settled, run: withStages(run, operations.order.length), architecture, adapters });
}

/** The sternest limit of memory, in bytes; undefined where there is none, or what it is a share of is not known. */
export function memoryBudget(limits: readonly Limit[], cost: Cost): number | undefined {
  const amounts = limits
    .filter(({ metric, bound }) => metric === 'memory' && bound === 'max')
    .map((limit) => boundOf(limit, { ...cost, assumptions: [], problems: [] }, undefined));
  const known = amounts.filter((amount) => amount !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function withoutGpus(source: RunSource): RunSource {
  const { gpus: _, ...fields } = source.fields;
  return { ...source, fields };
}
