import type { Linear, Operation, Operations } from '../model/operation.ts';
import type { Lora } from '../model/training.ts';
import { type Parameters, parameters } from '../units.ts';
import { mainNetwork } from './holdings.ts';

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
  out_proj: ['attention.output'],
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
  w1: ['experts.gate', 'feed_forward.gate'],
  w2: ['experts.down', 'feed_forward.down'],
  w3: ['experts.up', 'feed_forward.up'],
  gate: ['router'],
  router: ['router'],
  lm_head: ['output'],
};

/** True where the adapter's targets name this matrix. */
export function isTarget(operation: Linear, lora: Lora): boolean {
  if (lora.targets.includes('all-linear')) return operation.component !== 'output';
  return lora.targets.some((target) =>
    (modules[target] ?? []).some((path) => operation.path === path || operation.path.endsWith(`.${path}`)),
  );
}

/** With adapters, every weight of the base model is frozen. */
export const isFrozen = (_operation: Operation, lora: Lora | undefined): boolean => lora !== undefined;

/** A and B of one matrix: rank (rows + columns) elements for each copy (Hu et al. 2021, arXiv:2106.09685). */
export function adapterElements(operation: Operation, lora: Lora): number {
  if (operation.kind !== 'linear' || !isTarget(operation, lora)) return 0;
  return lora.rank * (operation.rows + operation.columns);
}

/** Trained parameters of all adapters. */
export function adapterParameters(operations: Operations, lora: Lora): Parameters {
  let total = 0;
  for (const { operation, times } of mainNetwork(operations)) {
    if (operation.kind === 'linear') total += times * operation.copies * adapterElements(operation, lora);
  }
  return parameters(total);
}
