import type { Stating } from './stating.ts';

/** What reinforcement learning keeps beside the model that it trains. The figures are of the actor's update; the rest is told. */
export type Role = {
  readonly role: 'reference' | 'critic' | 'reward model' | 'rollout engine' | 'teacher';
  /** where it is and how large, in a sentence's words */
  readonly size: string;
};

/** A frozen copy of the weights in 16 bits, divided over GPUs. */
export const frozen = (gpus: number | undefined): string =>
  `2 bytes for each parameter, divided over ${gpus === undefined ? 'the GPUs' : `${gpus} GPUs`}`;

/** A model that is trained too: 16-bit weights and gradients, fp32 copy and Adam's two states. */
export const trainedToo = (gpus: number | undefined): string =>
  `about 16 bytes for each of its parameters, divided over ${gpus === undefined ? 'the GPUs' : `${gpus} GPUs`}, in an update of its own`;

/** An inference engine's share of each GPU. */
export const share = (fraction: number | undefined, source: string): string =>
  fraction === undefined
    ? `its share of each GPU is the engine’s default (${source})`
    : `${Math.round(fraction * 100)} % of each GPU’s memory while it generates`;

export function sayRoles(say: Stating, roles: readonly Role[]): void {
  for (const { role, size } of roles) say.assume(role, 'not in the figures', `they are of the actor’s update; ${size}`);
  if (roles.length > 0)
    say.warn(
      `The figures are of the actor’s update alone; the same GPUs also hold the ${roles.map(({ role }) => role).join(', ')}, as the assumptions say.`,
    );
}
