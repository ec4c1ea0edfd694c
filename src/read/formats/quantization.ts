import type { Quantization } from '../../model/architecture.ts';
import { type Dictionary, type Fields, isDictionary, own } from '../../text/fields.ts';
import { indexOf, type Names, namesOf, speaksOf } from './module-names.ts';
import { listOf, mlxRules, type Rules, rulesOf, text } from './quantization-rules.ts';
import { mlx } from './quantization-schemes.ts';

/** How a Hugging Face checkpoint stores its weights: `dtype`, and `quantization_config` with the modules it leaves alone. */

/** Bytes of one element by `dtype` (`torch_dtype` before transformers 5). */
export function bytesOfElement(text: Dictionary, outer: Dictionary): number | undefined {
  for (const from of [outer, text])
    for (const key of ['dtype', 'torch_dtype']) {
      const stated = own(from, key);
      if (typeof stated === 'string') return /float32|fp32/.test(stated) ? 4 : 2;
    }
  return undefined;
}

// --- names of modules ---------------------------------------------------------------------------------------------------------

/** The modules that hold an operation's matrix, under the names that the families' code gives them. */
export const modules: Readonly<Record<string, readonly string[]>> = {
  'attention.query': ['self_attn.q_proj', 'attn.q_proj', 'self_attn.qkv_proj', 'attention.wq', 'mixer.q_proj'],
  'attention.key': ['self_attn.k_proj', 'attn.k_proj', 'self_attn.qkv_proj', 'attention.wk', 'mixer.k_proj'],
  'attention.value': ['self_attn.v_proj', 'attn.v_proj', 'self_attn.qkv_proj', 'attention.wv', 'mixer.v_proj'],
  'attention.gate': ['self_attn.q_proj', 'self_attn.g_proj', 'self_attn.gate_proj'],
  'attention.output': ['self_attn.o_proj', 'attn.o_proj', 'attention.wo', 'mixer.o_proj'],
  'attention.query_down': ['self_attn.q_a_proj', 'attn.wq_a'],
  'attention.query_up': ['self_attn.q_b_proj', 'attn.wq_b'],
  'attention.key_value_down': ['self_attn.kv_a_proj_with_mqa', 'attn.wkv'],
  'attention.key_value_up': ['self_attn.kv_b_proj'],
  'attention.indexer_query': ['self_attn.indexer.wq_b', 'self_attn.indexer'],
  'attention.indexer_key': ['self_attn.indexer.wk', 'self_attn.indexer'],
  'attention.indexer_weights': ['self_attn.indexer.weights_proj', 'self_attn.indexers_proj'],
  'feed_forward.gate': ['mlp.gate_proj', 'mlp.gate_up_proj', 'feed_forward.gate_proj'],
  'feed_forward.up': ['mlp.up_proj', 'mlp.gate_up_proj', 'feed_forward.up_proj', 'mixer.up_proj'],
  'feed_forward.down': ['mlp.down_proj', 'feed_forward.down_proj', 'mixer.down_proj'],
  'experts.gate': [
    'mlp.experts.0.gate_proj',
    'block_sparse_moe.experts.0.w1',
    'feed_forward.experts.gate_up_proj',
    'ffn.experts.0.w1',
  ],
  'experts.up': [
    'mlp.experts.0.up_proj',
    'block_sparse_moe.experts.0.w3',
    'feed_forward.experts.gate_up_proj',
    'mixer.experts.0.up_proj',
    'ffn.experts.0.w3',
  ],
  'experts.down': [
    'mlp.experts.0.down_proj',
    'block_sparse_moe.experts.0.w2',
    'feed_forward.experts.down_proj',
    'mixer.experts.0.down_proj',
    'ffn.experts.0.w2',
  ],
  'shared_experts.gate': [
    'mlp.shared_experts.gate_proj',
    'mlp.shared_expert.gate_proj',
    'feed_forward.shared_expert.gate_proj',
    'ffn.shared_experts.w1',
  ],
  'shared_experts.up': [
    'mlp.shared_experts.up_proj',
    'mlp.shared_expert.up_proj',
    'feed_forward.shared_expert.up_proj',
    'mixer.shared_experts.up_proj',
    'ffn.shared_experts.w3',
  ],
  'shared_experts.down': [
    'mlp.shared_experts.down_proj',
    'mlp.shared_expert.down_proj',
    'feed_forward.shared_expert.down_proj',
    'mixer.shared_experts.down_proj',
    'ffn.shared_experts.w2',
  ],
  'experts.latent_down': ['mixer.fc1_latent_proj'],
  'experts.latent_up': ['mixer.fc2_latent_proj'],
  'state_space.in': ['mixer.in_proj', 'linear_attn.in_proj_qkvz', 'mamba.in_proj'],
  'state_space.query_key_value': ['linear_attn.in_proj_qkv'],
  'state_space.gate': ['linear_attn.in_proj_z'],
  'state_space.out': ['mixer.out_proj', 'linear_attn.out_proj', 'mamba.out_proj'],
};

