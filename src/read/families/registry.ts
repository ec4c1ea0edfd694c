import { type Dictionary, own } from '../fields.ts';
import type { Family } from './build.ts';
import { classDefaults } from './defaults.ts';
import { denseFamilies } from './dense.ts';
import { encoderFamilies } from './encoders.ts';
import { expertFamilies } from './experts.ts';
import { hybridFamilies } from './hybrid.ts';
import { latentFamilies } from './latent.ts';
import { legacyFamilies } from './legacy.ts';
import { phi4Families } from './phi4.ts';
import { plannedFamilies } from './plans.ts';
import { recurrentFamilies } from './recurrent.ts';
import { stepFamilies } from './step.ts';

/** Every family with a row of its own, by `model_type`. */
const rows: Readonly<Record<string, Family>> = {
  ...denseFamilies,
  ...expertFamilies,
  ...legacyFamilies,
  ...latentFamilies,
  ...recurrentFamilies,
  ...hybridFamilies,
  ...phi4Families,
  ...stepFamilies,
  ...encoderFamilies,
  ...plannedFamilies,
};

export const familyNames: readonly string[] = Object.keys(rows).sort();

export const findFamily = (modelType: string): Family | undefined =>
  Object.hasOwn(rows, modelType) ? rows[modelType] : undefined;

/** What a family's own code takes for absent keys. */
export function defaultsFor(modelType: string, family: Family | undefined): Dictionary {
  const wanted = family?.defaultsOf ?? modelType;
  const found = own(classDefaults, wanted);
  return (found as Dictionary | undefined) ?? {};
}
