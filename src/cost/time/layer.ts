import { type Accelerator, type AcceleratorId, acceleratorIds } from '../../facts/accelerators.ts';
import { frameworkExecution } from '../../facts/frameworks.ts';
import {
  type AttentionFacts,
  fusedAttention,
  type GemmFacts,
  type KernelFacts,
  type kernelsOf,
  olderAttention,
} from '../../facts/kernels.ts';
import { bytesOf, precisions } from '../../facts/precisions.ts';
import {
  adapterBytes,
  beside,
  castBytes,
  type ExecutionProfile,
  elementBytes,
  estimated,
  gradientTraffic,
  launches as launchFacts,
  type ProfileName,
  profiles,
  type StepFacts,
} from '../../facts/steps.ts';
import type { TimePart } from '../../model/estimate.ts';
import type { AttentionCore, Linear, Operation } from '../../model/operation.ts';
import type { Lora, TrainingRun } from '../../model/run.ts';
import { gigabitsPerSecond } from '../../units.ts';
import { meanContext } from '../count/forward.ts';
import { isFrozen, isTarget, leadsProduct } from '../count/lora.ts';
import { collectiveSeconds, gemmSeconds } from './gemm.ts';

/** The constants of the model: the committed ones, or others where a script tries them (`scripts/cross-validate.ts`). */
export type TimeFacts = {
  readonly step: StepFacts;
  readonly kernelsOf: typeof kernelsOf;
  readonly find?: (id: string) => Accelerator | undefined;
};

export type Context = {
  readonly step: StepFacts;
  readonly chip: Accelerator;
  readonly kernels: KernelFacts;
  readonly profile: ExecutionProfile;
  readonly profileName: ProfileName;
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

export function contextOf(run: TrainingRun, chip: Accelerator, peak: number, facts: TimeFacts): Context {
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
    slowdownLow: power * (kernels.low ?? kernels).sustained,
    power,
    network: run.interNodeGbpsPerGpu === undefined ? chip.network : gigabitsPerSecond(run.interNodeGbpsPerGpu),
    bandwidth: chip.bandwidth * kernels.streaming,
    T,
    t: sequenceParallel ? T / tensor : T,
  };
}

/** 8 or 4 bits. */
export const isLow = (run: TrainingRun): boolean => !['bf16', 'fp16', 'fp32'].includes(run.precision);

function profileOf(run: TrainingRun, chip: Accelerator): ProfileName {
  if (chip.generation === 'tpu') return 'xla';
  const { decidedBy, on, off } = frameworkExecution[run.framework].profile;
  // PyTorch reaches 8 bits through torch.compile (torchao) or Transformer Engine's modules: fused either way.
  return run[decidedBy] || (decidedBy === 'compile' && isLow(run)) ? on : off;
}

