import type { Linear, Operation, Operations } from '../../model/operation.ts';
import type { Lora, TrainingRun } from '../../model/run.ts';
import { type Parameters, parameters } from '../../units.ts';
import { mainNetwork } from './weights.ts';

/** Module names of PEFT's `target_modules`, and the operation that each one is, by the end of its path. */
const modules: Readonly<Record<string, readonly string[]>> = {
  q_proj: ['attention.query', 'attention.query_up'],
  q_a_proj: ['attention.query_down'],
  q_b_proj: ['attention.query_up'],
  k_proj: ['attention.key'],
  v_proj: ['attention.value'],
  kv_a_proj_with_mqa: ['attention.key_value_down'],
  kv_b_proj: ['attention.key_value_up'],
  o_proj: ['attention.output'],
  out_proj: ['attention.output', 'state_space.out'],
  in_proj: ['state_space.in'],
  x_proj: ['state_space.selection'],
  dt_proj: ['state_space.time_step'],
  dense: ['attention.output'],
  qkv_proj: ['attention.query', 'attention.key', 'attention.value'],
  query_key_value: ['attention.query', 'attention.key', 'attention.value'],
  c_attn: ['attention.query', 'attention.key', 'attention.value'],
  Wqkv: ['attention.query', 'attention.key', 'attention.value'],
  c_proj: ['attention.output', 'feed_forward.down'],
  gate_proj: ['feed_forward.gate', 'shared_experts.gate'],
  up_proj: ['feed_forward.up', 'shared_experts.up'],
  down_proj: ['feed_forward.down', 'shared_experts.down'],
  gate_up_proj: ['feed_forward.gate', 'feed_forward.up'],
  c_fc: ['feed_forward.up'],
  fc_in: ['feed_forward.up'],
  fc_out: ['feed_forward.down'],
  fc1: ['feed_forward.up'],
  fc2: ['feed_forward.down'],
  dense_h_to_4h: ['feed_forward.up'],
  dense_4h_to_h: ['feed_forward.down'],
  // BERT and T5.
  query: ['attention.query'],
  key: ['attention.key'],
  value: ['attention.value'],
  q: ['attention.query'],
  k: ['attention.key'],
  v: ['attention.value'],
  o: ['attention.output'],
  wi: ['feed_forward.up'],
  wi_0: ['feed_forward.gate'],
  wi_1: ['feed_forward.up'],
  wo: ['feed_forward.down'],
  w1: ['experts.gate', 'feed_forward.gate'],
  w2: ['experts.down', 'feed_forward.down'],
  w3: ['experts.up', 'feed_forward.up'],
  gate: ['router'],
  router: ['router'],
  lm_head: ['output'],
};

/** Names of one matrix that holds several of ours: it has one adapter, whose first factor they share. */
const joined = new Set(['qkv_proj', 'query_key_value', 'c_attn', 'Wqkv', 'gate_up_proj']);

/** The targets that name this matrix. */
function targetsOf(operation: Linear, lora: Lora): readonly string[] {
  if (lora.targets.includes('all-linear')) return operation.component === 'output' ? [] : ['all-linear'];
  // DeepSeek's `q_proj` exists only where queries are not compressed.
  const compressed = operation.input.name.endsWith('query_down_norm_out');
  // A decoder's second attention has the names of its first.
  const here = operation.path.replace('cross_attention.', 'attention.');
  return lora.targets.filter(
    (target) =>
      !(target === 'q_proj' && compressed) &&
      ((Object.hasOwn(modules, target) ? modules[target] : undefined) ?? []).some(
        (path) => here === path || here.endsWith(`.${path}`),
      ),
  );
}

/** True where the adapter's targets name this matrix. */
export const isTarget = (operation: Linear, lora: Lora): boolean => targetsOf(operation, lora).length > 0;

/**
 * Bytes of an adapter's element: PEFT makes adapters fp32 over a 16-bit base (`autocast_adapter_dtype`); shards of flat
 * parameters need one dtype, so there they are 16-bit as the base.
 */
export const adapterBytes = (run: TrainingRun): number => (run.sharding === 'full' && run.gpus > 1 ? 2 : 4);

/** With adapters, every weight of the base model is frozen. */
export const isFrozen = (_operation: Operation, lora: Lora | undefined): boolean => lora !== undefined;

/**
 * Elements of one matrix's adapter (Hu et al. 2021, arXiv:2106.09685), for each copy: A (`down`) rank x rows, B (`up`)
 * columns x rank. Of matrices that are stored as one, the first has A.
 */
function adapterOf(operation: Operation, lora: Lora): { readonly down: number; readonly up: number } {
  if (operation.kind !== 'linear') return { down: 0, up: 0 };
  const targets = targetsOf(operation, lora);
  if (targets.length === 0) return { down: 0, up: 0 };
  const one = operation.storedFused === true && operation.fusedWith !== undefined && operation.sharding !== 'expert';
  const shared = one && targets.some((target) => joined.has(target) || target === 'all-linear') && !leads(operation);
  return { down: shared ? 0 : lora.rank * operation.rows, up: lora.rank * operation.columns };
}

/** True for the first of the matrices that are stored as one: the query, and the gate of a feed-forward network. */
const leads = ({ path }: Linear): boolean => /(attention\.query|(?<!attention)\.gate)$/.test(path);

/** Elements of the adapter of one matrix, for each copy of it. */
export function adapterElements(operation: Operation, lora: Lora): number {
  const { down, up } = adapterOf(operation, lora);
  return down + up;
}

/** Forward FLOPs of the two factors of an adapter, for a token. */
export function adapterFlops(operation: Operation, lora: Lora): { readonly down: number; readonly up: number } {
  const { down, up } = adapterOf(operation, lora);
  const used = operation.kind === 'linear' ? operation.used : 0;
  return { down: 2 * used * down, up: 2 * used * up };
}

/** Trained parameters of all adapters. */
export function adapterParameters(operations: Operations, lora: Lora): Parameters {
  let total = 0;
  for (const { operation, times } of mainNetwork(operations)) {
    if (operation.kind === 'linear') total += times * operation.copies * adapterElements(operation, lora);
  }
  return parameters(total);
}