/** Where layers stand in a checkpoint: before the number. */
const roots = [
  'model.layers',
  'model.language_model.layers',
  'language_model.model.layers',
  'backbone.layers',
  'layers',
  'transformer.h',
] as const;

/** The roots that the lists speak of; where they speak of none, any will do. */
function rootsOf(names: readonly Names[]): readonly string[] {
  const said = roots.filter((root) => names.some((listed) => speaksOf(listed, root)));
  return said.length > 0 ? said : [roots[0]];
}

/** Layers that are asked about one by one; those after them are stored as the last of these. */
const mostLayers = 500;

/** At most so many comparisons of a name with a piece of a pattern. */
const mostComparisons = 4e6;

/** More groups than any published checkpoint has. */
const mostGroups = 32;

const experts = (path: string) => path.startsWith('experts.') && !path.startsWith('experts.latent');

// --- the config ---------------------------------------------------------------------------------------------------------------

/** What is known of how a checkpoint stores its matrices; `unknown` where the config says it and this tool cannot follow. */
export type Stored = { readonly quantization?: Quantization; readonly unknown: boolean };

/** The keys of a quantiser's config: transformers', what compressed-tensors wrote first, and MLX's, which transformers does not read. */
function configOf(
  outer: Dictionary,
  inner: Dictionary,
): { readonly config: Dictionary; readonly method: string } | undefined {
  const find = (key: string) => [own(outer, key), own(inner, key)].find(isDictionary);
  const config = find('quantization_config') ?? find('compression_config');
  const method = config === undefined ? '' : text(config, 'quant_method') || text(config, 'quant_algo');
  const plain = find('quantization') ?? config;
  if (method === '' && plain !== undefined && mlx(plain) !== undefined) return { config: plain, method: 'mlx' };
  return config === undefined ? undefined : { config, method: method || 'unknown' };
}

/**
 * How the checkpoint stores its matrices, layer by layer. A quantiser that this tool does not know is said to be unknown, and the
 * weights are taken as not quantised.
 */
export function readQuantization(outer: Dictionary, inner: Dictionary, layers: number, fields: Fields): Stored {
  const stated = configOf(outer, inner);
  if (stated === undefined) return { unknown: false };
  const { config, method } = stated;
  const doubt = (why: string) => fields.assume('quantization_config', method, why);
  const refused = (why: string): Stored => {
    doubt(`${why}: its bytes are those of 16 bits`);
    return { unknown: true };
  };
  const groups = own(config, 'config_groups');
  const count = isDictionary(groups) ? Object.keys(groups).length : 0;
  if (count > mostGroups) return refused(`${count} groups are more than the ${mostGroups} that are read`);
  const found = method === 'mlx' ? mlxRules(config) : rulesOf(config);
  if (found === undefined) return refused('this tool does not know how it stores weights');
  const ignored = namesOf([
    ...listOf(config, 'modules_to_not_convert', 'ignored_layers', 'ignore', 'exclude_modules', 'llm_int8_skip_modules'),
    ...(found.kept ?? []),
  ]);
  const lists = [ignored, ...found.rules.map(({ targets }) => targets)];
  const sum = (of: (names: Names) => number) => lists.reduce((total, one) => total + of(one), 0);
  const asked: Asked = { layers, first: Math.min(layers, mostLayers), roots: rootsOf(lists) };
  // What one layer costs is known before the first name is written out.
  const names = asked.first * asked.roots.length * Object.values(modules).flat().length;
  if (names * sum(({ effort }) => effort) > mostComparisons)
    return refused(`${sum(({ patterns }) => patterns.length)} patterns are too many to hold against the modules`);
  const doubts = doubtsOf(
    found,
    sum(({ unread }) => unread),
    inner,
  );
  doubts.forEach(doubt);
  const quantization: Quantization = {
    method,
    schemes: found.schemes,
    stored: storedBy(found, ignored, method, asked),
    ...(found.whole === true ? { rest: 0, withoutPrediction: true } : {}),
  };
  return { quantization, unknown: doubts.length > 0 };
}

