import {
  type Accelerator,
  type AcceleratorId,
  acceleratorIds,
  acceleratorsChecked,
  findAccelerator,
} from '../facts/accelerators.ts';
import {
  type AttentionFacts,
  type KernelFacts,
  kernelsOf,
  olderAttention,
  profiles,
  type StepFacts,
  stepFacts,
} from '../facts/kernels.ts';
import { precisions } from '../facts/precisions.ts';
import type { AttentionCore, Linear, Operation, Operations } from '../model/operation.ts';
import type { TrainingRun } from '../model/training.ts';
import { type Seconds, seconds } from '../units.ts';
import type { FlopCount, ThroughputEstimate, TimePart } from './estimate.ts';
import { meanContext } from './flops.ts';
import { held, mainNetwork } from './holdings.ts';
import { collectiveSeconds, gemmSeconds } from './kernels.ts';
import { isFrozen } from './lora.ts';
import { microBatches, stages } from './stages.ts';

/** The constants of the model: the committed ones, or others where a script tries them (`scripts/cross-validate.ts`). */
export type TimeFacts = { readonly step: StepFacts; readonly kernelsOf: typeof kernelsOf };

/** What a training step on this hardware is projected to take, part by part; the parts sum to the step. */
export function projectTime(
  operations: Operations,
  flops: FlopCount,
  run: TrainingRun,
  facts: TimeFacts = { step: stepFacts, kernelsOf },
): ThroughputEstimate {
  const chip = findAccelerator(run.accelerator);
  if (chip === undefined) return unknown(`the accelerator ${run.accelerator} is not in the table`);
  const { peak: dtype } = precisions[run.precision];
  const peak = chip.densePeak[dtype] ?? (dtype === 'fp4' ? chip.densePeak.fp8 : undefined);
  if (peak === undefined) return unknown(`${chip.name} has no ${dtype} matrix units`);
  const context = contextOf(run, chip, peak, facts);
  const parts = stepParts(operations, run, context);
  const calibration = run.calibration ?? 1;
  for (const part of partNames) parts[part] /= calibration;
  const step = sum(parts);
  const tokens = run.globalBatchSize * run.sequenceLength;
  const perGpu = tokens / step / run.gpus;
  const mfu = (flops.training * perGpu) / peak;
  const { band, basis } = trust(operations, run, context);
  return {
    mfu,
    hfu: (flops.hardware * perGpu) / peak,
    range: [mfu * Math.exp(-band), Math.min(1, mfu * Math.exp(band))],
    tokensPerSecondPerGpu: perGpu,
    stepTime: seconds(step),
    parts: Object.fromEntries(partNames.map((part) => [part, seconds(parts[part])])) as Record<TimePart, Seconds>,
    band,
    basis,
    limit: limitOf(parts, step, run),
    training: training(run, chip, perGpu),
  };
}

/** Model FLOPs utilization of a measured run: training FLOPs for a token times tokens per second, over the peak of all GPUs. */
export function measuredMfu(
  flops: FlopCount,
  run: TrainingRun,
  tokensPerSecond: number,
): { readonly mfu: number | null; readonly hfu: number | null; readonly peak: number | null } {
  const peak = findAccelerator(run.accelerator)?.densePeak[precisions[run.precision].peak] ?? null;
  if (peak === null) return { mfu: null, hfu: null, peak };
  const all = peak * run.gpus;
  return { mfu: (flops.training * tokensPerSecond) / all, hfu: (flops.hardware * tokensPerSecond) / all, peak: all };
}

// --- the setting --------------------------------------------------------------------------------------------------------

type Profile = (typeof profiles)[keyof typeof profiles];

type Context = {
  readonly step: StepFacts;
  readonly chip: Accelerator;
  readonly kernels: KernelFacts;
  readonly profile: Profile;
  readonly profileName: keyof typeof profiles;
  /** FLOP/s of products, and of those that stay in 16 bits */
  readonly peak: number;
  readonly peak16: number;
  /** how much slower than in a benchmark: sustained load and power cap */
  readonly slowdown: number;
  readonly slowdownLow: number;
  readonly power: number;
  readonly network: number | null;
  readonly bandwidth: number;
  /** tokens of a micro-batch in a tensor-parallel region, and on the residual stream */
  readonly T: number;
  readonly t: number;
};

