import { benchmark, definition, type Fact, fitted, judged, measured, numbers } from './basis.ts';
import { sources } from './sources.ts';

// Constants of whole training steps, as the time model (`cost/time`) reads them. Those of kernels are in `facts/kernels.ts`.

const onRuns = fitted(sources.runs);
const onEarlierRuns = fitted(sources.earlierRuns);
const inMegatronCi = measured(sources.megatronCi);
const counted = definition(sources.counted);

/**
 * What is fitted on whole steps, or measured on them. scripts/cross-validate.ts fits each again without one source at a time
 * (docs/mfu.md).
 */
export const stepFacts = numbers({
  /** traffic of memory-bound kernels over what perfect fusion would move */
  traffic: onEarlierRuns(1.216, 'ratio'),
  /**
   * eager RMSNorm, rotary position and gates of Llama-like models over the GPT layers that `traffic` of the profiles is of: forward
   * 36, 20 and 10 bytes an element where fused kernels move 4, 4 and 6; backward 65, 24 and 18 for 8, 4 and 10
   */
  eagerGated: definition({
    title: 'counted kernel by kernel in the eager layers of Llama (transformers, torchtitan)',
    date: '2026-11-25',
  })(1.76, 'ratio'),
  /** attention kernels in a step over their benchmark */
  attention: onRuns(1.05, 'ratio'),
  /** slow-down of products while a collective runs beside them at the fast domain's rate, besides the multiprocessors it holds */
  contention: onRuns(0.17, 'ratio'),
  /** FSDP collectives over their benchmark, and share of the first gather and last scatter that is exposed */
  fsdpCollective: onEarlierRuns(1.138, 'ratio'),
  fsdpEdge: onEarlierRuns(0.866, 'ratio'),
  /** exposed share of collectives: tensor parallel without and with overlap, data parallel, context, pipeline, experts */
  tensorExposed: onRuns(0.88, 'ratio'),
  tensorOverlapped: onRuns(0.2, 'ratio'),
  dataExposed: onRuns(0.25, 'ratio'),
  contextExposed: onRuns(0.4, 'ratio'),
  pipelineExposed: onRuns(0.5, 'ratio'),
  /** half of the experts' exchange hides behind shared experts, and behind the other micro-batch where a recipe overlaps */
  expertExposed: onRuns(0.5, 'ratio'),
  /** share of a network card that the experts' exchange reaches */
  exchangeShare: judged('between the 43 and 58 of 50 GB/s that the README of DeepEP reports on H800')(0.95, 'ratio'),
  /** share of a network card that transfers between pipeline stages reach */
  transferShare: judged('one message at a time reaches a little less than collectives do', '2026-11-24')(0.8, 'ratio'),
  /** power cap: products slow down by 1 + x (reference / cap - 1) */
  power: onEarlierRuns(0.634, 'ratio'),
  /** spread of step times over nodes: expected maximum of Gaussians */
  jitter: onEarlierRuns(0.011, 'ratio'),
  /** traffic of sending rows to experts and back over reading and writing each once */
  permute: onRuns(2.15, 'ratio'),
  /** seconds of host work, forward: for a layer with tensor or context parallelism */
  hostTensor: inMegatronCi(0.0004, 's'),
  hostContext: inMegatronCi(0.0008, 's'),
  /**
   * seconds of host work, forward: for each local expert, for a layer of experts, and the share of the latter that CUDA graphs leave.
   * Experts take 3.4 to 4.5 ms longer there and back in Megatron-LM's CI (18 small models on H100 against dense ones)
   */
  expertHostEach: judged('two launches of a grouped product for each expert')(0.000025, 's'),
  expertHost: inMegatronCi(0.0018, 's'),
  expertHostGraphs: onRuns(0.4, 'ratio'),
});

export type StepFacts = typeof stepFacts;

const untested = judged(
  'from how the framework runs a layer, and from whole steps; in no fit and in no cross-validation',
  '2026-11-24',
);
const gradients = {
  fp32: definition(sources.megatron)(4, 'byte/element'),
  bf16: definition(sources.pytorch)(2, 'byte/element'),
};

