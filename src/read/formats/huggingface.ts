import type { Architecture, Quantization } from '../../model/architecture.ts';
import type { Reading } from '../../model/reading.ts';
import type { RunFields } from '../../model/training.ts';
import { build, type Family } from '../families/build.ts';
import { defaultsFor, findFamily } from '../families/registry.ts';
import { type Dictionary, Fields, isDictionary, own, statedFields, Unreadable } from '../fields.ts';
import type { Source } from '../syntax.ts';

/** Keys under which multimodal configs keep their text model. */
const textKeys = ['text_config', 'language_config', 'llm_config', 'thinker_config'] as const;

/** Keys under which multimodal configs describe what is not the text model. */
const towerKeys = ['vision_config', 'audio_config', 'vision_tower_config'] as const;

/** A config.json of Hugging Face Transformers: it names its `model_type`, or has the keys of one. */
export const huggingface = {
  id: 'huggingface',
  title: 'Hugging Face config.json',
  recognises: (value: unknown): boolean =>
    isDictionary(value) &&
    (looksLikeText(value) || textKeys.some((key) => looksLikeText(own(value, key)) || namesModel(value, key))),
  read,
} as const;

const dimensionKeys = [
  'hidden_size',
  'n_embd',
  'd_model',
  'n_embed',
  'num_hidden_layers',
  'n_layer',
  'n_layers',
  'num_layers',
] as const;

/** A file that names a family of ours may leave every size to its class. */
const namesFamily = (value: Dictionary): boolean => {
  const type = own(value, 'model_type');
  return typeof type === 'string' && findFamily(type) !== undefined;
};

const looksLikeText = (value: unknown): boolean =>
  isDictionary(value) &&
  (namesFamily(value) ||
    (dimensionKeys.some((key) => typeof own(value, key) === 'number') &&
      typeof (own(value, 'model_type') ?? own(value, 'vocab_size') ?? own(value, 'architectures')) !== 'undefined'));

const namesModel = (value: Dictionary, key: string): boolean =>
  isDictionary(own(value, key)) && typeof own(value, 'model_type') === 'string';

/** Models that read a whole text at once, or two texts, and have no row: a decoder's block is not theirs, so they are refused. */
const encoders =
  /^(bert|roberta|distilbert|albert|electra|deberta|deberta-v2|xlm-roberta|modernbert|t5|mt5|umt5|bart|mbart|pegasus|whisper|clip|vit|siglip.*|wav2vec2|hubert)$/;

function read(source: Source): Reading {
  const value = source.value as Dictionary;
  const outerType = stringOf(own(value, 'model_type')) ?? '';
  if (findFamily(outerType) === undefined && encoders.test(outerType))
    throw new Unreadable(
      `${outerType} is no decoder-only language model, and this tool has no row for it.`,
      source.lines.get('model_type'),
      'model_type',
    );
  const outerFamily = findFamily(outerType);
  const key = textKey(value, outerFamily);
  const beside = key === undefined && outerFamily?.textKeyOnly === true;
  const text = beside ? {} : key === undefined ? value : (own(value, key) as Dictionary);
  const innerType = key === undefined ? outerType : (stringOf(own(text, 'model_type')) ?? outerType);
  const family = outerFamily ?? findFamily(innerType);
  const modelType = outerFamily ? outerType : innerType;
  const outer = new Fields(value, source);
  const defaults = {
    ...defaultsFor(modelType, family),
    ...(family === undefined
      ? {}
      : defaultsFor(
          innerType,
          findFamily(innerType)
            ? {
                ...family,
                ...(findFamily(innerType)?.defaultsOf
                  ? { defaultsOf: findFamily(innerType)?.defaultsOf as string }
                  : {}),
              }
            : family,
        )),
  };
  const fields =
    key === undefined ? new Fields(text, source, '', defaults) : new Fields(text, source, `${key}.`, defaults);
  if (beside)
    fields.warn(
      `The code of ${outerType} reads its text model from ${outerFamily.textKey}, which is absent: the class's own sizes hold, whatever the keys beside it say.`,
    );
  const architecture = build(family ?? unknownFamily(value), fields, outer, modelType || 'unknown');
  if (family === undefined) {
    fields.assume(
      'model_type',
      modelType === '' ? 'not stated' : modelType,
      'this tool has no row for the family: it is read by its keys as a Llama-like decoder, so counts are approximate',
    );
  }
  const uncounted = towerKeys.filter((name) => isDictionary(own(value, name)) && family?.towers === undefined);
  if (uncounted.length > 0) {
    fields.assume(
      uncounted.join(', '),
      'not counted',
      'this tool does not know the tower of this family: counts are of the text model alone',
    );
  }
  const quantization = readQuantization(value, text);
  const whole: Architecture = {
    ...architecture,
    exact: architecture.exact && family !== undefined && uncounted.length === 0,
    ...(quantization === undefined ? {} : { quantization }),
  };
  return {
    kind: 'read',
    format: huggingface.id,
    architecture: whole,
    run: statedRun(),
    fields: statedFields(source),
    assumptions: [...fields.assumptions, ...outer.assumptions],
    problems: [...source.problems, ...fields.problems, ...outer.problems],
  };
}