function contextOf(run: TrainingRun, chip: Accelerator, peak: number, facts: TimeFacts): Context {
  const id = acceleratorIds.find((one) => one === run.accelerator) as AcceleratorId;
  const kernels = facts.kernelsOf(id, chip.generation);
  const profileName = profileOf(run, chip);
  const { tensor, context, sequenceParallel } = run.parallelism;
  const T = (run.microBatchSize * run.sequenceLength) / context;
  const capped =
    run.powerCapWatts !== undefined && chip.power !== null && run.powerCapWatts < chip.power
      ? chip.power / run.powerCapWatts
      : 1;
  const power = 1 + facts.step.power * (capped - 1);
  return {
    step: facts.step,
    chip,
    kernels,
    profile: profiles[profileName],
    profileName,
    peak,
    peak16: chip.densePeak.bf16 ?? chip.densePeak.fp16 ?? peak,
    slowdown: power * kernels.sustained,
    slowdownLow: power * kernels.sustainedLow,
    power,
    network: run.interNodeGbpsPerGpu === undefined ? chip.network : run.interNodeGbpsPerGpu * 125e6,
    bandwidth: chip.bandwidth * kernels.streaming,
    T,
    t: sequenceParallel ? T / tensor : T,
  };
}

/** 8 or 4 bits. */
const isLow = (run: TrainingRun): boolean => !['bf16', 'fp16', 'fp32'].includes(run.precision);

function profileOf(run: TrainingRun, chip: Accelerator): keyof typeof profiles {
  if (chip.generation === 'tpu') return 'xla';
  if (run.framework === 'transformers') return 'transformers';
  if (run.framework === 'megatron') return run.flashAttention ? 'megatron' : 'legacy';
  // PyTorch reaches 8 bits through torch.compile (torchao) or Transformer Engine's modules: fused either way.
  return run.compile || isLow(run) ? 'compiled' : 'eager';
}

// --- one layer ------------------------------------------------------------------------------------------------------------

const partNames: readonly TimePart[] = [
  'matrix_products',
  'attention',
  'memory_bound',
  'loss',
  'recompute',
  'exposed_tensor',
  'exposed_context',
  'exposed_expert',
  'exposed_pipeline',
  'exposed_data',
  'bubble',
  'optimizer',
  'host',
  'jitter',
];

type Parts = Record<TimePart, number>;
const none = (): Parts => Object.fromEntries(partNames.map((part) => [part, 0])) as Parts;
const sum = (parts: Parts) => partNames.reduce((total, part) => total + parts[part], 0);
const add = (into: Parts, from: Parts, times = 1): void => {
  for (const part of partNames) into[part] += times * from[part];
};

/** Launches of a backward pass over those of the forward pass. */
const hostBackward = 1.4;

type LayerTime = { readonly forward: Parts; readonly backward: Parts };

/** Products that one kernel computes: fused where the framework or the model's own code fuses them. */
function products(
  list: readonly Operation[],
  context: Context,
): readonly { readonly first: Linear; readonly columns: number }[] {
  const groups = new Map<string, { first: Linear; columns: number }>();
  for (const operation of list) {
    if (operation.kind !== 'linear') continue;
    const fuses =
      context.profileName === 'megatron' || context.profileName === 'legacy' || operation.storedFused === true;
    const key =
      fuses && operation.fusedWith !== undefined ? `${operation.component} ${operation.fusedWith}` : operation.path;
    const known = groups.get(key);
    if (known) known.columns += operation.columns;
    else groups.set(key, { first: operation, columns: operation.columns });
  }
  return [...groups.values()];
}

