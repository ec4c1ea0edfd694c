import { type Dictionary, own } from '../text/fields.ts';

/**
 * Models that go by the `model_type` of another family although code of their own builds them. They have rows under names of their
 * own, which no file states, and are told by their class or by keys that the namesake lacks.
 */
type Variant = {
  /** The name of its row. */
  readonly name: string;
  /** The types that such files state; any type where it is absent. */
  readonly types?: readonly string[];
  readonly is: (config: Dictionary) => boolean;
};

const has = (config: Dictionary, ...keys: readonly string[]): boolean =>
  keys.some((key) => (own(config, key) ?? null) !== null);

/** Whether a class in `architectures`, or a file that `auto_map` names, starts or contains this. */
const names = (config: Dictionary, key: 'architectures' | 'auto_map', pattern: RegExp): boolean => {
  const listed = own(config, key);
  const values = typeof listed === 'object' && listed !== null ? Object.values(listed) : [];
  return values.some((one) => typeof one === 'string' && one.length <= 200 && pattern.test(one));
};

const flat = (config: Dictionary): boolean =>
  !has(config, 'text_config', 'vision_config') && has(config, 'hidden_size');

const flatLlava = (name: string, pattern: RegExp): Variant => ({
  name,
  types: ['llava'],
  is: (config) => flat(config) && names(config, 'architectures', pattern),
});

const variants: readonly Variant[] = [
  // THUDM/chatglm-6b, before ChatGLM 2 changed every block.
  {
    name: 'chatglm1',
    types: ['chatglm'],
    is: (config) =>
      has(config, 'inner_hidden_size', 'position_encoding_2d', 'max_sequence_length') &&
      !has(config, 'padded_vocab_size', 'ffn_hidden_size'),
  },
  // GLM of 2021 (THUDM/glm-10b and its kin); Transformers gave the name to GLM-4.
  {
    name: 'glm1',
    types: ['glm'],
    is: (config) =>
      has(config, 'block_position_encoding') || (has(config, 'num_layers') && !has(config, 'num_hidden_layers')),
  },
  {
    name: 'jina_bert',
    types: ['bert'],
    is: (config) =>
      has(config, 'feed_forward_type') ||
      names(config, 'architectures', /^JinaBert/) ||
      names(config, 'auto_map', /jina-bert/),
  },
  // jinaai/jina-embeddings-v3 and its kin, whose code turns queries and keys and holds adapters.
  {
    name: 'jina_xlm_roberta',
    types: ['xlm-roberta'],
    is: (config) => has(config, 'lora_adaptations') || names(config, 'auto_map', /xlm-roberta-flash/),
  },
  // mlabonne/phixtral-4x2_8 states the type of the model that its experts were.
  {
    name: 'phixtral',
    types: ['phi-msft'],
    is: (config) => has(config, 'num_local_experts'),
  },
  {
    name: 'llada_moe',
    types: ['llada'],
    is: (config) => names(config, 'architectures', /^LLaDAMoE/) || has(config, 'expert_intermediate_size'),
  },
  // openbmb/MiniCPM-MoE-8x2B, whose code is not that of the dense models.
  {
    name: 'minicpm_moe',
    types: ['minicpm'],
    is: (config) => has(config, 'num_experts'),
  },
  // xai-org/grok-2 states the type of another model (`git`).
  {
    name: 'grok2',
    is: (config) =>
      names(config, 'architectures', /^Grok1ForCausalLM$/) && has(config, 'num_local_experts', 'residual_moe'),
  },
  flatLlava('llava_llama', /^LlavaLlama/),
  flatLlava('llava_mistral', /^LlavaMistral/),
  flatLlava('llava_qwen', /^LlavaQwen/),
];

/** The name of the row that builds a config, where it is not that of the stated type. */
export const variantOf = (config: Dictionary, type: string): string | undefined =>
  variants.find(({ types, is }) => (types?.includes(type) ?? true) && is(config))?.name;
