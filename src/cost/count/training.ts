import { frameworks } from '../../facts/frameworks.ts';
import { blockOf, type Operation, type Operations, type Tensor } from '../../model/operation.ts';
import type { Lora, TrainingRun } from '../../model/run.ts';
import { type AttentionConvention, forwardFlops, keysMet, uncounted } from './forward.ts';
import { adapterFlops } from './lora.ts';

type Pass = { readonly sequenceLength: number; readonly lora: Lora; readonly convention: AttentionConvention };

/** One operation list of a model in training, and how often its work is done for a token. */
export type Trained = { readonly operation: Operation; readonly times: number };

/**
 * Lists that training runs, in the order in which a token meets them: the main network, then multi-token prediction with the
 * output projection that each depth computes once more.
 */
export function* trainedLists(
  operations: Operations,
  run: TrainingRun,
): Generator<{ readonly list: readonly Operation[]; readonly times: number }> {
  yield { list: operations.embedding, times: 1 };
  for (const kind of operations.order) yield { list: operations.layers[kind]?.operations ?? [], times: 1 };
  yield { list: operations.head, times: 1 };
  if (run.mtp === false) return;
  yield { list: operations.prediction, times: 1 };
  yield { list: operations.head.filter(isProjection), times: operations.predictionDepth };
}

const isProjection = (operation: Operation): boolean => operation.kind === 'linear' && operation.component === 'output';

/**
 * Training FLOPs for one token: forward, and the gradients of every product's two factors, which is twice the forward pass.
 *
 * With adapters (LoRA, arXiv:2106.09685) less is computed: a frozen matrix needs no gradient of its weights, and nothing
 * needs a gradient where no trained weight lies before it. So the first layer's query projection, say, computes no backward
 * pass at all in its frozen part. (Checkpointing with `enable_input_require_grads` would compute it; we do not count that.)
 */
export function trainingFlops(operations: Operations, run: TrainingRun, convention: AttentionConvention): number {
  const { sequenceLength, lora } = run;
  let total = 0;
  let below = false;
  const known = new Map<readonly Operation[], Map<boolean, Adapted>>();
  const forward = new Map<readonly Operation[], readonly number[]>();
  for (const { list, times } of trainedLists(operations, run)) {
    if (lora === undefined) {
      const each = forward.get(list) ?? list.map((operation) => forwardFlops(operation, sequenceLength, convention));
      forward.set(list, each);
      for (const flops of each) total += 3 * times * flops;
      continue;
    }
    const states = known.get(list) ?? new Map<boolean, Adapted>();
    const adapted: Adapted = states.get(below) ?? adaptedFlops(list, { sequenceLength, lora, convention }, below);
    known.set(list, states.set(below, adapted));
    total += times * adapted.flops;
    below = adapted.above;
  }
  return total;
}

/** `above`: what comes out depends on a trained weight, so that all that follows needs gradients of its inputs. */
type Adapted = { readonly flops: number; readonly above: boolean };

/** Forward and backward FLOPs of one list with frozen weights and adapters; `below` says that its input needs a gradient. */
function adaptedFlops(list: readonly Operation[], pass: Pass, below: boolean): Adapted {
  /** Tensors that an operation made, by name, and whether they need a gradient. */
  const needs = new Map<string, boolean>();
  let above = below;
  let flops = 0;
  // A tensor that no operation made is a view of something before it.
  const needed: Needed = (tensor) =>
    tensor !== undefined && (tensor.stream === 'input' ? below : (needs.get(tensor.name) ?? above));
  for (const operation of list) {
    flops += forwardFlops(operation, pass.sequenceLength, pass.convention);
    flops += furtherFlops(operation, pass, needed, above);
    if (!('output' in operation)) continue;
    const output = needsGradient(operation, pass.lora, needed, above);
    if (output !== undefined) needs.set(operation.output.name, output);
    if (operation.kind === 'linear') above ||= output === true;
  }
  return { flops, above };
}

/** Whether a tensor needs a gradient. */
type Needed = (tensor: Tensor | undefined) => boolean;

/** FLOPs of an operation's backward pass and of its adapter, besides its own forward pass. */
function furtherFlops(operation: Operation, pass: Pass, needed: Needed, above: boolean): number {
  const { sequenceLength: S, lora, convention } = pass;
  const forward = forwardFlops(operation, S, convention);
  switch (operation.kind) {
    case 'linear': {
      const input = needed(operation.input);
      const adapter = adapterFlops(operation, lora);
      return (input ? forward : 0) + 3 * (adapter.down + adapter.up) - (input ? 0 : adapter.down);
    }
    case 'attention': {
      const [query, key, value] = [operation.query, operation.key, operation.value].map(needed);
      const each = 2 * operation.heads * keysMet(operation, S, convention);
      // Query and key each need one product of their own, and both need the gradient of the scores.
      const scores = each * operation.queryKeyDim * (Number(query) + Number(key));
      return scores + each * operation.valueDim * (Number(query || key) + Number(value));
    }
    case 'scan':
      return needed(operation.input) ? 2 * forward : 0;
    case 'vector':
      return above ? forward : 0;
    default:
      return uncounted(operation);
  }
}