function layerTime(list: readonly Operation[], run: TrainingRun, context: Context): LayerTime {
  const { profile, bandwidth: BW, T, t, chip, kernels } = context;
  const { tensor: tp, context: cp } = run.parallelism;
  const forward = none();
  const backward = none();
  for (const { first, columns } of products(list, context)) {
    const [f, b] = productSeconds(first, columns, run, context);
    forward.matrix_products += f;
    backward.matrix_products += b;
  }
  const low = isLow(run);
  const llamaLike = list.some((operation) => operation.kind === 'activation' && operation.gated);
  const eager = context.profileName === 'eager' || context.profileName === 'transformers';
  const traffic = profile.traffic * context.step.traffic * (eager && llamaLike ? context.step.eagerGated : 1);
  let host = 0;
  const graphs = usesGraphs(run);
  for (const operation of list) {
    switch (operation.kind) {
      case 'attention': {
        const [f, b] = attentionSeconds(operation, run, context);
        forward.attention += f;
        backward.attention += b;
        if (cp > 1) {
          const each = 2 * operation.keyValueHeads * (operation.queryKeyDim + operation.valueDim) * T * cp;
          const one = collectiveSeconds(
            chip,
            kernels,
            'gather',
            each / tp,
            cp,
            Math.max(1, Math.floor(chip.fast.domain / tp)),
            context.network,
          );
          forward.exposed_context += Math.max(context.step.contextExposed * one, one - f);
          backward.exposed_context += Math.max(2 * context.step.contextExposed * one, 2 * one - b);
        }
        break;
      }
      case 'norm': {
        const share = operation.input.region === 'tensor' ? T / tp : t;
        forward.memory_bound += (4 * operation.input.elements * share * traffic) / BW;
        backward.memory_bound += (8 * operation.input.elements * share * traffic) / BW;
        break;
      }
      case 'add':
        forward.memory_bound += (6 * operation.output.elements * t * traffic) / BW;
        backward.memory_bound += (4 * operation.output.elements * t * traffic) / BW;
        break;
      case 'rope': {
        const bytes = (4 * (operation.query.elements + operation.key.elements) * T) / tp;
        forward.memory_bound += (bytes * traffic) / BW;
        backward.memory_bound += (bytes * traffic) / BW;
        break;
      }
      case 'activation': {
        const halves = operation.gated ? 2 : 1;
        const rows =
          operation.input.region === 'routed' ? t * run.expertImbalance * context.step.permute : (T / tp) * traffic;
        forward.memory_bound += (2 * operation.output.elements * (halves + 1) * rows) / BW;
        backward.memory_bound += (2 * operation.output.elements * (2 * halves + 1) * rows) / BW;
        break;
      }
      case 'dispatch': {
        const rows = t * operation.active * run.expertImbalance;
        const bytes = 2 * operation.width * 8 * rows;
        forward.memory_bound += (bytes / BW) * context.step.permute + context.step.expertLaunch;
        backward.memory_bound += (bytes / BW) * context.step.permute + context.step.expertLaunch;
        const exchange = 2 * exchangeSeconds(operation, run, context);
        forward.exposed_expert += context.step.expertExposed * exchange;
        backward.exposed_expert += context.step.expertExposed * exchange;
        host +=
          (run.framework === 'megatron' ? context.step.expertHost : 0) * (graphs ? context.step.expertHostGraphs : 1) +
          (graphs ? 0 : (context.step.expertHostEach * operation.experts) / run.parallelism.expert);
        break;
      }
      case 'scan': {
        const bytes = (2 * (operation.input.elements + operation.output.elements) * T) / tp;
        const work = (operation.flopsPerToken * T) / tp / (0.2 * context.peak16);
        forward.memory_bound += (3 * bytes * traffic) / BW + work;
        backward.memory_bound += (6 * bytes * traffic) / BW + 2 * work;
        break;
      }
      case 'linear':
        // Each operand is read in 16 bits and written in 8, and transposed (Transformer Engine).
        if (low && operation.sharding !== 'expert' && operation.component !== 'router') {
          const rows =
            operation.sharding === 'row'
              ? operation.rows / tp
              : operation.fusedWith?.includes('key') && !operation.path.endsWith('query')
                ? 0
                : operation.rows;
          const columns = operation.sharding === 'column' ? operation.columns / tp : operation.columns;
          forward.memory_bound +=
            (4 * (operation.fusedWith !== undefined && operation.path.endsWith('up') ? 0 : rows) * T) / BW;
          backward.memory_bound += (4 * columns * T) / BW;
        }
        break;
      case 'route':
      case 'combine':
      case 'table':
      case 'vector':
      case 'loss':
        break;
    }
  }
  tensorParallel(list, run, context, forward, backward);
  const gaps = profile.kernels * kernels.gap * 0.5;
  forward.memory_bound += gaps;
  backward.memory_bound += 2 * gaps;
  // The host launches kernels while the GPU works; where it is slower, the GPU waits.
  const parallel = (tp > 1 ? context.step.hostTensor : 0) + (cp > 1 ? context.step.hostContext : 0);
  const launches = kernels.host * ((graphs ? 0 : profile.host + parallel) + host);
  forward.host += Math.max(0, launches - sum(forward));
  backward.host += Math.max(0, hostBackward * launches - sum(backward));
  return { forward, backward };
}