/** A config.json says nothing of the run: its dtype is the checkpoint's. */
const statedRun = (): RunFields => ({});

function textKey(value: Dictionary, family: Family | undefined): string | undefined {
  if (family?.textKey !== undefined && isDictionary(own(value, family.textKey))) return family.textKey;
  if (dimensionKeys.some((key) => typeof own(value, key) === 'number')) return undefined;
  return textKeys.find((key) => isDictionary(own(value, key)));
}

const stringOf = (value: unknown) => (typeof value === 'string' ? value.slice(0, 100) : undefined);

/** Llama's block, with what the keys give away: experts, biases, query-key norms. */
function unknownFamily(value: Dictionary): Family {
  const sparse = ['num_local_experts', 'num_experts', 'n_routed_experts', 'moe_num_experts'].some(
    (key) => typeof own(value, key) === 'number',
  );
  const latent = typeof own(value, 'kv_lora_rank') === 'number';
  const like = findFamily(
    latent
      ? 'deepseek_v3'
      : sparse
        ? own(value, 'n_routed_experts') === undefined
          ? 'qwen3_moe'
          : 'deepseek'
        : 'llama',
  );
  return { ...(like ?? { source: '' }), exact: false };
}

/** Bytes of one weight, and the block that shares a scale, for each quantiser; sources in the rows. */
const quantizers: Readonly<
  Record<string, { readonly bytes: number; readonly block?: readonly [number, number]; readonly scaleBytes?: number }>
> = {
  // One fp32 scale for each 128 x 128 block: DeepSeek-V3's checkpoint layout.
  fp8: { bytes: 1, block: [128, 128], scaleBytes: 4 },
  fbgemm_fp8: { bytes: 1 },
  // One 8-bit scale for 32 weights of 4 bits: OCP microscaling (MX) v1.0.
  mxfp4: { bytes: 0.5 + 1 / 32 },
  // One fp8 scale for 16 weights of 4 bits: NVIDIA ModelOpt.
  nvfp4: { bytes: 0.5 + 1 / 16 },
  // 4-bit weights, one fp16 scale and one 4-bit zero point for 128.
  gptq: { bytes: 0.5 + 2.5 / 128 },
  awq: { bytes: 0.5 + 2.5 / 128 },
  // NF4 with double quantisation (Dettmers et al. 2023, arXiv:2305.14314, 3): 0.127 bits of scales for each weight.
  bitsandbytes_4bit: { bytes: 0.5 + 0.127 / 8 },
  bitsandbytes_8bit: { bytes: 1 },
};

function readQuantization(outer: Dictionary, text: Dictionary): Quantization | undefined {
  const config = [own(outer, 'quantization_config'), own(text, 'quantization_config')].find(isDictionary);
  if (config === undefined) return undefined;
  const method = stringOf(own(config, 'quant_method')) ?? 'unknown';
  const algorithm = (stringOf(own(config, 'quant_algo')) ?? '').toLowerCase();
  const name =
    method === 'bitsandbytes'
      ? own(config, 'load_in_8bit') === true
        ? 'bitsandbytes_8bit'
        : 'bitsandbytes_4bit'
      : algorithm.includes('nvfp4')
        ? 'nvfp4'
        : algorithm.includes('fp8')
          ? 'fbgemm_fp8'
          : method;
  const row = Object.hasOwn(quantizers, name) ? quantizers[name] : undefined;
  if (row === undefined) return undefined;
  const stated = own(config, 'weight_block_size');
  const block =
    Array.isArray(stated) && stated.length === 2 && stated.every((side) => Number.isInteger(side) && side > 0)
      ? ([Number(stated[0]), Number(stated[1])] as const)
      : stated === null
        ? undefined
        : row.block;
  const kept =
    [own(config, 'modules_to_not_convert'), own(config, 'ignored_layers'), own(config, 'ignore')].find(Array.isArray) ??
    [];
  return {
    method: name,
    bytesPerWeight: row.bytes,
    ...(block === undefined ? {} : { block }),
    ...(row.scaleBytes === undefined ? {} : { scaleBytes: row.scaleBytes }),
    keeps: keptPaths(kept),
  };
}

/** Which of our operations the listed modules are. */
function keptPaths(modules: readonly unknown[]): readonly string[] {
  const text = modules.filter((module): module is string => typeof module === 'string').slice(0, 10_000);
  const any = (pattern: RegExp) => text.some((module) => pattern.test(module));
  return [
    ...(any(/self_attn(\.|$)|attention/) && !any(/self_attn\.[a-z_]+_norm/) ? ['attention.'] : []),
    ...(any(/shared_expert/) ? ['shared_experts.'] : []),
    ...(any(/indexer/) ? ['indexer'] : []),
  ];
}