export const partNames: readonly TimePart[] = [
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

export type Parts = Record<TimePart, number>;
export const none = (): Parts => Object.fromEntries(partNames.map((part) => [part, 0])) as Parts;
export const sum = (parts: Parts) => partNames.reduce((total, part) => total + parts[part], 0);
export const add = (into: Parts, from: Parts, times = 1): void => {
  for (const part of partNames) into[part] += times * from[part];
};

export type LayerTime = {
  readonly forward: Parts;
  readonly backward: Parts;
  /** seconds that the host launches the forward pass for */
  readonly launches: number;
};

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

export function layerTime(list: readonly Operation[], run: TrainingRun, context: Context): LayerTime {
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
  const waits = list.some((operation) => operation.kind === 'dispatch');
  const graphs = usesGraphs(run, chip, waits);
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
        forward.memory_bound += (elementBytes.norm.forward * operation.input.elements * share * traffic) / BW;
        backward.memory_bound += (elementBytes.norm.backward * operation.input.elements * share * traffic) / BW;
        break;
      }
      case 'add':
        forward.memory_bound += (elementBytes.add.forward * operation.output.elements * t * traffic) / BW;
        backward.memory_bound += (elementBytes.add.backward * operation.output.elements * t * traffic) / BW;
        break;
      case 'rope': {
        const rotated = ((operation.query.elements + operation.key.elements) * T) / tp;
        forward.memory_bound += (elementBytes.rope.forward * rotated * traffic) / BW;
        backward.memory_bound += (elementBytes.rope.backward * rotated * traffic) / BW;
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
        const bytes = elementBytes.dispatch * operation.width * rows;
        forward.memory_bound += (bytes / BW) * context.step.permute;
        backward.memory_bound += (bytes / BW) * context.step.permute;
        const exchange = 2 * exchangeSeconds(operation, run, context);
        forward.exposed_expert += context.step.expertExposed * exchange;
        backward.exposed_expert += context.step.expertExposed * exchange;
        // Experts take as many rows as the router sends them: graphs of fixed shapes leave them out.
        host +=
          (frameworkExecution[run.framework].hostTimeOfExperts ? context.step.expertHost : 0) *
            (graphs ? context.step.expertHostGraphs : 1) +
          (context.step.expertHostEach * operation.experts) / run.parallelism.expert;
        break;
      }
      case 'scan': {
        const bytes = (2 * (operation.input.elements + operation.output.elements) * T) / tp;
        const work = (operation.flopsPerToken * T) / tp / (estimated.scan * context.peak16);
        forward.memory_bound += (estimated.scanPasses.forward * bytes * traffic) / BW + work;
        backward.memory_bound += (estimated.scanPasses.backward * bytes * traffic) / BW + 2 * work;
        break;
      }
      case 'linear':
        if (run.lora !== undefined && isTarget(operation, run.lora)) {
          const rows = (operation.sharding === 'row' ? operation.rows / tp : operation.rows) * operation.used;
          const columns =
            (operation.sharding === 'column' ? operation.columns / tp : operation.columns) * operation.used;
          const bytes = adapterBytes[fusesAdapters(run.lora, context) ? 'fused' : 'separate'];
          forward.memory_bound += ((bytes.inputForward * rows + bytes.outputForward * columns) * T) / BW;
          backward.memory_bound += ((bytes.inputBackward * rows + bytes.outputBackward * columns) * T) / BW;
        }
        if (low && operation.sharding !== 'expert' && operation.component !== 'router') {
          const [f, b] = castSeconds(operation, run, context);
          forward.memory_bound += f;
          backward.memory_bound += b;
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
  const gaps = profile.kernels * kernels.gap * launchFacts.gaps;
  forward.memory_bound += gaps;
  backward.memory_bound += 2 * gaps;
  const parallel = (tp > 1 ? context.step.hostTensor : 0) + (cp > 1 ? context.step.hostContext : 0);
  const launches = kernels.host * ((graphs ? 0 : profile.host * launched(list, context) + parallel) + host);
  // Experts make the host wait for the router's counts in each layer.
  forward.host += hostSeconds(sum(forward), launches, waits);
  backward.host += hostSeconds(sum(backward), launchFacts.backward * launches, waits);
  return { forward, backward, launches };
}

/** Operations that the host runs one by one: fused products once, experts and what belongs to them apart. */
function launched(list: readonly Operation[], context: Context): number {
  let count = products(list, context).filter(({ first }) => first.sharding !== 'expert').length;
  for (const operation of list) {
    if (
      operation.kind === 'attention' ||
      operation.kind === 'norm' ||
      operation.kind === 'add' ||
      operation.kind === 'rope'
    )
      count += 1;
    // Latent attention splits, expands and joins its heads on their own.
    if (operation.kind === 'attention' && operation.variant !== 'grouped') count += launchFacts.latentAttention;
    if (operation.kind === 'scan' || (operation.kind === 'activation' && operation.input.region !== 'routed'))
      count += 1;
  }
  return count;
}

/**
 * Time in which the GPU waits for the host. It launches kernels while the GPU works; where it is slower, the GPU waits. Where it has
 * to wait for the GPU within each layer it can never run far ahead, and part of its time is seen: their root mean square.
 */
const hostSeconds = (gpu: number, host: number, waits: boolean): number =>
  (waits ? Math.hypot(gpu, host) : Math.max(gpu, host)) - gpu;

/** Compiled layers fuse adapters; Hugging Face's fast kernels do so on quantised base weights only (fms-acceleration, fused_lora). */
const fusesAdapters = (lora: Lora, { profileName }: Context): boolean =>
  profileName === 'liger' ? lora.baseBits < 16 : profileName !== 'transformers' && profileName !== 'eager';

/** Casts of a product's operands to 8 bits, forward and backward; what query, key and value or gate and up read is cast once. */
function castSeconds(operation: Linear, run: TrainingRun, context: Context): readonly [number, number] {
  const { tensor: tp } = run.parallelism;
  const bytes = castBytes[context.profile.casts];
  const again = operation.fusedWith !== undefined && !leadsProduct(operation);
  const rows = operation.sharding === 'row' ? operation.rows / tp : operation.rows;
  const columns = operation.sharding === 'column' ? operation.columns / tp : operation.columns;
  const inputs = again ? 0 : rows * context.T;
  const weights = rows * columns;
  const forward = bytes.inputForward * inputs + bytes.weightForward * weights;
  const backward = bytes.inputBackward * inputs + bytes.gradient * columns * context.T + bytes.weightBackward * weights;
  return [forward / context.bandwidth, backward / context.bandwidth];
}

/** Forward, and input gradient with weight gradient, of one product; a frozen weight has no gradient. */
export function productSeconds(
  operation: Linear,
  columns: number,
  run: TrainingRun,
  context: Context,
): readonly [number, number] {
  const { chip, kernels, profile, T, t } = context;
  const { tensor: tp, expert: ep, expertTensor } = run.parallelism;
  const low = operation.component !== 'router' && operation.component !== 'output' && isLow(run);
  const slowdown = low ? context.slowdownLow : context.slowdown;
  const facts = low ? lowGemm(kernels, run) : kernels.gemm;
  const peak = low ? context.peak : run.precision === 'fp32' ? context.peak : context.peak16;
  const operand = low ? precisions[run.precision].operand : run.precision === 'fp32' ? bytesOf.fp32 : bytesOf.bf16;
  const accumulated = profile.gradientBytes === bytesOf.fp32 ? gradientTraffic.addedTo : gradientTraffic.written;
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
  return [f, time(m, k, n, 2) + (frozen ? 0 : time(n, k, m, accumulated))];
}

/** A chip without matrix units of few bits runs no such precision, so its 16-bit rates stand in for what nobody asks. */
const lowGemm = ({ low, gemm }: KernelFacts, { precision }: TrainingRun): GemmFacts =>
  low === null ? gemm : precision === 'fp4' ? low.fp4 : low.fp8;

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
  const wide = core.queryKeyDim >= fusedAttention.wideFrom;
  const older = olderFacts(kernel, chip);
  const facts = older ?? kernels.attention;
  const modern = older !== undefined && chip.generation !== 'ampere';
  const share = (wide ? facts.wide : facts.narrow) * (modern ? Math.min(1, olderAttention.hopperPeak / peak) : 1);
  const seen = meanContext(core.span, core.causal, S);
  const reach = core.span.kind === 'window' || core.span.kind === 'chunk' ? Math.min(S, core.span.tokens) : S;
  const widest = core.queryKeyDim > olderAttention.widest && older !== undefined ? olderAttention.widestShare : 1;
  const rate = share * (reach / (reach + facts.ramp)) * widest * peak;
  const work = 2 * run.microBatchSize * heads * width * ((S * seen) / cp);
  const scale = power * context.step.attention;
  const { start, backwardFlops } = fusedAttention;
  return [
    scale * (work / rate + start.forward),
    scale * ((backwardFlops * work) / (rate * facts.backward) + start.backward),
  ];
}