/** Forward, and input gradient with weight gradient, of one product; a frozen weight has no gradient. */
function productSeconds(
  operation: Linear,
  columns: number,
  run: TrainingRun,
  context: Context,
): readonly [number, number] {
  const { chip, kernels, profile, T, t } = context;
  const { tensor: tp, expert: ep, expertTensor } = run.parallelism;
  const low = operation.component !== 'router' && operation.component !== 'output' && isLow(run);
  const slowdown = low ? context.slowdownLow : context.slowdown;
  const facts = low ? (run.precision === 'fp4' ? kernels.gemmFp4 : kernels.gemmFp8) : kernels.gemm;
  const peak = low ? context.peak : run.precision === 'fp32' ? context.peak : context.peak16;
  const operand = low ? precisions[run.precision].operand : run.precision === 'fp32' ? 4 : 2;
  const accumulated = profile.gradientBytes === 4 ? 8 : 2;
  const frozen = isFrozen(operation, run.lora);
  if (operation.sharding === 'expert') {
    const experts = Math.max(1, operation.copies / ep);
    const rows = (t * operation.used * run.expertImbalance) / experts;
    const n = columns / expertTensor;
    const k = operation.rows;
    const time = (m: number, nn: number, kk: number, output: number) =>
      context.step.grouped * gemmSeconds(chip, facts, peak, { m, n: nn, k: kk, experts }, operand, output, slowdown);
    return [time(rows, n, k, 2), time(rows, k, n, 2) + (frozen ? 0 : time(n, k, rows, accumulated))];
  }
  const n = operation.sharding === 'column' ? columns / tp : columns;
  const k = operation.sharding === 'row' ? operation.rows / tp : operation.rows;
  const m = operation.sharding === 'replicated' && operation.component === 'router' ? t : T;
  const time = (mm: number, nn: number, kk: number, output: number) =>
    gemmSeconds(chip, facts, peak, { m: mm, n: nn, k: kk }, operand, output, slowdown);
  const f = time(m, n, k, 2);
  return [f, time(m, k, n, 2) + (frozen ? 0.05 * f : time(n, k, m, accumulated))];
}

/** Flash attention by vintage: efficiency e S / (S + s0); the backward pass has 2.5 times the FLOPs. */
function attentionSeconds(core: AttentionCore, run: TrainingRun, context: Context): readonly [number, number] {
  const { chip, kernels, power } = context;
  const { tensor: tp, context: cp } = run.parallelism;
  const S = run.sequenceLength;
  const width = core.queryKeyDim + core.valueDim;
  const heads = core.heads / tp;
  const peak = context.peak16;
  const kernel = attentionKernel(run, chip);
  if (kernel === 'unfused') {
    const { share, forward, backward } = olderAttention.unfused;
    const scores = (run.microBatchSize * heads * S * S) / cp;
    const work = (2 * width * scores) / (share * peak);
    const scale = power * context.step.attention;
    return [
      scale * (work + (forward * scores) / context.bandwidth),
      scale * (2 * work + (backward * scores) / context.bandwidth),
    ];
  }
  const wide = core.queryKeyDim >= 96;
  const older = olderFacts(kernel, chip);
  const facts = older ?? kernels.attention;
  const modern = older !== undefined && chip.generation !== 'ampere';
  const share = (wide ? facts.wide : facts.narrow) * (modern ? Math.min(1, olderAttention.hopperPeak / peak) : 1);
  const seen = meanContext(core.span, core.causal, S);
  const reach = core.span.kind === 'window' || core.span.kind === 'chunk' ? Math.min(S, core.span.tokens) : S;
  const widest = core.queryKeyDim > 128 && older !== undefined ? olderAttention.wideHeads : 1;
  const rate = share * (reach / (reach + facts.ramp)) * widest * peak;
  const work = 2 * run.microBatchSize * heads * width * ((S * seen) / cp);
  const scale = power * context.step.attention;
  return [scale * (work / rate + 4e-6), scale * ((2.5 * work) / (rate * facts.backward) + 8e-6)];
}

/** PyTorch's own scaled_dot_product_attention is FlashAttention-2 on every chip; Megatron takes the chip's best, cuDNN's. */
function attentionKernel(run: TrainingRun, chip: Accelerator): NonNullable<TrainingRun['attentionKernel']> {
  if (!run.flashAttention) return 'unfused';
  if (run.attentionKernel !== undefined) return run.attentionKernel;
  const modern = chip.generation === 'hopper' || chip.generation === 'blackwell';
  return modern && run.framework !== 'megatron' && !isLow(run) ? 'flash2' : 'cudnn';
}

/** The facts of a kernel that is not the chip's best. */
function olderFacts(
  kernel: NonNullable<TrainingRun['attentionKernel']>,
  chip: Accelerator,
): AttentionFacts | undefined {
  const old = chip.generation === 'ampere' || chip.generation === 'volta' || chip.generation === 'turing';
  if (kernel === 'flash1') return old ? olderAttention.flash1.ampere : olderAttention.flash1.hopper;
  if (kernel === 'flash2' && (chip.generation === 'hopper' || chip.generation === 'blackwell'))
    return olderAttention.flash2.hopper;
  return undefined;
}

/**
 * Where nobody says so, Megatron in 8 and 4 bits is taken to replay CUDA graphs, as NVIDIA's recipes do; in 16 bits to launch
 * kernel by kernel, Megatron-LM's default.
 */
