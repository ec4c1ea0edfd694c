/** What a count of a model's parameters rests on, the strongest first. */
export const evidences = ['official-code', 'authors-code', 'published', 'by-rule', 'by-keys'] as const;
export type Evidence = (typeof evidences)[number];

const words = (...lines: readonly string[]): ReadonlySet<string> => new Set(lines.flatMap((line) => line.split(' ')));

/** Types whose authors' own code was built and counted, which no release of Transformers has. */
const authorsCode = words(
  'Dream aquila baichuan chatglm chatglm1 delta_net gated_deltanet gla glm1 hgrn2 huginn_raven hunyuan kimi_k2',
  'kimi_vl llada llada2_moe llada_moe llama_moe mimo minicpm minimax_m1 qwen retnet rwkv7 telechat telechat2',
  'transformer yuan',
);

/** Types of which a published model's count is known, and whose code was read and not built. */
const publishedCount = words(
  'RefinedWeb RefinedWebModel Yi arctic bailing_moe bailing_moe_linear bailing_moe_v2 deepseek deepseek_ref grok-1',
  'internlm internlm2 internlm3 internvl_chat jais jina_bert jina_xlm_roberta minicpmv minimax_text_01',
  'mixformer-sequential molmo nemotron-nas new openelm ouro phi-msft phi3_v phi3small phixtral rwkv5 rwkv6',
  'stablelm_epoch xverse',
);

/** Types of which no count is known but ours: their row was read from a description of their code, or is another type's. */
const byRule = words(
  'aquila2 bailing_hybrid btlm deci exaone grok2 inkling_model llava_llama llava_mistral llava_qwen mimo_v2 minicpm_moe',
  'orion skywork solar step3p5_flash',
);

/** What the counts of a type with a row rest on. All others were built from the classes of Transformers and counted. */
export function evidenceOf(type: string): Evidence {
  if (byRule.has(type)) return 'by-rule';
  if (publishedCount.has(type)) return 'published';
  return authorsCode.has(type) ? 'authors-code' : 'official-code';
}