/** The kernel that the run names; else the chip's best (cuDNN's), except on Hopper, where frameworks differ. */
function attentionKernel(run: TrainingRun, chip: Accelerator): NonNullable<TrainingRun['attentionKernel']> {
  if (!run.flashAttention) return 'unfused';
  if (run.attentionKernel !== undefined) return run.attentionKernel;
  return chip.generation === 'hopper' ? frameworkExecution[run.framework].attentionOnHopper : 'cudnn';
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
 * Where nobody says so, Megatron in 8 and 4 bits is taken to replay CUDA graphs, as NVIDIA's recipes do: of dense layers everywhere, of
 * layers with experts where CPUs are slow for their GPUs (Grace Blackwell; NVIDIA-NeMo/Megatron-Bridge 067f987, performance summary
 * and recipes). In 16 bits it launches kernel by kernel, Megatron-LM's default.
 */
const usesGraphs = (run: TrainingRun, chip: Accelerator, experts: boolean): boolean =>
  run.cudaGraphs ??
  (frameworkExecution[run.framework].cudaGraphs &&
    isLow(run) &&
    (!experts || chip.fast.domain > launchFacts.graphsFrom));

/**
 * Where nobody says so, tensor-parallel collectives are taken to overlap with products in 8 and 4 bits: Transformer Engine's
 * own overlap, which NVIDIA's recipes turn on; in 16 bits Megatron-LM's default, no overlap.
 */
const overlapsTensorParallel = (run: TrainingRun): boolean =>
  run.overlapTensorParallel ??
  (frameworkExecution[run.framework].overlapsTensorParallel && isLow(run) && run.parallelism.sequenceParallel);

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
    backward.exposed_tensor += blocks * (one + beside.regather * collective('gather')) * exposed;
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
  const { latency, bandwidth } = kernels.collectives.exchange;
  const fast = (row * inside) / bandwidth;
  const slow = (row * beyond) / ((context.network ?? bandwidth) * context.step.exchangeShare);
  return 2 * latency + Math.max(fast, slow) + beside.exchange * Math.min(fast, slow);
}