const usesGraphs = (run: TrainingRun): boolean => run.cudaGraphs ?? (run.framework === 'megatron' && isLow(run));

/**
 * Where nobody says so, tensor-parallel collectives are taken to overlap with products in 8 and 4 bits: Transformer Engine's
 * own overlap, which NVIDIA's recipes turn on; in 16 bits Megatron-LM's default, no overlap.
 */
const overlapsTensorParallel = (run: TrainingRun): boolean =>
  run.overlapTensorParallel ?? (run.framework === 'megatron' && isLow(run) && run.parallelism.sequenceParallel);

function tensorParallel(
  list: readonly Operation[],
  run: TrainingRun,
  context: Context,
  forward: Parts,
  backward: Parts,
): void {
  const { tensor: tp, sequenceParallel } = run.parallelism;
  if (tp <= 1) return;
  const blocks = list.filter((operation) => operation.kind === 'linear' && operation.sharding === 'row').length;
  const D = list.find((operation) => operation.kind === 'add')?.output.elements ?? 0;
  const S = 2 * D * context.T;
  const exposed = overlapsTensorParallel(run) ? context.step.tensorOverlapped : context.step.tensorExposed;
  const collective = (kind: 'gather' | 'scatter' | 'reduce') =>
    collectiveSeconds(context.chip, context.kernels, kind, S, tp, tp, context.network);
  if (sequenceParallel) {
    const one = collective('gather') + collective('scatter');
    forward.exposed_tensor += blocks * one * exposed;
    backward.exposed_tensor += blocks * (one + 0.5 * collective('gather')) * exposed;
  } else {
    forward.exposed_tensor += blocks * collective('reduce') * exposed;
    backward.exposed_tensor += blocks * collective('reduce') * exposed;
  }
}

/** Tokens to their experts: copies within the fast domain and beyond it, sent once for each domain (DeepEP). */
function exchangeSeconds(
  operation: Extract<Operation, { kind: 'dispatch' | 'combine' }>,
  run: TrainingRun,
  context: Context,
): number {
  const { expert: ep } = run.parallelism;
  if (ep <= 1) return 0;
  const { chip, kernels, t } = context;
  const k = operation.active;
  const domain = Math.min(ep, chip.fast.domain);
  const domains = ep / domain;
  const inside = Math.min(domains === 1 ? k * (1 - 1 / ep) : k * (1 - 1 / domain), ep * (1 - (1 - 1 / ep) ** k));
  const beyond = domains <= 1 ? 0 : (domains - 1) * (1 - (1 - 1 / domains) ** k);
  const row = 2 * operation.width * t;
  const [latency, , bandwidth] = kernels.collectives.exchange;
  const fast = (row * inside) / bandwidth;
  const slow = (row * beyond) / ((context.network ?? bandwidth) * context.step.exchangeShare);
  return 2 * latency + Math.max(fast, slow) + 0.3 * Math.min(fast, slow);
}

// --- the whole step -------------------------------------------------------------------------------------------------------

function stepParts(operations: Operations, run: TrainingRun, context: Context): Parts {
  const { pipeline: P, virtualPipeline: v } = run.parallelism;
  const m = microBatches(run);
  const kinds = operations.layers.map((layer) =>
    recomputed(layerTime(layer.operations, run, context), layer.operations, run, context),
  );
  const head = headTime(operations, run, context);
  const sharded = run.sharding === 'full' || (run.sharding === 'gradients' && P === 1);
  const perStage = stages(operations, run).map((stage) => {
    const parts = none();
    for (const { kind, count } of stage.layers) {
      const time = kinds[kind];
      if (time === undefined) continue;
      add(parts, time.forward, count);
      add(parts, time.backward, count);
    }
    if (stage.head) add(parts, head);
    return parts;
  });
  const slowest = perStage.reduce((worst, parts) => (sum(parts) > sum(worst) ? parts : worst));
  const step = none();
  add(step, slowest, m);
  if (P > 1) {
    const average = perStage.reduce((total, parts) => total + sum(parts), 0) / P;
    const D = widthOf(operations);
    const bytes = 2 * D * context.t;
    const far = run.gpus > context.chip.fast.domain;
    const hop =
      2 *
      v *
      (1e-5 +
        bytes /
          (far && context.network !== null
            ? context.network * context.step.transferShare
            : context.kernels.collectives.gather[2])) *
      context.step.pipelineExposed;
    const bubble = bubbleShare(run) * (average + hop);
    step.exposed_pipeline += m * hop;
    step.bubble += bubble;
  }
  if (sharded) shardedTraffic(operations, run, context, kinds, step, m);
  else dataParallelTraffic(operations, run, context, sum(slowest), step);
  optimizerTime(operations, run, context, step);
  step.host += context.step.fixed;
  const nodes = Math.max(1, run.gpus / 8);
  step.jitter += nodes > 1 ? sum(step) * context.step.jitter * Math.sqrt(2 * Math.log(nodes)) : 0;
  return step;
}

