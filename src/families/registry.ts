import type { Dictionary, Reader } from '../text/fields.ts';
import { classDefaults, namesOf } from './defaults.ts';
import { denseFamilies } from './dense.ts';
import { encoderFamilies } from './encoders.ts';
import { expertFamilies } from './experts.ts';
import type { Family } from './family.ts';
import { hybridFamilies } from './hybrid.ts';
import { latentFamilies } from './latent.ts';
import { plannedFamilies } from './layer-plans.ts';
import { linearFamilies } from './linear.ts';
import { composites } from './multimodal.ts';
import { legacyFamilies } from './pre-llama.ts';
import { qwen4Families } from './qwen4.ts';
import { recurrentFamilies } from './recurrent.ts';
import { namesOfRemoteCode, remoteFamilies } from './remote-code.ts';
import { decoderVariants, remoteDecoders } from './remote-decoders.ts';
import { names } from './shape.ts';
import { stepFamilies } from './stepfun.ts';
import { textEncoderFamilies, textEncoderVariants } from './text-encoders.ts';
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
  textEncoderFamilies,
  textFamilies,
  remoteFamilies,
  remoteDecoders,
  linearFamilies,
  plannedFamilies,
];

const rows: Readonly<Record<string, Family>> = Object.fromEntries(
  familyTables.flatMap((table) => Object.entries(table)),
);

export const familyNames: readonly string[] = [
  ...new Set([...Object.keys(rows), ...Object.keys(sameAs), ...Object.keys(composites)]),
].sort();

/** Rows that no `model_type` names (`variants.ts`). */
const variantRows: Readonly<Record<string, Family>> = { ...textEncoderVariants, ...decoderVariants };

/** The type whose code builds a type without a row of its own; undefined where there is none. */
export const namesakeOf = (modelType: string): string | undefined =>
  Object.hasOwn(sameAs, modelType) ? sameAs[modelType] : undefined;

/** The row of a `model_type`; undefined where there is none. */
export const findFamily = (modelType: string): Family | undefined =>
  Object.hasOwn(rows, modelType)
    ? rows[modelType]
    : Object.hasOwn(variantRows, modelType)
      ? variantRows[modelType]
      : rows[namesakeOf(modelType) ?? ''];

/** The values that a family's own code uses for absent keys. */
export function defaultsFor(modelType: string, family: Family | undefined): Dictionary {
  const wanted = family?.defaultsOf ?? modelType;
  const found = pick(classDefaults, wanted);
  const other = namesakeOf(wanted);
  const ofClass = found ?? (other === undefined ? {} : defaultsFor(other, findFamily(other)));
  return family?.defaults === undefined ? ofClass : { ...ofClass, ...family.defaults };
}

/** Every name that any family uses for a dimension. */
const shared: ReadonlySet<string> = new Set<string>(Object.values(names).flat());

/**
 * Which keys count in a file of this type: those of its own class, and those that say how a checkpoint predicts further tokens,
 * which classes leave out. Code that is in no release of Transformers reads what its row asks for, but of the names in
 * `shared` only its own. Undefined for an unknown type: there every key counts, and the count is approximate.
 */
export function readerFor(modelType: string, family: Family | undefined): Reader | undefined {
  const remote = Object.hasOwn(namesOfRemoteCode, modelType) ? namesOfRemoteCode[modelType] : undefined;
  if (remote !== undefined) return { name: modelType, reads: (key) => !shared.has(key) || remote.includes(key) };
  const known = namesOf(modelType) ?? namesOf(family?.defaultsOf ?? '') ?? namesOf(namesakeOf(modelType) ?? '');
  const beside = Object.hasOwn(keysBeside, modelType) ? (keysBeside[modelType] ?? []) : [];
  return (
    known && {
      name: modelType,
      reads: (key) => known.has(key) || predicts.test(key) || beside.includes(key),
      declares: (key) => known.has(key),
    }
  );
}

/** Keys that say how a checkpoint predicts further tokens. */
const predicts = /(^|_)mtp_|nextn/;

/** Keys that count although no class has them, and why. */
const keysBeside: Readonly<Record<string, readonly string[]>> = {
  // The length that the checkpoints were trained at; positions need no table, so no size follows from it.
  bloom: ['seq_length'],
  t5: ['n_positions'],
  // Kimi K3 (its own code) goes by the type of Kimi Linear.
  kimi_linear: ['attn_res_block_size', 'routed_expert_hidden_size', 'mla_use_output_gate', 'latent_moe_use_norm'],
};

/** For a composite whose text model's keys stand directly in the file: a class with sizes of its own reads those, any other passes its keys on. */
export function readerOfFlat(composite: string, text: Reader | undefined): Reader | undefined {
  const known = namesOf(composite);
  if (known === undefined || text === undefined) return text;
  const handsOn = !known.has('hidden_size');
  return { name: composite, reads: (key) => known.has(key) || (handsOn && text.reads(key)) };
}

const pick = (table: Readonly<Record<string, Dictionary>>, key: string): Dictionary | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined;
