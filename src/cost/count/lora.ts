import { bytesOf } from '../../facts/precisions.ts';
import type { Component, Role } from '../../model/architecture.ts';
import type { Cost } from '../../model/estimate.ts';
import { blockOf, type Linear, type Operation, type Operations } from '../../model/operation.ts';
import type { Lora, TrainingRun } from '../../model/run.ts';
import type { Adapters } from '../../setup/start/rule.ts';
import { type Parameters, parameters } from '../../units.ts';
import { mainNetwork } from './weights.ts';

/** One matrix of a layer: the block it stands in, and what it is there. */
type Module = { readonly block: Component; readonly role: Role };

const of =
  (block: Component) =>
  (...roles: readonly Role[]): readonly Module[] =>
    roles.map((role) => ({ block, role }));
const attention = of('attention');
const mlp = of('feed_forward');
const shared = of('shared_experts');
const experts = of('experts');
const mixer = of('state_space');

/** Module names of PEFT's `target_modules`, and the matrices that each one is. */
const modules: Readonly<Record<string, readonly Module[]>> = {
  q_proj: attention('query'),
  q_a_proj: attention('query_down'),
  q_b_proj: attention('query_up'),
  k_proj: attention('key'),
  v_proj: attention('value'),
  kv_a_proj_with_mqa: attention('key_value_down'),
  kv_b_proj: attention('key_value_up'),
  o_proj: attention('attention_output'),
  out_proj: [...attention('attention_output'), ...mixer('mixer_out')],
  in_proj: mixer('mixer_in'),
  x_proj: mixer('selection'),
  dt_proj: mixer('time_step'),
  dense: attention('attention_output'),
  qkv_proj: attention('query', 'key', 'value'),
  query_key_value: attention('query', 'key', 'value'),
  c_attn: attention('query', 'key', 'value'),
  Wqkv: attention('query', 'key', 'value'),
  c_proj: [...attention('attention_output'), ...mlp('down')],
  gate_proj: [...mlp('gate'), ...shared('gate')],
  up_proj: [...mlp('up'), ...shared('up')],
  down_proj: [...mlp('down'), ...shared('down')],
  gate_up_proj: mlp('gate', 'up'),
  c_fc: mlp('up'),
  fc_in: mlp('up'),
  fc_out: mlp('down'),
  fc1: mlp('up'),
  fc2: mlp('down'),
  dense_h_to_4h: mlp('up'),
  dense_4h_to_h: mlp('down'),
  // BERT and T5.
  query: attention('query'),
  key: attention('key'),
  value: attention('value'),
  q: attention('query'),
  k: attention('key'),
  v: attention('value'),
  o: attention('attention_output'),
  wi: mlp('up'),
  wi_0: mlp('gate'),
  wi_1: mlp('up'),
  wo: mlp('down'),
  w1: [...experts('gate'), ...mlp('gate')],
  w2: [...experts('down'), ...mlp('down')],
  w3: [...experts('up'), ...mlp('up')],
  gate: of('router')('router'),
  router: of('router')('router'),
  lm_head: of('output')('unembedding'),
};

/** Names of one matrix that holds several of ours: it has one adapter, whose first factor they share. */
const joined = new Set(['qkv_proj', 'query_key_value', 'c_attn', 'Wqkv', 'gate_up_proj']);

/** The targets that name this matrix. */
function targetsOf(operation: Linear, lora: Lora): readonly string[] {
  if (lora.targets.includes('all-linear')) return operation.component === 'output' ? [] : ['all-linear'];
  return lora.targets.filter((target) =>
    (Object.hasOwn(modules, target) ? (modules[target] ?? []) : []).some(
      ({ block, role }) => role === operation.role && block === blockOf(operation),
    ),
  );
}

/** Whether a target is a name that PEFT's models have. */
const isKnownTarget = (target: string): boolean => target === 'all-linear' || Object.hasOwn(modules, target);

/** The adapters of a run, as the rules of its start look at them. */
export const adaptersOf = ({ parameters, run: { run } }: Pick<Cost, 'parameters' | 'run'>): Adapters | undefined =>
  run.lora && { elements: parameters.trainable, strange: run.lora.targets.some((target) => !isKnownTarget(target)) };

/** True where the adapter's targets name this matrix. */
export const isTarget = (operation: Linear, lora: Lora): boolean => targetsOf(operation, lora).length > 0;

/** Bytes of an element of a frozen base: quantised, or in the dtype that weights are kept in, which runs in fp32 have in fp32. */
export function baseBytes({ lora, weightsDtype, precision }: TrainingRun): number {
  if (lora?.baseBits === 4) return bytesOf.nf4;
  if (lora?.baseBits === 8) return 1;
  return weightsDtype === undefined ? (precision === 'fp32' ? 4 : 2) : bytesOf[weightsDtype];
}

/**
 * Bytes of an adapter's element: PEFT makes adapters fp32 over a 16-bit base (`autocast_adapter_dtype`); shards of flat
 * parameters need one dtype, so there they have that of the base, 16 bits of a quantised one.
 */
export const adapterBytes = (run: TrainingRun): number =>
  run.sharding === 'full' && run.gpus > 1 ? Math.max(2, baseBytes(run)) : 4;

/**
 * Elements of one matrix's adapter (Hu et al. 2021, arXiv:2106.09685), for each copy: A (`down`) rank x rows, B (`up`)
 * columns x rank. Of matrices that are stored as one, the first has A.
 */
function adapterOf(operation: Operation, lora: Lora): { readonly down: number; readonly up: number } {
  if (operation.kind !== 'linear') return { down: 0, up: 0 };
  const targets = targetsOf(operation, lora);
  if (targets.length === 0) return { down: 0, up: 0 };
  const one = operation.storedFused === true && operation.fusedWith !== undefined && operation.sharding !== 'expert';
  const shared =
    one && targets.some((target) => joined.has(target) || target === 'all-linear') && !leadsProduct(operation);
  return { down: shared ? 0 : lora.rank * operation.rows, up: lora.rank * operation.columns };
}

/** The first of the matrices that are one product: the query, or the gate of a feed-forward network. */
export const leadsProduct = ({ role }: Operation): boolean =>
  role === 'query' || role === 'query_up' || role === 'gate';

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