/** Idle time in units of one stage's forward and backward: 1F1B (P - 1) / v; zero bubble a third of it; DualPipe half. */
function bubbleShare(run: TrainingRun): number {
  const { pipeline: P, virtualPipeline: v } = run.parallelism;
  switch (run.pipelineSchedule) {
    case 'zero_bubble':
      return (P - 1) / 3;
    case 'dualpipe':
      return (P / 2 - 1) / 2;
    case 'gpipe':
    case '1f1b':
      return P - 1;
    default:
      return (P - 1) / v;
  }
}

/** What recompute runs again, in its own part of the breakdown. */
function recomputed(time: LayerTime, list: readonly Operation[], run: TrainingRun, context: Context): LayerTime {
  const { forward, backward } = time;
  const again = none();
  if (run.recompute === 'full') {
    const every = run.recomputeMethod === 'every' ? 1 / Math.max(1, run.recomputeLayers ?? 1) : 1;
    again.recompute = sum(forward) * every;
  } else if (run.recompute === 'selective') {
    const modules = run.recomputeModules ?? ['core_attn'];
    if (run.framework !== 'megatron') again.recompute = 0.5 * forward.matrix_products + forward.memory_bound;
    else {
      if (modules.includes('core_attn')) again.recompute += forward.attention;
      if (modules.includes('mlp') || modules.includes('moe')) {
        const share = list.some((operation) => operation.kind === 'dispatch') ? 0.7 : 0.6;
        again.recompute += share * forward.matrix_products;
      }
      if (modules.some((module) => module === 'layernorm' || module === 'moe_act' || module === 'mla_up_proj'))
        again.recompute += 0.35 * forward.memory_bound;
    }
  }
  void context;
  add(backward, again);
  return { forward, backward };
}

function headTime(operations: Operations, run: TrainingRun, context: Context): Parts {
  const parts = none();
  const head = operations.head.find(
    (operation): operation is Linear => operation.kind === 'linear' && operation.component === 'output',
  );
  const depth = 1 + (run.mtp === false ? 0 : operations.predictionDepth);
  if (head !== undefined) {
    const [f, b] = productSeconds(head, head.columns, run, context);
    parts.matrix_products += depth * (f + b);
    const bytes = run.fusedCrossEntropy ? Math.min(context.profile.loss, 12) : context.profile.loss;
    parts.loss += (depth * ((context.T * head.columns) / run.parallelism.tensor) * bytes) / context.bandwidth;
  }
  parts.memory_bound += (8 * widthOf(operations) * context.T) / context.bandwidth;
  if (operations.prediction.length > 0 && run.mtp !== false) {
    const { forward, backward } = layerTime(operations.prediction, run, context);
    add(parts, forward);
    add(parts, backward);
  }
  return parts;
}

const widthOf = (operations: Operations): number => {
  for (const { operations: list } of operations.layers) {
    const found = list.find((operation) => operation.kind === 'add');
    if (found?.kind === 'add') return found.output.elements;
  }
  return 0;
};

/** Elements of one GPU's share of the model, without data-parallel sharding: dense ones and experts. */
function localParameters(
  operations: Operations,
  run: TrainingRun,
): { readonly dense: number; readonly experts: number } {
  const { tensor, pipeline, expert, expertTensor } = run.parallelism;
  let dense = 0;
  let experts = 0;
  for (const { operation, times } of mainNetwork(operations)) {
    const elements = times * held(operation);
    if (operation.kind === 'linear' && operation.sharding === 'expert')
      experts += elements / (pipeline * expert * expertTensor);
    else
      dense += elements / (operation.kind === 'table' || operation.component === 'output' ? tensor : tensor * pipeline);
  }
  return { dense, experts };
}