/** What the config says and is not followed, a sentence each. */
function doubtsOf({ blocks = [], whole }: Rules, unread: number, inner: Dictionary): readonly string[] {
  const foreign = blocks.filter((block) => !roots.some((root) => block === root || block.startsWith(`${root}.`)));
  const mixture = whole === true && Object.keys(inner).some((key) => /experts/.test(key));
  return [
    ...(unread > 0 ? [`${unread} of its expressions have too many alternatives to be followed, or look around`] : []),
    ...(foreign.length > 0
      ? [`${foreign.length} of its blocks are not those of the layers, and are taken as kept`]
      : []),
    ...(mixture ? ['routers are taken as quantised where it does not name them, which models of MLX may keep'] : []),
  ];
}

/** Which names are asked about: of all `layers`, the `first`, under each of the roots. */
type Asked = { readonly layers: number; readonly first: number; readonly roots: readonly string[] };

/** Names that MLX gives to what others store one by one, and to what others keep. */
const mlxModules: Readonly<Record<string, readonly string[]>> = {
  router: ['mlp.gate', 'mlp.router', 'block_sparse_moe.gate', 'feed_forward.router'],
  'shared_experts.scale': ['mlp.shared_expert_gate'],
  'experts.gate': ['mlp.switch_mlp.gate_proj', 'block_sparse_moe.switch_mlp.gate_proj', 'mlp.experts.gate_proj'],
  'experts.up': ['mlp.switch_mlp.up_proj', 'block_sparse_moe.switch_mlp.up_proj', 'mlp.experts.up_proj'],
  'experts.down': ['mlp.switch_mlp.down_proj', 'block_sparse_moe.switch_mlp.down_proj', 'mlp.experts.down_proj'],
};

/** By path of an operation: the scheme in each layer that is asked about, then in those of multi-token prediction. */
function storedBy(
  { schemes, rules, whole }: Rules,
  ignored: Names,
  method: string,
  { layers, first, roots: spoken }: Asked,
): Quantization['stored'] {
  const kept = schemes.length;
  const keeps = indexOf([ignored]);
  const targets = indexOf(rules.map((rule) => rule.targets));
  const every = rules.findIndex((rule) => rule.every);
  const schemeFor = (names: readonly (readonly string[])[]): number => {
    if (names.some((name) => keeps(name) !== undefined)) return kept;
    const hits = names.flatMap((name) => targets(name) ?? []).concat(every < 0 ? [] : [every]);
    return rules[Math.min(...hits)]?.scheme ?? kept;
  };
  const heads = spoken.map((root) => root.split('.'));
  const only = method === 'mxfp4' ? experts : () => true;
  const perLayer = Object.entries(whole === true ? { ...modules, ...mlxModules } : modules)
    .filter(([path]) => only(path))
    .map(([path, suffixes]) => {
      const tails = suffixes.map((suffix) => suffix.split('.'));
      const under = (head: readonly string[]) => tails.map((tail) => [...head, ...tail]);
      const of = (layer: number) => heads.flatMap((head) => under([...head, String(layer)]));
      // The layers of multi-token prediction are numbered on, or stand in a list of their own.
      const ahead = [...of(layers), ...under(['mtp', 'layers', '0']), ...under(['mtp', '0'])];
      return [path, [...Array.from({ length: first }, (_, layer) => schemeFor(of(layer))), schemeFor(ahead)]] as const;
    });
  const named = targets(['lm_head']) !== undefined || whole === true;
  return {
    ...Object.fromEntries(perLayer),
    ...(named ? { output: [schemeFor([['lm_head']])] } : {}),
    ...(whole === true ? { 'embedding.token': [schemeFor([['model', 'embed_tokens']])] } : {}),
  };
}
