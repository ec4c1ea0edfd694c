import { build } from '../../families/build.ts';
import { mambaLibrary } from '../../families/mamba-ssm.ts';
import type { Reading } from '../../model/reading.ts';
import { type Dictionary, Fields, isDictionary, own, statedFields } from '../../text/fields.ts';
import type { Source } from '../../text/syntax.ts';

/** What the library's own config class takes where a key is absent (mamba_ssm/models/config_mamba.py). */
const defaults: Dictionary = {
  d_model: 2560,
  d_intermediate: 0,
  n_layer: 64,
  vocab_size: 50277,
  rms_norm: true,
  pad_vocab_size_multiple: 8,
  tie_embeddings: true,
};

/** A config.json of the Mamba authors' library: no `model_type`, the mixer in `ssm_cfg`. */
export const mamba = {
  id: 'mamba',
  title: "config.json of Mamba's own library",
  recognises: (value: unknown): boolean =>
    isDictionary(value) &&
    isDictionary(own(value, 'ssm_cfg')) &&
    typeof own(value, 'd_model') === 'number' &&
    own(value, 'model_type') === undefined,
  read,
} as const;

function read(source: Source): Reading {
  const fields = new Fields(source.value as Dictionary, source, '', defaults);
  // The library's own checkpoints, whose counts are published (test/oracle/models.json).
  const architecture = {
    ...build(mambaLibrary(fields), fields, fields, 'mamba_ssm'),
    restsOn: 'published',
  } as const;
  return {
    kind: 'read',
    format: mamba.id,
    architecture,
    keys: { reader: mamba.id, config: source.value as Dictionary, names: new Map() },
    run: [],
    fields: statedFields(source),
    assumptions: fields.assumptions,
    problems: [...source.problems, ...fields.problems],
  };
}
