import { decoderType } from '../../families/decoder.ts';
import type { Place } from '../../model/place.ts';
import type { Statement } from '../../model/statement.ts';
import { isDictionary } from '../../text/fields.ts';
import { type Beside, type Format, type ParsedFile, placeOf } from '../format.ts';
import { pathInside } from '../gather.ts';
import { type Stating, stating } from '../stating.ts';

const source = 'nanoGPT 93a43d9, train.py';

/** Settings that nanoGPT's `train.py` has and a config lays its own over. */
const settings = [
  'n_layer',
  'n_head',
  'n_embd',
  'block_size',
  'batch_size',
  'gradient_accumulation_steps',
  'max_iters',
] as const;

/** nanoGPT's configs: a module of assignments that `train.py` runs over its own globals. */
export const nanogpt: Format = {
  id: 'nanogpt',
  title: 'nanoGPT config/*.py',
  syntaxes: ['python'],
  signature: { some: [[3, settings]], not: ['def', 'class'] },
  states,
};

const defaults: Readonly<Record<string, number | boolean>> = { n_layer: 12, n_head: 12, n_embd: 768, bias: false };

function states(file: ParsedFile, beside: Beside): Statement {
  const say = overTrainer(file, beside);
  const pretrained = say.text('init_from');
  if (pretrained !== undefined && /^gpt2/.test(pretrained)) statePublished(say, pretrained);
  else stateModel(say);
  stateRun(say);
  return say.statement();
}

/** The config's own assignments over those of the `train.py` above its folder, where there is one. */
function overTrainer(file: ParsedFile, beside: Beside): Stating {
  const path = pathInside('../train.py', file.path.includes('/') ? file.path : `./${file.path}`);
  const trainer = path === undefined || path === file.path ? undefined : beside(path);
  if (trainer === undefined || !isDictionary(trainer.source.value) || !isDictionary(file.source.value))
    return stating(file, nanogpt.id);
  const value: Record<string, unknown> = Object.create(null);
  const places = new Map<string, Place>();
  for (const [key, one] of Object.entries(trainer.source.value)) {
    // What train.py leaves to the machine, like its dtype, is nanoGPT's own default.
    if (typeof one === 'object' || (typeof one === 'string' && one.startsWith('${'))) continue;
    value[key] = one;
    places.set(key, placeOf(trainer, key));
  }
  for (const [key, one] of Object.entries(file.source.value)) {
    value[key] = one;
    places.delete(key);
  }
  return stating({ path: file.path, source: { ...file.source, value } }, nanogpt.id, places);
}

/** Weights of OpenAI's to go on from: their own shape, biases and vocabulary. */
function statePublished(say: Stating, name: string): void {
  say.named(`openai-community/${name}`, 'init_from');
  say.model('n_positions', 'block_size');
}

function stateModel(say: Stating): void {
  const size = (key: string, canonical: string) => {
    if (say.at(key) !== undefined) say.model(canonical, key);
    else {
      say.modelIs(canonical, defaults[key]);
      say.assume(key, String(defaults[key]), `train.py's own, where the config says nothing (${source})`);
    }
  };
  say.modelIs('model_type', decoderType);
  say.modelIs('name', 'nanogpt');
  size('n_layer', 'num_hidden_layers');
  size('n_head', 'num_attention_heads');
  size('n_embd', 'hidden_size');
  const bias = say.flag('bias') ?? false;
  say.modelIs('normalization', bias ? 'layer' : 'layer_without_bias');
  for (const key of ['attention_bias', 'mlp_bias']) say.modelIs(key, bias);
  say.modelIs('gated', false);
  say.modelIs('hidden_act', 'gelu');
  say.modelIs('positions', 'learned');
  say.modelIs('tie_word_embeddings', true);
  say.modelIs('max_position_embeddings', say.at('block_size') ?? 1024, 'block_size');
  const width = say.number('n_embd') ?? defaults['n_embd'];
  if (typeof width === 'number') say.modelIs('intermediate_size', 4 * width, 'n_embd');
  stateVocabulary(say);
}

/** `train.py` takes the vocabulary from the data set's `meta.pkl`, else GPT-2's, padded. */
function stateVocabulary(say: Stating): void {
  if (say.at('vocab_size') !== undefined) {
    say.model('vocab_size', 'vocab_size');
    return;
  }
  const data = say.text('dataset') ?? 'openwebtext';
  const letters = data === 'shakespeare_char';
  const size = letters ? 65 : 50_304;
  say.modelIs('vocab_size', size);
  say.assume(
    'vocab_size',
    String(size),
    letters
      ? 'the letters of Shakespeare, which its meta.pkl counts'
      : `GPT-2's 50257 tokens, padded, unless the data set's meta.pkl says otherwise (${source})`,
  );
}

function stateRun(say: Stating): void {
  const own = (reason: string) => `${reason} (${source})`;
  say.run('micro_batch_size', 'batch_size');
  say.run('sequence_length', 'block_size');
  say.run('gradient_accumulation_in_all', 'gradient_accumulation_steps');
  say.run('train_steps', 'max_iters');
  say.run('compile', 'compile');
  say.run('precision', 'dtype', (dtype) => ({ bfloat16: 'bf16', float16: 'fp16', float32: 'fp32' })[String(dtype)]);
  say.run('dropout', 'dropout', (rate) => (typeof rate === 'number' ? rate > 0 : undefined));
  say.byDefault('micro_batch_size', 12, own('train.py takes 12 sequences'));
  say.byDefault('sequence_length', 1024, own('train.py takes 1,024 tokens'));
  say.byDefault('gradient_accumulation_in_all', 40, own('train.py takes 40 steps of all ranks together'));
  say.byDefault('train_steps', 600_000, own('train.py takes 600,000 steps'));
  say.byDefault('compile', true, own('train.py compiles the model'));
  say.byDefault('precision', 'bf16', own('train.py takes bfloat16 where the GPU has it'));
  say.byDefault('framework', 'fsdp', 'the nearest to PyTorch’s own loop: fp32 weights under autocast, fused AdamW');
  say.byDefault('sharding', 'none', own('DDP keeps everything on every GPU'));
  say.byDefault('recompute', 'none', own('nothing is recomputed'));
  say.byDefault('optimizer', 'adamw', own('AdamW'));
  say.byDefault('weights_dtype', 'fp32', own('weights stay fp32 under autocast'));
  say.byDefault('flash_attention', true, own('scaled_dot_product_attention'));
}
