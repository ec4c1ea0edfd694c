import { textOf } from '../text/fields.ts';
import type { Beside } from './format.ts';
import { pathInside } from './gather.ts';
import { optimizerOf } from './spellings.ts';
import { flagOf, type Stating } from './stating.ts';

/** What all formats around Hugging Face's Trainer state in the same way: optimizers, precision, adapters, attention, the loss. */

/** Version of Trainer's defaults. */
export const transformersRead = 'transformers 5.18, TrainingArguments';

/** Optimizers that keep less or more than the one they are counted as. */
const unlike =
  /4bit|galore|apollo|badam|adam_mini|lomo|ademamix|grokadamw|paged|lion_8bit|schedule_free|stable|q_?galore/;

/** The optimizer as Trainer's `optim` names it. */
export function sayOptimizer(say: Stating, key: string, defaultReason: string): void {
  const stated = say.at(key);
  if (typeof stated !== 'string') {
    say.byDefault('optimizer', 'adamw', defaultReason);
    return;
  }
  const name = stated.toLowerCase().slice(0, 100);
  const found = name.includes('4bit') ? 'adamw_8bit' : optimizerOf(name);
  const nearest = found === 'adam' ? 'adamw' : (found ?? 'adamw');
  say.runIs('optimizer', nearest, key);
  if (found === undefined || unlike.test(name))
    say.assume('optimizer', nearest, `${key} is ${name}, of which ${nearest} is the nearest that is counted`);
}

/** bf16 and fp16 switches; `auto` is bf16, which every GPU since Ampere has. Undefined where neither is on. */
export function sayPrecision(
  say: Stating,
  bf16: readonly string[],
  fp16: readonly string[],
): 'bf16' | 'fp16' | undefined {
  say.run('tf32', 'tf32', flagOf);
  const isOn = (key: string) => flagOf(say.at(key)) === true || ['auto', 'full'].includes(textOf(say.at(key)));
  for (const [precision, keys] of [
    ['bf16', bf16],
    ['fp16', fp16],
  ] as const) {
    const key = keys.find(isOn);
    if (key === undefined) continue;
    say.runIs('precision', precision, key);
    return precision;
  }
  return undefined;
}

/** Attention as `attn_implementation` names it: all but `eager` leave the scores unwritten. */
export function sayAttention(say: Stating, keys: readonly string[]): void {
  say.run('flash_attention', keys, (word) => word !== 'eager' && word !== 'disabled');
  say.run(
    'attention_kernel',
    keys,
    (word) =>
      ({ flash_attention_2: 'flash2', fa2: 'flash2', flash_attention_3: 'flash3', fa3: 'flash3', sdpa: 'sdpa' })[
        textOf(word)
      ],
  );
  say.byDefault('flash_attention', true, `SDPA where nothing else is asked for (${transformersRead})`);
}

/** Trainer's `gradient_checkpointing`: every layer is computed again. */
export function sayCheckpointing(say: Stating, key: string, byDefault: boolean, source: string): void {
  say.run('recompute', key, (on) => (flagOf(on) === false ? 'none' : 'full'));
  if (textOf(say.at(key)).startsWith('offload')) say.runIs('offload', 'activations', key);
  say.byDefault('recompute', byDefault ? 'full' : 'none', source);
}

/** Keys by which a format states its adapters, and what holds where it does not. */
type LoraKeys = {
  /** the key that turns adapters on */
  readonly on: string;
  readonly rank: string;
  readonly targets: string;
  readonly rankByDefault: number;
  readonly targetsByDefault: readonly string[];
  readonly source: string;
};

/** PEFT's choice for Llama and most other models. */
export const targetsOfPeft = ['q_proj', 'v_proj'];

/** Low-rank adapters, all from one source, since a run does not mix the adapters of two. */
export function sayLora(say: Stating, keys: LoraKeys, baseBits: 4 | 8 | 16): void {
  const { on, rank, targets, rankByDefault, targetsByDefault, source } = keys;
  const statedRank = say.number(rank);
  say.runIs('lora.rank', statedRank ?? rankByDefault, statedRank === undefined ? on : rank);
  if (statedRank === undefined) say.assume('lora.rank', textOf(rankByDefault), `what ${source} takes`);
  const stated = targetsOf(say.at(targets));
  say.runIs('lora.targets', stated ?? targetsByDefault, stated === undefined ? on : targets);
  if (stated === undefined && typeof say.at(targets) === 'string')
    say.warn(`${targets} is a pattern that names no module, so ${targetsByDefault.join(', ')} are counted.`, targets);
  if (stated === undefined) say.assume('lora.targets', targetsByDefault.join(', '), `what ${source} takes`);
  say.runIs('lora.base_bits', baseBits, on);
}

const projections = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

/** Names of adapted modules from a list, a text with commas, one of the words for all, or a pattern that spells them out. */
function targetsOf(value: unknown): readonly string[] | undefined {
  const words = (Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [])
    .slice(0, 100)
    .map((word) => textOf(word).trim().slice(0, 100));
  const names = words.flatMap((word) => {
    if (['all', 'all-linear', 'all_linear'].includes(word)) return ['all-linear'];
    const last = word.split('.').at(-1)?.replace(/^\*/, '') ?? '';
    return last === '_proj' ? projections : [last];
  });
  if (names.length > 0 && names.every((name) => /^\w[\w-]*$/.test(name))) return [...new Set(names)];
  const spelled = typeof value === 'string' ? spelledOut(value.slice(0, 500)) : [];
  return spelled.length === 0 ? undefined : spelled;
}

/** The projections that a regular expression names, whole or as `(q|k|v)_proj`; it is never run. */
function spelledOut(pattern: string): readonly string[] {
  const stems = [...pattern.matchAll(/\(([a-z|]{1,60})\)_proj/g)].flatMap(([, group = '']) => group.split('|'));
  return projections.filter((name) => pattern.includes(name) || stems.includes(name.replace('_proj', '')));
}

/** Bits of the base weights that a model's name promises, as publishers of quantised weights write it. */
export function bitsNamed(name: string): 4 | 8 | 16 {
  const word = name.toLowerCase();
  if (/4[-_]?bit|int4|gptq|awq|aqlm|nf4|fp4|w4a16|[23]bit/.test(word)) return 4;
  return /8[-_]?bit|int8|fp8|w8a/.test(word) ? 8 : 16;
}

/** Bits of a frozen base: as the file asks for, else as the name of the model says. */
export function baseBits(say: Stating, four: string | undefined, eight: string | undefined, name: string): 4 | 8 | 16 {
  if (four !== undefined && say.flag(four) === true) return 4;
  if (eight !== undefined && say.flag(eight) === true) return 8;
  return bitsNamed(name);
}

/** A file that trainers open from where they are started, which is the root, or the file's own folder. */
export function pathOf(named: string, from: string, beside: Beside): string | undefined {
  const atRoot = pathInside(named, from);
  const below = pathInside(`./${named}`, from);
  return [atRoot, below].find((path) => path !== undefined && beside(path) !== undefined) ?? atRoot;
}

/** Steps of the whole training; -1 leaves them to the data. */
export function saySteps(say: Stating, key: string): void {
  const steps = say.number(key);
  if (steps !== undefined && steps > 0) say.runIs('train_steps', steps, key);
}