type Profile = {
  readonly traffic: number;
  readonly kernels: number;
  readonly host: Fact;
  readonly optimizer: number;
  readonly loss: number;
  readonly gradientBytes: Fact;
};

/** How a profile runs what the model's operations leave open. */
type How = {
  /** how operands are cast to 8 bits */
  readonly casts: 'fused' | 'separate';
  /** Operations run one by one, so that gated layers move more (`stepFacts.eagerGated`). */
  readonly eager: boolean;
  /** RMSNorm and GELU run in elementary steps where the model's own code writes them so. */
  readonly writesOut: boolean;
  /** Query, key and value are one product, gate and up another, also where the model stores them apart. */
  readonly fusesProducts: boolean;
  /** An adapter's steps are fused: in every case, in none, or only over base weights of fewer than 16 bits. */
  readonly fusesAdapters: 'always' | 'never' | 'quantized';
};

const profile = <const Own extends How>(
  { traffic, kernels, host, optimizer, loss, gradientBytes }: Profile,
  how: Own,
) => ({
  /** bytes moved over perfect fusion */
  traffic: untested(traffic, 'ratio'),
  /** kernels of a layer's forward pass */
  kernels: untested(kernels, 'count'),
  /** seconds in which the CPU of a Hopper node launches one operation */
  host,
  /** traffic of the optimizer over one fused pass */
  optimizer: untested(optimizer, 'ratio'),
  /** bytes for each logit */
  loss: untested(loss, 'byte/element'),
  /** of a main gradient; 4 bytes are added to within the product that makes them */
  gradientBytes,
  ...how,
});

const ofMegatron = {
  casts: 'fused',
  eager: false,
  writesOut: false,
  fusesProducts: true,
  fusesAdapters: 'always',
} as const;
const ofTorch = { ...ofMegatron, casts: 'separate', fusesProducts: false } as const;
const onePerStep = { ...ofTorch, eager: true, fusesAdapters: 'never' } as const;

/**
 * Execution profiles: how frameworks run a layer. Their `traffic` is multiplied by that of `stepFacts`, so runs fix the products only.
 *
 * `megatron`: its host time is about 3 ms for the forward and backward pass of a layer of ten operations on an H100 node.
 * `legacy`: Megatron-LM of 2021 and 2022, without flash attention. `liger`: Hugging Face's layers with fused norms, rotary
 * position and gates; what fuses the loss there fuses these too (linkedin/Liger-Kernel, `apply_liger_kernel_to_llama`;
 * foundation-model-stack/fms-acceleration, fast kernels). `xla`: TPUs, compiled whole.
 */
export const profiles = numbers({
  megatron: profile(
    {
      traffic: 1,
      kernels: 24,
      host: inMegatronCi(0.12e-3, 's'),
      optimizer: 1,
      loss: 20,
      gradientBytes: gradients.fp32,
    },
    ofMegatron,
  ),
  legacy: profile(
    {
      traffic: 1.25,
      kernels: 34,
      host: untested(0.024e-3, 's'),
      optimizer: 1.3,
      loss: 30,
      gradientBytes: gradients.fp32,
    },
    ofMegatron,
  ),
  eager: profile(
    {
      traffic: 1.7,
      kernels: 40,
      host: untested(0.028e-3, 's'),
      optimizer: 1,
      loss: 34,
      gradientBytes: gradients.bf16,
    },
    onePerStep,
  ),
  compiled: profile(
    {
      traffic: 0.9,
      kernels: 16,
      host: untested(0.0064e-3, 's'),
      optimizer: 1,
      loss: 18,
      gradientBytes: gradients.bf16,
    },
    ofTorch,
  ),
  transformers: profile(
    { traffic: 2.2, kernels: 55, host: untested(0.05e-3, 's'), optimizer: 1, loss: 52, gradientBytes: gradients.bf16 },
    { ...onePerStep, writesOut: true },
  ),
  liger: profile(
    { traffic: 1.25, kernels: 30, host: untested(0.05e-3, 's'), optimizer: 1, loss: 52, gradientBytes: gradients.bf16 },
    // Hugging Face's fast kernels fuse adapters over quantised base weights only (fms-acceleration, fused_lora).
    { ...ofTorch, fusesAdapters: 'quantized' },
  ),
  xla: profile(
    { traffic: 0.8, kernels: 8, host: untested(0, 's'), optimizer: 1.2, loss: 14, gradientBytes: gradients.bf16 },
    { ...ofMegatron, fusesProducts: false },
  ),
});