/** Whether what an operation gives needs a gradient; undefined where it gives no tensor of a token that depends on others. */
function needsGradient(operation: Operation, lora: Lora, needed: Needed, above: boolean): boolean | undefined {
  switch (operation.kind) {
    case 'linear':
      return needed(operation.input) || adapterFlops(operation, lora).up > 0;
    case 'attention':
      return [operation.query, operation.key, operation.value].some(needed);
    case 'activation':
      return needed(operation.input) || needed(operation.gate);
    case 'scan':
    case 'norm':
    case 'dispatch':
    case 'combine':
      return needed(operation.input);
    case 'add':
      return above;
    case 'rope':
    case 'route':
    case 'table':
    case 'vector':
    case 'loss':
      return undefined;
  }
}

/**
 * What recompute executes once more in the backward pass, for a token. Hardware FLOPs (HFU) count it; model FLOPs (MFU) do
 * not (Chowdhery et al. 2022, arXiv:2204.02311, appendix B).
 *
 * - full: whole layers: all, the first `recomputeLayers` of each pipeline stage (`block`), or each n-th (`every`)
 * - selective, Megatron: the modules that the run names, by default the attention core (Korthikanti et al. 2022)
 * - selective, elsewhere: torchtitan's choice, which keeps attention and every second matrix product
 *
 * PyTorch's own checkpoint may stop early and leave out a layer's last product; that saving is not counted.
 */
export function recomputedFlops(operations: Operations, run: TrainingRun, convention: AttentionConvention): number {
  if (run.recompute === 'none') return 0;
  const again = (list: readonly Operation[]) =>
    chosen(list, run).reduce((sum, operation) => {
      const adapter = run.lora === undefined ? { down: 0, up: 0 } : adapterFlops(operation, run.lora);
      return sum + forwardFlops(operation, run.sequenceLength, convention) + adapter.down + adapter.up;
    }, 0);
  const costs = operations.layers.map((layer) => again(layer.operations));
  const layers = operations.order.reduce(
    (sum, kind, index) => sum + (isRecomputed(index, operations.order.length, run) ? (costs[kind] ?? 0) : 0),
    0,
  );
  return layers + (run.mtp === false ? 0 : again(operations.prediction));
}

/** Whether full recompute takes the layer at this index (0-based). */
function isRecomputed(index: number, layers: number, run: TrainingRun): boolean {
  const n = Math.max(1, run.recomputeLayers ?? 1);
  if (run.recompute !== 'full') return true;
  if (run.recomputeMethod === 'every') return (index + 1) % n === 0;
  if (run.recomputeMethod !== 'block' || run.recomputeLayers === undefined) return true;
  const stages = run.parallelism.pipeline * run.parallelism.virtualPipeline;
  const perStage = Math.ceil(layers / stages);
  return index % perStage < run.recomputeLayers;
}

function chosen(list: readonly Operation[], run: TrainingRun): readonly Operation[] {
  if (run.recompute === 'full') return list;
  if (frameworks[run.framework].selective === 'modules') {
    const modules = recomputedModules(run);
    return list.filter((operation) => modules.some((name) => holdsProducts(name, operation, list)));
  }
  let seen = 0;
  return list.filter((operation) => {
    if (operation.kind !== 'linear') return operation.kind === 'scan';
    if (operation.sharding === 'expert' || operation.role === 'router') return true;
    seen += 1;
    return seen % 2 === 0;
  });
}

/** Modules that selective recompute makes again: those that the run names, else Megatron's default. */
export const recomputedModules = (run: TrainingRun): readonly string[] => run.recomputeModules ?? ['core_attn'];

/**
 * Whether an operation with products belongs to one of Megatron-Core's `--recompute-modules` (Megatron-LM d98e8a6,
 * core/transformer/transformer_config.py). Modules of norms and activations have no products.
 */
function holdsProducts(module: string, operation: Operation, list: readonly Operation[]): boolean {
  const block = blockOf(operation);
  switch (module) {
    case 'core_attn':
      return operation.kind === 'attention';
    case 'mla_up_proj':
      return expandsLatent(operation, list);
    case 'mlp':
      return block === 'feed_forward';
    case 'moe':
      return block === 'experts' || block === 'shared_experts' || block === 'router' || operation.role === 'router';
    case 'shared_experts':
      return block === 'shared_experts';
    default:
      return false;
  }
}

/** Megatron's `mla_up_proj`: matrices that make a layer's queries, keys and values where attention is latent or queries compressed. */
export function expandsLatent({ kind, role }: Operation, list: readonly Operation[]): boolean {
  if (kind !== 'linear') return false;
  if (role === 'query') return list.some((one) => one.kind === 'attention' && one.variant === 'latent');
  return role === 'query_up' || role === 'key_value_up';
}