/** FSDP and ZeRO 2, 3: parameters gathered and gradients scattered for each layer of each micro-batch, beside its work. */
function shardedTraffic(
  operations: Operations,
  run: TrainingRun,
  context: Context,
  kinds: readonly LayerTime[],
  step: Parts,
  m: number,
): void {
  const { tensor, pipeline, context: cp, expert, expertTensor } = run.parallelism;
  const { chip, kernels, profile } = context;
  const all = (run.gpus / (tensor * pipeline * cp)) * cp;
  const shards = run.shardGroup ?? all;
  if (shards <= 1) return;
  const local = Math.max(1, Math.min(shards, Math.floor(chip.fast.domain / tensor)));
  const trained = run.lora === undefined ? 1 : 0.02;
  const collect = (elements: number, ranks: number, near: number) => {
    const gather = collectiveSeconds(chip, kernels, 'gather', 2 * elements, ranks, near, context.network);
    let scatter =
      trained *
      collectiveSeconds(chip, kernels, 'scatter', profile.gradientBytes * elements, ranks, near, context.network);
    if (shards < all)
      scatter +=
        trained *
        collectiveSeconds(
          chip,
          kernels,
          'reduce',
          (profile.gradientBytes * elements) / shards,
          all / shards,
          1,
          context.network,
        );
    return { gather, scatter };
  };
  let edge = 0;
  const micro = run.sharding === 'full' || run.reshardAfterForward === true;
  for (const [kind, layer] of operations.layers.entries()) {
    const time = kinds[kind];
    const count = operations.order.filter((one) => one === kind).length / pipeline;
    if (time === undefined || count === 0) continue;
    // Experts are divided by expert parallelism first, and sharded over the ranks that hold the same experts.
    let dense = 0;
    let experts = 0;
    for (const operation of layer.operations) {
      if (operation.kind === 'linear' && operation.sharding === 'expert') experts += held(operation);
      else dense += held(operation);
    }
    const copies = Math.max(1, (shards * tensor) / (expert * expertTensor));
    const first = collect(dense / tensor, shards, local);
    const second =
      experts > 0
        ? collect(experts / (expert * expertTensor), copies, Math.max(1, Math.floor(chip.fast.domain / expert)))
        : { gather: 0, scatter: 0 };
    const gather = first.gather + second.gather;
    const scatter = first.scatter + second.scatter;
    const exposedBeside = (work: number, traffic: number) =>
      Math.max(
        work * (1 + context.step.contention * Math.min(1, traffic / Math.max(work, 1e-9))),
        context.step.fsdpCollective * traffic,
      ) - work;
    const f = sum(time.forward);
    const b = sum(time.backward);
    const products = context.step.fsdpProducts - 1;
    step.exposed_data +=
      m * count * (exposedBeside(f, gather) + exposedBeside(b, (micro ? gather : 0) + scatter) + products * (f + b));
    edge = Math.max(edge, gather + scatter);
  }
  const head =
    operations.head.reduce(
      (total, operation) =>
        total + (operation.kind === 'linear' ? operation.rows * operation.columns : held(operation)),
      0,
    ) / tensor;
  const ends = collect(head, shards, local);
  step.exposed_data += m * context.step.fsdpEdge * (edge + 0.5 * (ends.gather + ends.scatter));
}

/** Gradients reduced once for each step, largely beside the last micro-batch's backward pass. */
function dataParallelTraffic(
  operations: Operations,
  run: TrainingRun,
  context: Context,
  stage: number,
  step: Parts,
): void {
  const { tensor, pipeline, context: cp, expert } = run.parallelism;
  const { chip, kernels, profile } = context;
  const ranks = (run.gpus / (tensor * pipeline * cp)) * cp;
  if (ranks <= 1) return;
  const local = Math.max(1, Math.min(ranks, Math.floor(chip.fast.domain / tensor)));
  const { dense, experts } = localParameters(operations, run);
  const gradient = profile.gradientBytes;
  const sharded = run.sharding !== 'none';
  const both = (elements: number, n: number, near: number) =>
    sharded
      ? collectiveSeconds(chip, kernels, 'scatter', gradient * elements, n, near, context.network) +
        collectiveSeconds(chip, kernels, 'gather', 2 * elements, n, near, context.network)
      : collectiveSeconds(chip, kernels, 'reduce', gradient * elements, n, near, context.network);
  let traffic = both(dense, ranks, local);
  if (experts > 0)
    traffic += both(
      experts,
      Math.max(1, (ranks * tensor) / expert),
      Math.max(1, Math.floor(chip.fast.domain / expert)),
    );
  if (run.lora !== undefined) traffic *= 0.02;
  step.exposed_data += Math.max(context.step.dataExposed * traffic, traffic - 0.8 * stage);
}

/** Reads and writes of the optimizer: about 30 bytes for each local parameter, and the gradient's norm. */
function optimizerTime(operations: Operations, run: TrainingRun, context: Context, step: Parts): void {
  const { tensor, pipeline, context: cp } = run.parallelism;
  const { dense, experts } = localParameters(operations, run);
  const ranks = (run.gpus / (tensor * pipeline * cp)) * cp;
  const shards = run.sharding === 'none' ? 1 : (run.shardGroup ?? ranks);
  const local = ((dense + experts) / shards) * (run.lora === undefined ? 1 : 0.01);
  step.optimizer += (local * (30 * context.profile.optimizer + 4)) / context.bandwidth;
}

