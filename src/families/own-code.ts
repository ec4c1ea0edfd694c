import { type Fields, isDictionary } from '../text/fields.ts';
import { classOfCode } from './class-names.ts';

/**
 * Files may name code beside the checkpoint (`auto_map`), which is then run in place of the class of Transformers. What it builds
 * is known where the row was read from it, or where both were counted and agree.
 */

/** Code of a type's authors that was held against the row of the class that Transformers has for it. */
type Original = {
  readonly files: readonly string[];
  /** Values with which both codes build the same; absent keys have them. */
  readonly where?: Readonly<Record<string, unknown>>;
};

/** By type; every file stands in `auto_map` of a row of the oracle (`test/oracle/remote.json`, `models.json`). */
export const originals: Readonly<Record<string, Original>> = {
  dbrx: { files: ['modeling_dbrx'] },
  deepseek_v2: { files: ['modeling_deepseek'], where: { moe_layer_freq: 1 } },
  deepseek_v3: { files: ['modeling_deepseek'], where: { moe_layer_freq: 1, topk_method: 'noaux_tc' } },
  kimi_k25: { files: ['modeling_kimi_k25'] },
  minimax_m2: { files: ['modeling_minimax_m2'] },
  mpt: { files: ['modeling_mpt'] },
  nemotron_h: {
    files: ['modeling_nemotron_h'],
    where: { attention_bias: false, mlp_bias: false, tie_word_embeddings: false },
  },
  nomic_bert: { files: ['modeling_hf_nomic_bert'] },
  phi: { files: ['modeling_phi'] },
  phi3: { files: ['modeling_phi3'] },
  phimoe: { files: ['modeling_phimoe', 'modeling_slimmoe'] },
  qwen2: { files: ['modeling_qwen', 'modeling_qwen2_rm'] },
};

/** A file of code and the class in it, as `auto_map` names them: `modeling_x.Class`, after the repository that has it. */
type Code = { readonly file: string; readonly model: string };

const codeOf = (value: unknown): Code | undefined => {
  if (typeof value !== 'string' || value.length > 300) return undefined;
  const [, file = '', model = ''] = /^(?:.*--)?(?:.*\.)?([^.]+)\.([^.]+)$/.exec(value) ?? [];
  return { file, model };
};

/** The code of each model class that a config's `auto_map` names. */
function codesBeside(fields: Fields): readonly Code[] {
  const map = fields.ofFile('auto_map');
  if (!isDictionary(map)) return [];
  const models = Object.entries(map).filter(([key]) => /^AutoModel/.test(key));
  return models.slice(0, 50).flatMap(([, value]) => codeOf(value) ?? []);
}

/**
 * The code that a config names and that no row was held against; undefined where there is none.
 *
 * @param types those whose code the row of the model is
 * @param released the row is that of a class of Transformers, and not of its authors' code
 */
export function unknownCode(fields: Fields, types: readonly string[], released: boolean): string | undefined {
  const unknown = codesBeside(fields).find(({ file, model }) => {
    const own = types.filter((type) => classOfCode(model, type));
    return own.length === 0 || (released && !own.some((type) => isOriginal(fields, type, file)));
  });
  return unknown && `${unknown.file}.${unknown.model}`.slice(0, 120);
}

function isOriginal(fields: Fields, type: string, file: string): boolean {
  const original = Object.hasOwn(originals, type) ? originals[type] : undefined;
  if (original === undefined || !original.files.includes(file)) return false;
  return Object.entries(original.where ?? {}).every(([key, value]) => (fields.ofFile(key) ?? value) === value);
}
