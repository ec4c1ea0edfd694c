import { type Accelerator, otherVendors } from '../../facts/accelerators.ts';
import { frameworkExecution } from '../../facts/frameworks.ts';
import { type AttentionFacts, fusedAttention, olderAttention } from '../../facts/kernels.ts';
import type { AttentionCore } from '../../model/operation.ts';
import { sequencesAtOnce, type TrainingRun } from '../../model/run.ts';
import { keysWritten, meanContext, placeFlops } from '../count/forward.ts';
import { broadcasts, writesScores } from '../memory/activations.ts';
import type { Context } from './context.ts';
import type { Passes } from './parts.ts';

type Kernel = Exclude<TrainingRun['attentionKernel'], 'sdpa' | undefined> | 'efficient';

/** Seconds of an attention core on one GPU, by the vintage of its kernel. */
export function attentionSeconds(core: AttentionCore, run: TrainingRun, context: Context): Passes {
  const kernel = attentionKernel(core, run, context.chip);
  return kernel === 'unfused' ? unfusedSeconds(core, run, context) : fusedSeconds(core, kernel, run, context);
}

/** Batched products, and scores that are written out and read back. */
function unfusedSeconds(core: AttentionCore, run: TrainingRun, context: Context): Passes {
  const { power, step, peak16, peak32, bandwidth } = context;
  const { tensor: tp, context: cp } = run.parallelism;
  const { share } = olderAttention.unfused;
  const { forward, backward } = scoreBytes(core, context);
  const S = run.sequenceLength;
  const queries = (sequencesAtOnce(run) * S) / cp;
  const scores = queries * (core.heads / tp) * keysWritten(core, S);
  const peak = run.precision === 'fp32' || broadcasts(core, run) ? peak32 : peak16;
  const work = (2 * (core.queryKeyDim + core.valueDim) * scores + (queries * placeFlops(core)) / tp) / (share * peak);
  const scale = power * step.attention;
  return [scale * (work + (forward * scores) / bandwidth), scale * (2 * work + (backward * scores) / bandwidth)];
}

/** Bytes of a score that is written out: by kernels of Megatron-LM that fuse scale, mask and softmax, or step by step. */
function scoreBytes({ softcapped }: AttentionCore, { profile }: Context) {
  if (!profile.writesOut) return olderAttention.unfused;
  const { forward, backward, softcap } = olderAttention.writtenOut;
  const capped = softcapped === true ? softcap : 0;
  return { forward: forward + capped, backward: backward + capped };
}

/** One kernel at the rate e S / (S + s0) of the peak, for S keys within reach. */
function fusedSeconds(core: AttentionCore, kernel: Kernel, run: TrainingRun, context: Context): Passes {
  const { chip, kernels, peak16: peak } = context;
  const { tensor: tp, context: cp } = run.parallelism;
  const { start, backwardFlops, wideFrom } = fusedAttention;
  const S = run.sequenceLength;
  const older = olderFacts(kernel, chip);
  const facts = older ?? kernels.attention;
  const modern = older !== undefined && chip.generation !== 'ampere';
  const best = core.queryKeyDim >= wideFrom ? facts.wide : facts.narrow;
  const share = best * (modern ? Math.min(1, olderAttention.hopperPeak / peak) : 1);
  const widest = core.queryKeyDim > olderAttention.widest && older !== undefined ? olderAttention.widestShare : 1;
  const masked = kernel === 'efficient' && isMasked(core, run);
  const reach = masked ? S : Math.min(S, spanTokens(core) ?? S);
  const single = kernel === 'efficient' && run.precision === 'fp32' ? olderAttention.efficientSingle : 1;
  const rate = share * (reach / (reach + facts.ramp)) * widest * single * peak;
  const seen = masked ? S : meanContext(core.span, core.causal, S);
  const width = core.queryKeyDim + core.valueDim;
  const work = 2 * sequencesAtOnce(run) * (core.heads / tp) * width * ((S * seen) / cp);
  const scale = context.power * context.step.attention;
  return [
    scale * (work / rate + start.forward),
    scale * ((backwardFlops * work) / (rate * facts.backward) + start.backward),
  ];
}

const spanTokens = ({ span }: AttentionCore): number | undefined =>
  span.kind === 'window' || span.kind === 'chunk' ? span.tokens : undefined;

/** The kernel that the run names; else the chip's best (cuDNN's), except on Hopper, where frameworks differ, and where that refuses. */
function attentionKernel(core: AttentionCore, run: TrainingRun, { generation }: Accelerator): Kernel {
  if (writesScores(core, run)) return 'unfused';
  if (run.attentionKernel !== undefined && run.attentionKernel !== 'sdpa') return run.attentionKernel;
  if ((isMasked(core, run) || isSingle(run)) && !otherVendors.has(generation)) return 'efficient';
  const usual = generation === 'hopper' ? frameworkExecution[run.framework].attentionOnHopper : 'cudnn';
  return usual === 'cudnn' && refusesDropout(core, run) ? 'flash2' : usual;
}

/** Windows that the sequence fills are masks, which no flash kernel takes. */
function isMasked(core: AttentionCore, run: TrainingRun): boolean {
  const window = spanTokens(core);
  return (
    frameworkExecution[run.framework].masksWindows &&
    run.attentionKernel === 'sdpa' &&
    window !== undefined &&
    run.sequenceLength >= window
  );
}

/** No flash kernel of PyTorch's takes fp32. */
const isSingle = ({ precision, framework }: TrainingRun): boolean =>
  precision === 'fp32' && frameworkExecution[framework].attentionByPyTorch;

/** PyTorch asks cuDNN for shares of dropout that it can draw, and FlashAttention-2 for others. */
const refusesDropout = ({ dropout = 0 }: AttentionCore, run: TrainingRun): boolean =>
  frameworkExecution[run.framework].attentionByPyTorch &&
  run.dropout === true &&
  !Number.isInteger(dropout * fusedAttention.dropoutSteps);

/** The facts of a kernel that is not the chip's best; undefined for the best. */
function olderFacts(kernel: Kernel, { generation }: Accelerator): AttentionFacts | undefined {
  const old = generation === 'ampere' || generation === 'volta' || generation === 'turing';
  if (kernel === 'flash1') return old ? olderAttention.flash1.ampere : olderAttention.flash1.hopper;
  const modern = generation === 'hopper' || generation === 'blackwell';
  if (kernel === 'efficient') return modern ? olderAttention.efficient.hopper : olderAttention.efficient.ampere;
  return kernel === 'flash2' && modern ? olderAttention.flash2.hopper : undefined;
}
