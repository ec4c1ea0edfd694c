import type { Fields } from '../text/fields.ts';
import { type ModelClass, type NamedClass, namedClass, stemOfClass } from './classes.ts';
import type { Family } from './family.ts';

/** Types with a classifier of each kind in transformers 5.18.0, each held against it (`scripts/oracle/heads.py`). */
const classified: Readonly<Partial<Record<ModelClass, ReadonlySet<string>>>> = {
  sequence: new Set(
    [
      'arcee axk1 axk2 bart biogpt bloom cohere_compass_text ctrl deepseek_v2 deepseek_v3 diffllama doge exaone4',
      'falcon gemma gemma2 gemma3_text glm glm4 gpt-sw3 gpt2 gpt_bigcode gpt_neo gpt_neox gpt_oss gptj helium',
      'hunyuan_v1_dense hunyuan_v1_moe jamba jetmoe llama mbart minicpm3 minimax ministral ministral3 mistral',
      'mixtral mpt mt5 nemotron olmo olmo2 olmo3 openai-gpt opt persimmon phi phi3 phimoe qwen2 qwen2_moe qwen3',
      'qwen3_5_text qwen3_moe qwen3_next seed_oss smollm3 stablelm starcoder2 t5 umt5 zamba zamba2',
      // With the code of its authors (`scripts/oracle/remote.py`).
      'kimi_k2',
    ]
      .join(' ')
      .split(' '),
  ),
  token: new Set(
    [
      'apertus arcee axk1 axk2 biogpt bloom deepseek_v3 diffllama exaone4 falcon gemma gemma2 glm glm4 gpt-sw3',
      'gpt2 gpt_bigcode gpt_neo gpt_neox gpt_oss helium llama minimax ministral ministral3 mistral mixtral mpt',
      'mt5 nemotron persimmon phi phi3 qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next seed_oss smollm3 stablelm',
      'starcoder2 t5 umt5',
    ]
      .join(' ')
      .split(' '),
  ),
  answers: new Set(
    [
      'arcee bart bloom diffllama exaone4 falcon gpt2 gpt_neo gpt_neox gptj llama mbart minimax ministral',
      'ministral3 mistral mixtral mpt mt5 nemotron opt qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next seed_oss',
      'smollm3 t5 umt5',
    ]
      .join(' ')
      .split(' '),
  ),
  audio: new Set(['whisper']),
  encoder: new Set(['t5', 'mt5', 'umt5']),
  // Qwen/Qwen2.5-Math-RM-72B and Qwen/Qwen2.5-Math-PRM-7B, modeling_qwen2_rm.py.
  reward: new Set(['qwen2']),
  'process reward': new Set(['qwen2']),
  value: new Set(),
};

/** The letters and figures of a name: `DeepseekV3` and `deepseek_v3` are one. */
const letters = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');

/** A family's name as its classes start with it: without what marks the text model of a composite. */
const stemOf = (name: string): string => letters(name).replace(/(text)?(model)?$/, '');

/** Families whose classes start with other names than their type: all that they have. */
const aliases: Readonly<Record<string, readonly string[]>> = {
  'gpt-sw3': ['GPT2'],
  'nemotron-nas': ['DeciLM'],
  'openai-gpt': ['OpenAIGPT'],
  'phi-msft': ['phi-msft', 'Phi'],
  phixtral: ['Phi'],
  chatglm1: ['ChatGLM'],
  deci: ['DeciLM'],
  deepseek_ref: ['DeepseekRef', 'DeepseekV4'],
  glm1: ['GLM'],
  glmga: ['Glm46V'],
  grok2: ['Grok1'],
  huginn_raven: ['Raven'],
  hunyuan_v1_dense: ['HunYuanDenseV1'],
  hunyuan_v1_moe: ['HunYuanMoEV1'],
  llada_moe: ['LLaDAMoE'],
  inkling_mm_model: ['Inkling'],
  kimi_k2: ['DeepseekV3'],
  jina_xlm_roberta: ['XLMRoberta', 'XLMRobertaLoRA'],
  minicpm_moe: ['MiniCPM'],
  minimax_m3_vl: ['MiniMaxM3VL', 'MiniMaxM3Sparse'],
  ministral3: ['Ministral3', 'Mistral3'],
  RefinedWeb: ['RW'],
  RefinedWebModel: ['RW'],
  step3p7: ['Step3p7', 'Step3p7Flash'],
};

/** Whether a class is of a type, by what its name starts with. */
const startsAs = ({ stem }: Pick<NamedClass, 'stem'>, type: string): boolean =>
  ((Object.hasOwn(aliases, type) ? aliases[type] : undefined) ?? [type]).some((name) => stemOf(name) === stemOf(stem));

/** Whether a class of this name is of a type's code. */
export const classOfCode = (name: string, type: string): boolean => startsAs({ stem: stemOfClass(name) }, type);

/**
 * What a count under a class does not rest on: undefined where the class is of one of the types whose code builds the model, or
 * where the config names none.
 */
export function foreignClass(fields: Fields, types: readonly string[], family: Family): string | undefined {
  const named = namedClass(fields);
  if (named === undefined) return undefined;
  const own = types.filter((type) => startsAs(named, type));
  if (named.kind === undefined || own.length === 0)
    return `a class that is not of this family's code: it is counted as ${types[0] ?? 'the family'} has it, approximately`;
  if (family.twoStacks && named.name.endsWith('ForCausalLM'))
    return 'the decoder of a model of two stacks: both are counted, so the count is too high';
  if (named.name.endsWith('DoubleHeadsModel')) return 'a class with a second head, which is not counted';
  const kinds = classified[named.kind];
  if (family.ownClasses || kinds === undefined || own.some((type) => kinds.has(type))) return undefined;
  return 'no class of such a name is in any release that this tool knows: its head is counted as in other families, approximately';
}