export type ProfileName = keyof typeof profiles;
export type ExecutionProfile = (typeof profiles)[ProfileName];

const te = definition(sources.transformerEngine);
const ao = definition(sources.torchao);

/**
 * Bytes that casting to 8 bits moves for an element of a product's input, of its output's gradient, and of its weight, forward
 * and backward. Transformer Engine reads 16 bits once and writes both layouts (`fused`). torchao finds the largest value, casts,
 * and casts input and weight again in the backward pass, gradients in two layouts (`separate`).
 */
export const castBytes = numbers({
  fused: {
    inputForward: te(4, 'byte/element'),
    inputBackward: te(0, 'byte/element'),
    gradient: te(4, 'byte/element'),
    weightForward: te(0, 'byte/element'),
    weightBackward: te(0, 'byte/element'),
  },
  separate: {
    inputForward: ao(5, 'byte/element'),
    inputBackward: ao(3, 'byte/element'),
    gradient: ao(7, 'byte/element'),
    weightForward: ao(3, 'byte/element'),
    weightBackward: ao(3, 'byte/element'),
  },
});

const ofAdapters = definition(sources.lora);

/**
 * Bytes that an adapter moves for an element of its matrix's input and output. Forward the input is read, the product of B written
 * and added; backward the gradient is read for B and for A, and the input's gradient added. PEFT's own layer (`separate`) also runs
 * dropout on the input and scales the product, each on its own and both ways.
 */
export const adapterBytes = numbers({
  fused: {
    inputForward: ofAdapters(2, 'byte/element'),
    outputForward: ofAdapters(8, 'byte/element'),
    inputBackward: ofAdapters(8, 'byte/element'),
    outputBackward: ofAdapters(4, 'byte/element'),
  },
  separate: {
    inputForward: ofAdapters(7, 'byte/element'),
    outputForward: ofAdapters(12, 'byte/element'),
    inputBackward: ofAdapters(15, 'byte/element'),
    outputBackward: ofAdapters(8, 'byte/element'),
  },
});

/** Bytes that unpacking writes for each weight of a base in 8 or 4 bits; it reads what the weight is stored in. */
export const unpacking = numbers({
  written: definition({
    title:
      'bitsandbytes, autograd/_functions.py (MatMul4Bit), and AutoGPTQ, qlinear_tritonv2: weights are dequantised forward and backward',
    date: '2026-11-28',
  })(2, 'byte/element'),
});

/**
 * Bytes that a memory-bound operation moves for each element of its tensor, where a kernel fuses all it can: a norm reads and
 * writes, its backward pass reads two tensors more; an addition reads two and writes one. `dispatch`: rows are gathered and
 * scattered, there and back. `ends`: the embedding's rows and the last norm, forward and backward.
 */
export const elementBytes = numbers({
  norm: { forward: counted(4, 'byte/element'), backward: counted(8, 'byte/element') },
  add: { forward: counted(6, 'byte/element'), backward: counted(4, 'byte/element') },
  rope: { forward: counted(4, 'byte/element'), backward: counted(4, 'byte/element') },
  dispatch: counted(16, 'byte/element'),
  ends: counted(8, 'byte/element'),
});

const dispatched = definition(sources.dispatched);
/** Bytes for each element, and kernels, forward and backward. */
const passes = (bytes: readonly [number, number], kernels: readonly [number, number]) => ({
  forward: dispatched(bytes[0], 'byte/element'),
  backward: dispatched(bytes[1], 'byte/element'),
  kernels: { forward: dispatched(kernels[0], 'count'), backward: dispatched(kernels[1], 'count') },
});

