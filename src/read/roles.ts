import type { Colocated, ColocatedRole, Rollout } from '../model/run.ts';
import type { Stating } from './stating.ts';

/** A model of another role on the trained model's GPUs, as a file has it. */
export type Role = {
  readonly role: ColocatedRole;
  /** what it keeps on the GPU; undefined where it is on the CPU while it rests */
  readonly held: Colocated | undefined;
  /** the key that says so, as far as the file has one, and what says it else */
  readonly key: string;
  readonly source: string;
};

/** An inference engine on the same GPUs. */
export type Engine = Omit<Rollout, 'share'> & {
  /** undefined where neither the file nor the framework says it */
  readonly share: number | undefined;
  readonly key: string;
  readonly source: string;
};

/** Says which models and which engine share the GPUs with the trained model. */
export function sayRoles(say: Stating, roles: readonly Role[], engine?: Engine): void {
  sayModels(say, roles);
  if (engine !== undefined) sayEngine(say, engine);
  if (roles.length > 0 || engine !== undefined)
    say.assume('throughput', 'of the update alone', 'what generates and scores answers takes time of its own');
}

function sayModels(say: Stating, roles: readonly Role[]): void {
  const held: { [role in ColocatedRole]?: Colocated } = {};
  for (const { role, held: own } of roles) {
    if (own === undefined) say.assume(`colocated.${role}`, 'on the CPU', `while it rests it is not on the GPU`);
    else {
      held[role] = own;
      if (role !== 'reference')
        say.assume(`colocated.${role}.parameters`, 'those of the trained model', 'its size is not in the file');
    }
  }
  const first = roles.find(({ held: own, key }) => own !== undefined && say.at(key) !== undefined);
  const any = roles.find(({ held: own }) => own !== undefined);
  if (first !== undefined) say.runIs('colocated', held, first.key);
  else if (any !== undefined) say.byDefault('colocated', held, any.source);
}

function sayEngine(say: Stating, { share, beside, sleeps, key, source }: Engine): void {
  if (share === undefined) {
    say.warn(
      `Nothing says which share of each GPU the inference engine takes (${key}), so that the figures are of the update alone.`,
      key,
    );
    return;
  }
  const rollout = { share, beside, ...(sleeps === undefined ? {} : { sleeps }) };
  if (say.at(key) === undefined) say.byDefault('rollout', rollout, source);
  else say.runIs('rollout', rollout, key);
}