// --- words and trust ------------------------------------------------------------------------------------------------------

const advice: Readonly<Record<TimePart, string>> = {
  matrix_products:
    'larger matrices for each GPU (a larger micro-batch, less tensor parallelism) or a lower precision would raise it',
  attention: 'a newer attention kernel, a shorter sequence or a sliding window would shorten it',
  memory_bound: 'fused norms and activations (torch.compile, Transformer Engine) would shorten it',
  loss: 'a fused cross-entropy would shorten it',
  recompute: 'recomputing less, where memory allows, would save it',
  exposed_tensor: 'less tensor parallelism, or overlapping its collectives, would hide it',
  exposed_context: 'less context parallelism would hide it',
  exposed_expert: 'keeping expert parallelism within the fast domain, or overlapping its exchange, would hide it',
  exposed_pipeline: 'fewer pipeline stages would save it',
  exposed_data: 'a larger batch for each step, or fewer shards, would hide it',
  bubble: 'more micro-batches for each step, or virtual pipeline stages, would fill it',
  optimizer: 'a larger batch, or dividing the optimizer over data parallelism, would shrink its share',
  host: 'CUDA graphs or larger micro-batches would keep the GPU from waiting for the host',
  jitter: 'it comes with the number of nodes',
};

const losses: Readonly<Record<TimePart, string>> = {
  matrix_products: 'matrix products',
  attention: 'attention kernels',
  memory_bound: 'memory-bound kernels (norms, activations, residuals)',
  loss: 'the loss over the vocabulary',
  recompute: 'recomputed activations',
  exposed_tensor: 'exposed tensor-parallel collectives',
  exposed_context: 'exposed context-parallel exchange',
  exposed_expert: 'exposed expert exchange',
  exposed_pipeline: 'exposed pipeline transfers',
  exposed_data: 'exposed data-parallel collectives',
  bubble: 'the pipeline bubble',
  optimizer: 'the optimizer step',
  host: 'waiting for the host',
  jitter: 'differences between nodes',
};

/** The largest part that is not matrix products, in a sentence. */
function limitOf(parts: Parts, step: number, run: TrainingRun): string {
  const [largest] = partNames.filter((part) => part !== 'matrix_products').sort((a, b) => parts[b] - parts[a]);
  const part = largest !== undefined && parts[largest] > 0.05 * step ? largest : 'matrix_products';
  const share = Math.round((100 * parts[part]) / step);
  void run;
  return `Besides matrix products, the step spends most on ${losses[part]} (${share} %): ${advice[part]}.`;
}

/** Half width of the band (as a log ratio) that nine of ten measured runs of a kind stay within (docs/mfu.md). */
function trust(
  operations: Operations,
  run: TrainingRun,
  context: Context,
): { readonly band: number; readonly basis: string } {
  const sparse = operations.layers.some(({ operations: list }) =>
    list.some((operation) => operation.kind === 'dispatch'),
  );
  const low = isLow(run);
  const kind = sparse ? 'mixture of experts' : low ? 'dense, 8 or 4 bits' : 'dense, 16 bits';
  let band = sparse ? 0.45 : low ? 0.22 : 0.11;
  if (context.kernels.confidence === 'derived') band += 0.2;
  if (run.framework === 'transformers') band += 0.1;
  const kernels =
    context.kernels.confidence === 'measured' ? 'measured kernels' : 'kernel constants derived, not measured';
  return { band, basis: `${kind}; ${kernels}` };
}

function training(run: TrainingRun, chip: Accelerator, perGpu: number): ThroughputEstimate['training'] {
  const time = run.tokens / (perGpu * run.gpus);
  const gpuHours = (time * run.gpus) / 3600;
  return {
    time: seconds(time),
    gpuHours,
    energyKilowattHours: chip.power === null ? null : (gpuHours * chip.power) / 1000,
    costUsd: chip.price === null ? null : gpuHours * chip.price,
    pricePerGpuHour: chip.price,
    priceDate: chip.price === null ? null : acceleratorsChecked,
  };
}

function unknown(reason: string): ThroughputEstimate {
  return {
    mfu: null,
    hfu: null,
    range: null,
    tokensPerSecondPerGpu: null,
    stepTime: null,
    parts: none() as Record<TimePart, Seconds>,
    band: 0,
    basis: reason,
    limit: `Not projected: ${reason}.`,
    training: null,
  };
}