/**
 * What Transformers' layers move for each element of an operation's tensor, step by step: in 16 bits, and `wide` where autocast over
 * fp32 weights leaves the residual stream in fp32.
 */
export const elementary = numbers({
  /** RMSNorm: to fp32, squared, averaged, scaled, cast back, weighed; and their gradients */
  rms: passes([36, 92], [8, 16]),
  rmsWide: passes([28, 92], [6, 14]),
  /** weighed before it is cast back (Gemma, OLMo 2) */
  rmsWeighed: passes([40, 104], [10, 16]),
  /** LayerNorm is one kernel */
  layer: passes([4, 6], [1, 2]),
  layerWide: passes([8, 12], [1, 2]),
  add: passes([6, 6], [1, 1]),
  addWide: passes([10, 18], [1, 2]),
  /** queries and keys times cosines and, their halves swapped, times sines */
  rope: passes([20, 32], [10, 16]),
  ropeWide: passes([36, 58], [12, 18]),
  /** and joined with what is not rotated */
  ropeJoined: passes([26, 38], [12, 20]),
  gated: passes([10, 18], [2, 3]),
  /** and the gradients of gate and up put together, where one matrix makes both */
  gatedTogether: passes([10, 26], [2, 4]),
  plain: passes([4, 6], [1, 1]),
  /** GELU in steps of 16 bits (`gelu_fast`), and of fp32 from the power on (`gelu_new` under autocast) */
  multipliedGelu: passes([40, 72], [8, 12]),
  poweredGelu: passes([76, 128], [9, 13]),
  /** what one more product that reads a tensor adds to: the gradients of the tensor, and casts of its own where it is fp32 */
  reader: passes([0, 6], [0, 1]),
  readerWide: passes([0, 12], [0, 1]),
  cast: passes([6, 6], [1, 1]),
  /** a result, and a mask of one byte */
  dropout: passes([5, 5], [1, 1]),
  /** rows of experts gathered, weighed and put back in order, by what the router sorts: kernels of a few elements for each token */
  routed: passes([12, 14], [14, 9]),
  /** tokens that rows are gathered from and added up to, with one more gradient that is added to theirs */
  unrouted: passes([4, 8], [0, 0]),
});

const started = (forward: number, backward: number) => ({
  forward: dispatched(forward, 'count'),
  backward: dispatched(backward, 'count'),
});

/** Kernels of products and attention, whose time is in their rates, but for where they start and end. */
export const heavyKernels = numbers({
  product: started(1, 2),
  attention: started(1, 3),
  writtenOutAttention: started(9, 12),
  /** a gradient of zeros, and rows added to it by index, which are sorted first */
  addsByIndex: started(0, 2),
  /** PEFT's: two casts of the input and one of each factor, two products, a scale and a sum */
  adapter: started(8, 12),
});

/**
 * Rows added by index, which is what the gradient of gathered rows is in PyTorch: bytes for each element with the zeros that they are
 * added to, and the share of the streaming rate that they reach.
 */
export const addsByIndex = numbers({
  bytes: dispatched(8, 'byte/element'),
  share: benchmark({
    title:
      'pytorch/ao pull request 4623: the backward pass of a gather of 196,608 rows of 2,048 elements takes 1.848 ms on B200',
    url: 'https://github.com/pytorch/ao/pull/4623',
    date: '2026-11-28',
  })(0.26, 'ratio'),
  /** gathers of a routed row, out of its token and back into the order of tokens */
  gathers: dispatched(2, 'count'),
});

/** Seconds of a kernel besides what its bytes take: it starts, fills the chip and drains. */
export const kernelStart = numbers({ seconds: fitted(sources.gpu)(7e-6, 's') });

