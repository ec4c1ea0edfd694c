import { findModel } from '../../facts/models.ts';
import type { Statement } from '../../model/statement.ts';
import { type Dictionary, isDictionary, own, textOf } from '../../text/fields.ts';
import type { Format, ParsedFile } from '../format.ts';
import { isCallOf, recipeOf } from '../recipe.ts';
import { type Stating, stating } from '../stating.ts';
import { stateRun } from './torchtitan.ts';

const source = 'torchtitan 0014ac2 (2026-04), torchtitan/config and components';

const trainer = /(^|\.)Trainer\.Config$/;

/** torchtitan's registry since 2026: functions that return a `Trainer.Config`, with the keys that its TOML had. */
export const torchtitanPy: Format = {
  id: 'torchtitan-py',
  title: 'torchtitan config_registry.py',
  syntaxes: ['python'],
  signature: { has: ['def'], some: [[1, ['*.model_spec', '*.model']]], like: [['*.()', trainer]] },
  states,
};

function states(file: ParsedFile): Statement {
  const recipe = recipeOf(file, isCallOf(trainer));
  const { value } = recipe.source;
  const config = isDictionary(value) ? asJobConfig(value) : {};
  const say = stating({ ...recipe, source: { ...recipe.source, value: config } }, torchtitanPy.id);
  stateModel(say, file);
  stateRun(say);
  if (say.at('float8.registry') === true)
    say.byDefault('fp8_recipe', 'rowwise', `Float8LinearConverter.Config of torchtitan ${sinceRegistry}`);
  say.byDefault('recompute', 'selective', `torchtitan recomputes what is cheap to compute again (${source})`);
  stateLoss(say);
  return say.statement();
}

/** A recipe under the words that torchtitan's TOML has for the same. */
function asJobConfig(recipe: Dictionary): Dictionary {
  return {
    ...recipe,
    training: trainingOf(partOf(recipe, 'training')),
    activation_checkpoint: recomputeOf(partOf(recipe, 'activation_checkpoint')),
    model: {
      spec: own(recipe, 'model_spec') ?? own(recipe, 'model'),
      converters: convertersOf(recipe).map(({ name }) => name),
    },
    ...float8Of(convertersOf(recipe)),
  };
}

const partOf = (from: Dictionary, key: string): Dictionary => {
  const part = own(from, key);
  return isDictionary(part) ? part : {};
};

/** Since August 2026 batches are stated in tokens; a multiple of the longest sequence is that many sequences. */
function trainingOf(training: Dictionary): Dictionary {
  const tokens = own(training, 'num_tokens_per_microbatch_per_dp_rank');
  const length = own(training, 'max_context_length');
  if (tokens === undefined) return training;
  const sequences = typeof tokens === 'number' && typeof length === 'number' ? tokens / length : undefined;
  return { ...training, seq_len: length, local_batch_size: sequences ?? (tokens === length ? 1 : tokens) };
}

/** What is recomputed stands in `mode`, or since 2026-08 in the name of the class; `selective` chooses operations. */
function recomputeOf(stated: Dictionary): Dictionary {
  const kind = textOf(own(stated, '()') ?? '');
  const mode = own(stated, 'mode') ?? (/^Full/.test(kind) ? 'full' : kind === '' ? undefined : 'selective');
  return { ...stated, mode, selective_ac_option: own(stated, 'selective_ac_option') ?? 'op' };
}

/** Since when converters stand in the call of the registry, and scale rows where they name no recipe. */
const sinceRegistry = '6348d93 (2026-04-27)';

type Converter = { readonly name: string; readonly recipe: unknown; readonly registry: boolean };

/** Converters of linear layers, which stand beside the model or in its call (`quantization` until 2026-05). */
function convertersOf(recipe: Dictionary): readonly Converter[] {
  const places = [
    ['model_converters', 'converters'],
    ...['model_spec', 'model'].flatMap((holder) => [
      [holder, 'converters'],
      [holder, 'quantization'],
    ]),
  ] as const;
  return places.flatMap(([holder = '', key = '']) => {
    const listed = own(partOf(recipe, holder), key);
    const all: readonly unknown[] = Array.isArray(listed) ? listed : [];
    return all.map((one) => ({
      name: textOf(isDictionary(one) ? own(one, '()') : one).toLowerCase(),
      recipe: isDictionary(one) ? own(one, 'recipe_name') : undefined,
      registry: holder !== 'model_converters',
    }));
  });
}

/** The recipe that the converter of linear layers to 8 bits names, in the words of the TOML. */
function float8Of(converters: readonly Converter[]): Dictionary {
  const found = converters.find(({ name }) => /float8linear/.test(name));
  return found === undefined ? {} : { float8: { recipe_name: found.recipe, registry: found.registry } };
}

/** Words behind a flavor that choose kernels and leave the shape. */
const kernels = /_(non_fused_qkv|fused_qkv|flex|flex_attn|flex_flash|varlen|varlen_attn|sdpa)$/;

/** The flavor stands in `model_registry("8B")`; of which model, in what the registry was imported from or in the folder. */
function stateModel(say: Stating, file: ParsedFile): void {
  const key = say.at('model_spec') === undefined ? 'model' : 'model_spec';
  const flavor = say.text('model.spec.0') ?? say.text('model.spec.flavor');
  const registry = say.text('model.spec.()');
  if (flavor === undefined || registry === undefined || flavor.startsWith('${'))
    throw say.refuse('The recipe’s text does not say which flavor it trains; state it as model_registry("8B").', key);
  const imports = isDictionary(file.source.value) ? partOf(file.source.value, 'import') : {};
  const words = [...textOf(own(imports, registry) ?? '').split('.'), ...registry.split('.')];
  const imported = words.includes('models') ? words[words.indexOf('models') + 1] : undefined;
  const name = (one: string) => `torchtitan:${imported ?? file.path.split('/').at(-2) ?? ''}/${one}`;
  const shape = flavor.replace(kernels, '');
  say.named(findModel(name(flavor)) === undefined ? name(shape) : name(flavor), key);
  const converters = say.at('model.converters');
  if (Array.isArray(converters) && converters.some((one) => textOf(one).startsWith('lora')))
    say.warn('The LoRA converter is not read: the run is counted as one that trains every parameter.', key);
}

/** The loss in chunks of the sequence: the logits are never whole. */
function stateLoss(say: Stating): void {
  const kind = say.text('loss.()');
  if (kind === undefined || !/^Chunked/.test(kind)) return;
  say.run('loss_chunks', 'loss.num_chunks');
  say.byDefault('loss_chunks', 8, `${kind} takes 8 chunks (${source})`);
}
