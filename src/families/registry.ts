import type { Dictionary } from '../text/fields.ts';
import type { Family } from './build.ts';
import { classDefaults } from './defaults.ts';
import { denseFamilies } from './dense.ts';
import { encoderFamilies } from './encoders.ts';
import { expertFamilies } from './experts.ts';
import { hybridFamilies } from './hybrid.ts';
import { latentFamilies } from './latent.ts';
import { plannedFamilies } from './layer-plans.ts';
import { linearFamilies } from './linear.ts';
import { wholes } from './multimodal.ts';
import { legacyFamilies } from './pre-llama.ts';
import { qwen4Families } from './qwen4.ts';
import { recurrentFamilies } from './recurrent.ts';
import { remoteFamilies } from './remote-code.ts';
import { stepFamilies } from './stepfun.ts';
import { sameAs, textFamilies } from './text-models.ts';

/** Every family with a row of its own, by `model_type`, in one table each. */
export const familyTables: readonly Readonly<Record<string, Family>>[] = [
  denseFamilies,
  expertFamilies,
  legacyFamilies,
  latentFamilies,
  recurrentFamilies,
  hybridFamilies,
  qwen4Families,
  stepFamilies,
  encoderFamilies,
  textFamilies,
  remoteFamilies,
  linearFamilies,
  plannedFamilies,
];

const rows: Readonly<Record<string, Family>> = Object.fromEntries(
  familyTables.flatMap((table) => Object.entries(table)),
);

export const familyNames: readonly string[] = [
  ...new Set([...Object.keys(rows), ...Object.keys(sameAs), ...Object.keys(wholes)]),
].sort();

export const findFamily = (modelType: string): Family | undefined =>
  Object.hasOwn(rows, modelType)
    ? rows[modelType]
    : Object.hasOwn(sameAs, modelType)
      ? rows[sameAs[modelType] ?? '']
      : undefined;

/** What a family's own code takes for absent keys. */
export function defaultsFor(modelType: string, family: Family | undefined): Dictionary {
  const wanted = family?.defaultsOf ?? modelType;
  const found = pick(classDefaults, wanted);
  const other = Object.hasOwn(sameAs, wanted) ? sameAs[wanted] : undefined;
  return found ?? (other === undefined ? {} : defaultsFor(other, findFamily(other)));
}

const pick = (table: Readonly<Record<string, Dictionary>>, key: string): Dictionary | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined;