/** Bytes of a weight gradient's element that its product moves: 16 bits written, or fp32 read, added to and written. */
export const gradientTraffic = numbers({
  written: definition(sources.pytorch)(2, 'byte/element'),
  addedTo: definition(sources.megatron)(8, 'byte/element'),
});

/**
 * Bytes that PyTorch moves to add one more micro-batch's gradient to what stands there: two reads and a write in 16 bits. Megatron
 * adds in the product that makes it.
 */
export const accumulation = numbers({ bytes: definition(sources.pytorch)(6, 'byte/element') });

/**
 * Bytes that full sharding copies on the compute stream for each parameter: gathered ones out of the flat buffer, for each pass;
 * gradients into it, in fp32 (FSDP2's foreach_all_gather_copy_out and chunk_cat; FSDP1 and DeepSpeed copy as much elsewhere).
 */
export const shardCopyBytes = numbers({
  gather: definition(sources.pytorch)(4, 'byte/element'),
  scatter: definition(sources.pytorch)(6, 'byte/element'),
});

/**
 * What PyTorch's optimizers read and write: the lists of `foreach` three times what one kernel does (21 elements of each parameter for
 * 7), Adafactor's steps in fp32 whatever the weights' dtype, and clipping gradients by their norm.
 */
export const optimizerTraffic = numbers({
  foreach: dispatched(3, 'ratio'),
  adafactor: dispatched(84, 'byte/element'),
  /** reads of a gradient for its norm, and a read and a write to scale it */
  clipping: dispatched(3, 'count'),
});

/** An optimizer in CPU memory: its time for each parameter of a node, whose GPUs share its CPUs, and each GPU's way there. */
export const offloaded = numbers({
  secondsForParameter: measured(sources.zeroOffload)(0.257e-9, 's/element'),
  /** bytes of a 16-bit gradient sent and of a 16-bit weight fetched */
  transferred: definition(sources.zeroOffload)(4, 'byte/element'),
  transfer: judged('PCIe 4.0 x16 as pinned memory is copied')(20e9, 'byte/s'),
});

/** Collectives beside other work. */
export const beside = numbers({
  /** multiprocessors that a collective holds while it runs: NCCL's channels over NVLink */
  channels: definition(sources.nccl)(16, 'count'),
  /** fewest multiprocessors of which channels take their share */
  fewestMultiprocessors: judged('of the training GPUs that collectives were looked at on')(100, 'count'),
  /** share of a stage's time beside which gradients can be reduced */
  reduction: judged('all but the last layers of a backward pass')(0.8, 'ratio'),
  /** share of the shorter of two exchanges that the longer does not hide */
  exchange: judged('both use the same GPU memory')(0.3, 'ratio'),
  /** share of the second gather of sequence parallelism's inputs, for the weight gradient, that nothing hides */
  regather: judged('it runs beside the product of the input gradient')(0.5, 'ratio'),
  /** share of the gathered head and embedding that the first and last layers hide nothing of */
  ends: judged('one of the two is beside a layer')(0.5, 'ratio'),
});

/** Pipelines. */
export const pipelines = numbers({
  /** seconds for a transfer between stages besides its bytes */
  hop: judged('a send and a receive of NCCL')(1e-5, 's'),
  /** idle time of the zero-bubble schedule: that of 1F1B over this */
  zeroBubble: definition(sources.zeroBubble)(3, 'ratio'),
  /** idle time of DualPipe: (P / this - 1) / this of one stage's forward and backward pass */
  dualPipe: definition(sources.deepseekV3)(2, 'ratio'),
});

/** Time in which the host launches kernels. */
export const launches = numbers({
  /** launches of a backward pass over those of the forward pass */
  backward: judged('two products for one, but fewer small kernels')(1.4, 'ratio'),
  /**
   * further operations of latent attention: a layer takes the host two to three times as long as one with grouped attention
   * (gpt3_mcore_te_tp2_pp2_mla against its neighbours, H100)
   */
  latentAttention: inMegatronCi(10, 'count'),
  /** gaps between kernels that the launches before do not hide */
  gaps: judged('from how kernels follow each other in profiles')(0.5, 'ratio'),
  /** GPUs of a fast domain above which CPUs are slow for their GPUs (Grace Blackwell), so that recipes replay graphs for experts too */
  graphsFrom: judged('from recipes of Megatron-Bridge 067f987: 8 GPUs of an HGX board without, 72 with graphs')(
    8,
    'count',
  ),
});

