import type { Component, DenseFeedForward, Experts } from '../../model/architecture.ts';
import type { Operation, Tensor } from '../../model/operation.ts';
import { activate, type Block, linear, project, read, tensor } from './pieces.ts';

/** One feed-forward network of every token. */
export const dense = (part: DenseFeedForward, stream: Tensor): Block =>
  feedForward(part.component ?? 'feed_forward', read(stream, part.inputWidth), part);

/** down(act(gate x) * up x), or down(act(up x)) without a gate (Shazeer 2020). */
function* feedForward(
  component: Component,
  input: Tensor,
  part: Pick<DenseFeedForward, 'inputWidth' | 'width' | 'gated' | 'activation' | 'bias' | 'fused'>,
): Block {
  const { inputWidth: D, width: F, gated } = part;
  const name = component === 'feed_forward' ? '' : `${component}_`;
  const fusedWith = gated ? `${name}gate_up` : undefined;
  const of = (which: 'gate' | 'up') =>
    linear({
      path: `${component}.${which}`,
      role: which,
      rows: D,
      columns: F,
      bias: part.bias.up,
      component,
      input,
      output: tensor(`${name}${which}`, F, 'tensor'),
      fusedWith,
      storedFused: part.fused,
    });
  const gate = gated ? yield* of('gate') : undefined;
  const up = yield* of('up');
  const output = tensor(`${name}act`, F, 'tensor');
  const act = yield* activate(`${component}.activation`, component, part, { up, gate, output });
  return yield* project({
    path: `${component}.down`,
    role: 'down',
    rows: F,
    columns: D,
    bias: part.bias.down,
    component,
    input: act,
  });
}

/**
 * k of E experts for each token, and the shared ones for all (Shazeer et al. 2017; DeepSeekMoE, arXiv:2401.06066).
 *
 * @param width of the residual stream, which the router reads unless the part says otherwise
 */
export function* experts(part: Experts, stream: Tensor, width: number): Block {
  const { inputWidth: D, routerWidth = width } = part;
  const routed = read(stream, routerWidth);
  const input = D === routerWidth ? routed : D === stream.elements ? stream : tensor('latent', D, 'residual');
  yield* router(part, routed);
  const output = yield* chosen(part, input);
  yield* alwaysOn(part, input, routed);
  return output;
}

function* router(part: Experts, input: Tensor): Generator<Operation, void> {
  const component = 'router';
  const choices = part.experts + (part.zeroExperts ?? 0);
  const logits = yield* linear({
    path: 'router',
    role: 'router',
    rows: input.elements,
    columns: choices,
    bias: part.bias.router,
    component,
    input,
    output: tensor('router_logits', choices, 'residual'),
    sharding: 'replicated',
  });
  const parameters = part.correctionBias ? choices : 0;
  yield {
    kind: 'route',
    path: 'router.choice',
    component,
    experts: choices,
    active: part.active,
    parameters,
    input: logits,
  };
}

/** Of the chosen experts those that compute, where routing is balanced: LongCat-Flash's k E / (E + Z) (arXiv:2509.01322, 2.1). */
const realChoices = ({ experts: E, active: k, zeroExperts: Z = 0 }: Experts): number =>
  Z === 0 ? k : Math.max(1, Math.round((k * E) / (E + Z)));

/** The k experts that a token is sent to: each token is k rows. */
function* chosen(part: Experts, input: Tensor): Block {
  const { inputWidth: D, experts: E, width: F, gated } = part;
  const component = 'experts';
  const k = realChoices(part);
  const copies = { copies: E, used: k, sharding: 'expert', component } as const;
  const exchange = { component, width: D, experts: E, active: k } as const;
  const sent = tensor('permuted', k * D, 'routed');
  yield { kind: 'dispatch', path: 'experts.dispatch', ...exchange, input, output: sent };
  const of = (which: 'gate' | 'up') =>
    linear({
      ...copies,
      path: `experts.${which}`,
      role: which,
      rows: D,
      columns: F,
      bias: part.bias.up,
      input: sent,
      output: tensor(`expert_${which}`, k * F, 'routed'),
      fusedWith: gated ? 'expert_gate_up' : undefined,
      storedFused: true,
    });
  const gate = gated ? yield* of('gate') : undefined;
  const up = yield* of('up');
  const act = yield* activate('experts.activation', component, part, {
    up,
    gate,
    output: tensor('expert_act', k * F, 'routed'),
  });
  const out = yield* linear({
    ...copies,
    path: 'experts.down',
    role: 'down',
    rows: F,
    columns: D,
    bias: part.bias.down,
    input: act,
    output: tensor('expert_out', k * D, 'routed'),
  });
  const output = tensor('experts_out', D, 'residual');
  yield { kind: 'combine', path: 'experts.combine', ...exchange, input: out, output };
  return output;
}

/** The shared experts: one network as wide as all of them, with or without a learned scale. */
function* alwaysOn(part: Experts, input: Tensor, routed: Tensor): Generator<Operation, void> {
  const { shared, gated, activation } = part;
  if (!shared) return;
  const { bias = part.bias } = shared;
  const onInput = shared.inputWidth === input.elements;
  const inputWidth = shared.inputWidth ?? routed.elements;
  const component = 'shared_experts';
  yield* feedForward(component, onInput ? input : routed, { inputWidth, width: shared.width, gated, activation, bias });
  if (!shared.gate) return;
  yield* linear({
    path: `${component}.scale`,
    role: 'shared_expert_scale',
    rows: routed.elements,
    columns: shared.count ?? 1,
    bias: false,
    component,
    input: routed,
    output: tensor('shared_scale', shared.count ?? 1, 'residual'),
    sharding: 'replicated',
  });
}
