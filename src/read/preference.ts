import { sayRoles } from './roles.ts';
import type { Stating } from './stating.ts';

/** What a method of preference training puts through the model, and what stands beside it. */
type Method = {
  /** chosen and rejected answers go through the model in one pass, so that a sample is two sequences */
  readonly pairs: boolean;
  /** a frozen copy of the model scores the same answers */
  readonly reference: boolean;
};

/**
 * Methods as trainers name them. TRL f2cd577 (`dpo_trainer.py`, `reward_trainer.py`, experimental `cpo`, `orpo`), LLaMA-Factory
 * (`use_ref_model` of `finetuning_args.py`, `PairwiseDataCollatorWithPadding`), OpenRLHF 3c3be62 (`concatenated_forward`),
 * read 2026-11-28.
 */
const methods: ReadonlyMap<string, Method> = new Map(
  Object.entries({
    dpo: { pairs: true, reference: true },
    ipo: { pairs: true, reference: true },
    orpo: { pairs: true, reference: false },
    cpo: { pairs: true, reference: false },
    simpo: { pairs: true, reference: false },
    rm: { pairs: true, reference: false },
    reward: { pairs: true, reference: false },
    kto: { pairs: false, reference: true },
    bco: { pairs: false, reference: true },
    grpo: { pairs: false, reference: true },
    ppo: { pairs: false, reference: true },
  }),
);

const programs = /(?:^|[\s/_-])(dpo|orpo|cpo|kto|bco|reward)(?=\.py|_|\s|$)/;

/** The method that a launched program is called by (`trl dpo`, `scripts/run_orpo.py`). */
export function methodLaunched(program: string): string | undefined {
  return programs.exec(program.slice(0, 500))?.[1];
}

/**
 * Says what a method trains on. Adapters need no copy: the base without them is the reference.
 *
 * @param method a name of the table; others say nothing
 * @param key of the file that names it; a launched program has none
 */
export function sayPreference(say: Stating, method: string, key: string, adapters: boolean): void {
  const found = methods.get(method);
  if (found === undefined) return;
  const reason = `${method} puts the chosen and the rejected answer through the model in one pass`;
  if (found.pairs) {
    if (say.at(key) === undefined) say.byDefault('sequences_per_sample', 2, reason);
    else say.runIs('sequences_per_sample', 2, key);
  }
  if (found.reference && !adapters)
    sayRoles(say, [{ role: 'reference', held: { holds: 'weights' }, key, source: `${method} trains against it` }]);
}