/** What recomputing runs again, as a share of the layer's own time. */
export const recomputedShare = numbers({
  /** of products, where every second one is run again (torchtitan's selective recompute) */
  everySecond: definition({
    title: 'torchtitan b5bcd76, per-operation selective activation checkpointing',
    date: '2026-11-25',
  })(0.5, 'ratio'),
  /** of products, by experts or by the dense feed-forward network */
  experts: judged('what products of experts are of a layer in published models')(0.7, 'ratio'),
  dense: judged('what feed-forward products are of a layer in published models')(0.6, 'ratio'),
  /** of memory-bound time, by norms, activations or latent projections */
  memoryBound: judged('norms and activations are a third of what a layer moves')(0.35, 'ratio'),
});

/** The rest of what is judged. */
export const estimated = numbers({
  /** share of the peak at which state updates run */
  scan: judged('chunked scans are short products between memory-bound steps')(0.2, 'ratio'),
  /** how often a state update's inputs and outputs are moved, forward and backward */
  scanPasses: {
    forward: judged('inputs are projected, gated and normed around the scan')(3, 'ratio'),
    backward: judged('twice the forward pass')(6, 'ratio'),
  },
  /** bytes for each logit of a fused cross-entropy that makes the logits a chunk at a time */
  fusedLoss: judged('logits written, read and turned into their gradient in 16 bits, once more in fp32')(
    12,
    'byte/element',
  ),
  /** GPUs of a node where the run does not say */
  gpusOfNode: definition({ title: 'HGX and OAM boards carry eight', date: '2026-11-25' })(8, 'count'),
});

// Widths are chosen so that the runs lie within, so those runs are no check of them.
const ofRuns = fitted({
  title: 'chosen so that nine of ten published runs of the kind lie within (scripts/evaluate-time.ts, docs/mfu.md)',
  date: '2026-11-25',
});
const bySource = fitted({
  title: 'chosen after the spread within each source and chip of the published runs of the kind (docs/mfu.md)',
  date: '2026-11-25',
});

const band = (width: number, calibrated: number, name: string) => ({
  width: ofRuns(width, 'log ratio'),
  calibrated: bySource(calibrated, 'log ratio'),
  name,
});

/**
 * Half widths of the error band around a projection. `calibrated`: the same where one measured run of the setup scales the others.
 */
export const bands = numbers({
  dense: band(0.13, 0.11, 'dense, 16 bits'),
  low: band(0.15, 0.13, 'dense, 8 or 4 bits'),
  sparse: band(0.3, 0.18, 'mixture of experts'),
  fineTuning: band(0.28, 0.2, 'eager fine-tuning'),
  /** for each fact that moves the result and that the run leaves open */
  open: judged('what stating one such fact moved among the published runs')(0.03, 'log ratio'),
  /** for kernels that were derived and not measured, and for models like which none was measured */
  derived: judged(
    'public runs on such accelerators, which are not in this repository, are up to 0.62 off; BERT on H200 was 0.67 off and is 0.28',
    '2026-11-28',
  )(0.45, 'log ratio'),
  /** fp8 with a scale for each row or block, which is timed as with one for each tensor */
  recipe: judged(
    'torchtitan b5bcd76, benchmarks/asyncTP_llama3_h100_2025-06: rowwise runs reach 0.66 to 0.74 of what tensorwise ones do, all with tensor parallelism; nothing is known of blocks',
    '2026-11-28',
  )(0.41, 'log ratio'),
  /** PyTorch's ring attention from `tokens` on: torchtitan's runs are up to a third slower than projected */
  ring: { tokens: ofRuns(65_536, 'token'), width: ofRuns(0.2, 'log ratio') },
});
