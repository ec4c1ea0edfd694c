import { frameworkExecution } from '../../facts/frameworks.ts';
import { bands } from '../../facts/steps.ts';
import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { doubts, inDoubt, seesBothWays } from '../memory/band.ts';
import { type Context, isLow } from './context.ts';

type Kind = 'dense' | 'low' | 'sparse' | 'fineTuning';

/**
 * Half width of the error band (as a log ratio) that nine of ten measured runs of a kind stay within, wider for each fact that the run
 * leaves open, and the words that say what it rests on (docs/mfu.md).
 */
export function errorBand(
  operations: Operations,
  run: TrainingRun,
  context: Context,
): { readonly band: number; readonly basis: string } {
  const kind = kindOf(operations, run);
  const open = leftOpen(run, context, hasExperts(operations));
  let band = bands[kind].width + bands.open * open.length;
  const basis: string[] = [bands[kind].name];
  for (const { width, why } of further(operations, run, context)) {
    band += width;
    basis.push(why);
  }
  if (open.length > 0) basis.push(`not stated: ${open.join(', ')}`);
  if (run.calibration !== undefined) {
    band = Math.min(band, bands[kind].calibrated);
    basis.push(`scaled by ${run.calibration.toFixed(2)} after a measured run`);
  }
  return { band, basis: basis.join('; ') };
}

function kindOf(operations: Operations, run: TrainingRun): Kind {
  if (frameworkExecution[run.framework].eagerFineTuning || run.lora !== undefined) return 'fineTuning';
  if (hasExperts(operations)) return 'sparse';
  return isLow(run) ? 'low' : 'dense';
}

const hasExperts = (operations: Operations): boolean =>
  operations.layers.some(({ operations: list }) => list.some((operation) => operation.kind === 'dispatch'));

/** Facts that move the result and that the run does not state. */
function leftOpen(run: TrainingRun, { chip }: Context, experts: boolean): readonly string[] {
  const { attentionKernelVaries } = frameworkExecution[run.framework];
  const facts: readonly (readonly [open: boolean, name: string])[] = [
    [
      run.parallelism.tensor > 1 && run.overlapTensorParallel === undefined,
      'whether tensor-parallel collectives overlap',
    ],
    [run.gpus > chip.fast.domain && run.interNodeGbpsPerGpu === undefined, 'the network'],
    [attentionKernelVaries && run.flashAttention && (run.attentionKernel ?? 'sdpa') === 'sdpa', 'the attention kernel'],
    [experts && run.cudaGraphs === undefined, 'CUDA graphs'],
  ];
  return facts.filter(([open]) => open).map(([, name]) => name);
}

/** What makes this run unlike those that were measured. */
function* further(
  operations: Operations,
  run: TrainingRun,
  { kernels, chip }: Context,
): Generator<{ readonly width: number; readonly why: string }> {
  if (kernels.confidence === 'derived')
    yield { width: bands.derived, why: `kernel constants of ${chip.name} are derived, not measured` };
  if (run.precision === 'fp8' && run.fp8Recipe !== undefined && run.fp8Recipe !== 'tensorwise')
    yield { width: bands.recipe, why: `fp8 scaled ${run.fp8Recipe} is timed as tensorwise` };
  const rings = run.parallelism.context > 1 && frameworkExecution[run.framework].ringOfPyTorch;
  if (rings && run.sequenceLength >= bands.ring.tokens)
    yield { width: bands.ring.width, why: 'ring attention over long sequences' };
  if (operations.approximate !== undefined)
    yield { width: Math.log1p(inDoubt(operations.approximate)), why: doubts(operations.approximate) };
  if (operations.layers.some(({ operations: list }) => list.some(seesBothWays)))
    yield { width: bands.derived, why: 'no measured run has attention that sees both ways' };
}
