import { isDictionary, textOf } from '../text/fields.ts';
import type { Beside } from './format.ts';
import { optimizerOf, shardingOf } from './spellings.ts';
import { flagOf, type Stating } from './stating.ts';
import { pathOf } from './trainer.ts';

/** How a run's state is divided, as DeepSpeed's and FSDP's keys say it wherever they stand: in files of their own or inside others'. */

/**
 * DeepSpeed's JSON, or the same keys inside another file. Its `auto` leaves to the trainer's arguments what they say.
 *
 * @param prefix dotted, with the dot: where DeepSpeed's keys stand
 */
export function sayDeepSpeed(say: Stating, prefix = ''): void {
  const key = (path: string) => prefix + path;
  const stage = key('zero_optimization.stage');
  say.runIs('framework', 'deepspeed', say.at(stage) === undefined ? firstKey(say, prefix) : stage);
  say.run('sharding', stage, shardingOf);
  if (say.at(stage) === undefined) say.runIs('sharding', 'none', firstKey(say, prefix));
  sayDeepSpeedOffload(say, key);
  say.run('micro_batch_size', key('train_micro_batch_size_per_gpu'));
  say.run('gradient_accumulation', key('gradient_accumulation_steps'));
  say.run('global_batch_size', key('train_batch_size'));
  say.run('parallelism.tensor', [key('tensor_parallel.autotp_size'), key('tensor_parallel.tp.tp_size')]);
  say.run('parallelism.context', key('sequence_parallel_size'));
  say.run('shard_group', [key('zero_optimization.mics_shard_size')], (size) => (Number(size) > 1 ? size : undefined));
  sayDeepSpeedDtypes(say, key);
  say.run('optimizer', key('optimizer.type'), optimizerOf);
}

/** A key that a message can point to where the deciding one is absent. */
function firstKey(say: Stating, prefix: string): string {
  const known = ['zero_optimization', 'train_micro_batch_size_per_gpu', 'train_batch_size', 'bf16', 'fp16'];
  return known.map((key) => prefix + key).find((key) => say.at(key) !== undefined) ?? prefix.replace(/\.$/, '');
}

function sayDeepSpeedOffload(say: Stating, key: (path: string) => string): void {
  const parameters = key('zero_optimization.offload_param.device');
  const optimizer = key('zero_optimization.offload_optimizer.device');
  const away = (device: unknown) => device === 'cpu' || device === 'nvme';
  if (away(say.at(parameters))) say.runIs('offload', 'parameters', parameters);
  if (away(say.at(optimizer))) say.runIs('offload', 'optimizer', optimizer);
  const older = key('zero_optimization.cpu_offload');
  if (say.flag(older) === true) say.runIs('offload', 'optimizer', older);
}

function sayDeepSpeedDtypes(say: Stating, key: (path: string) => string): void {
  const sixteen = [
    ['bf16.enabled', 'bf16'],
    ['bfloat16.enabled', 'bf16'],
    ['fp16.enabled', 'fp16'],
  ] as const;
  for (const [path, dtype] of sixteen) {
    if (say.flag(key(path)) !== true) continue;
    say.runIs('precision', dtype, key(path));
    // The engine casts the model whatever it was loaded as, and steps over an fp32 copy.
    say.runIs('weights_dtype', dtype, key(path));
    say.runIs('master_weights', true, key(path));
  }
  say.run('gradients_dtype', key('data_types.grad_accum_dtype'), (dtype) =>
    ['fp32', 'bf16', 'fp16'].includes(textOf(dtype)) ? dtype : undefined,
  );
}

/** The `deepspeed:` of a trainer's file: a path, or the keys themselves. True where there is one. */
export function sayDeepSpeedFile(say: Stating, key: string, from: string, beside: Beside): boolean {
  const value = say.at(key);
  if (isDictionary(value)) {
    sayDeepSpeed(say, `${key}.`);
    return true;
  }
  if (typeof value !== 'string' || value.trim() === '') return false;
  say.runIs('framework', 'deepspeed', key);
  // ms-swift has configs of its own under these names.
  const [named, number] = /^zero([0-3])(?:_offload)?$/.exec(value) ?? [];
  if (named !== undefined) {
    say.runIs('sharding', shardingOf(number), key);
    if (named.endsWith('offload')) say.runIs('offload', number === '3' ? 'parameters' : 'optimizer', key);
    return true;
  }
  const path = pathOf(value, from, beside);
  if (path === undefined) say.warn(`${key} names ${value.slice(0, 100)}, which is not a path of this repository.`, key);
  else say.refer('run', path, key);
  const stage = /(?:zero|stage|z)[-_]?([0-3])(?!\d)/i.exec(value.slice(-100))?.[1];
  if (stage !== undefined)
    say.byDefault('sharding', shardingOf(stage), `the name ${value.slice(0, 100)} says ZeRO ${stage}`);
  return true;
}

const strategies: Readonly<Record<string, 'full' | 'gradients' | 'none'>> = {
  FULL_SHARD: 'full',
  SHARD_GRAD_OP: 'gradients',
  NO_SHARD: 'none',
  HYBRID_SHARD: 'full',
  HYBRID_SHARD_ZERO2: 'gradients',
  _HYBRID_SHARD_ZERO2: 'gradients',
  1: 'full',
  2: 'gradients',
  3: 'none',
  4: 'full',
  5: 'gradients',
};

/** FSDP's sharding strategy by its name or number. */
export function sayStrategy(say: Stating, key: string): void {
  const word = textOf(say.at(key)).toUpperCase().replace('SHARDINGSTRATEGY.', '');
  if (Object.hasOwn(strategies, word)) say.runIs('sharding', strategies[word], key);
  if (/HYBRID|^[45]$/.test(word))
    say.byDefault('shard_group', 8, 'hybrid sharding divides within a node, which mostly has 8 GPUs (PyTorch, FSDP)');
}

/**
 * `fsdp_config` as accelerate, Trainer and axolotl write it, with `fsdp_` before each key or without.
 *
 * @param at the key under which the block stands
 */
export function sayFsdpConfig(say: Stating, at: string): void {
  const either = (name: string) => [`${at}.fsdp_${name}`, `${at}.${name}`];
  const strategy = either('sharding_strategy').find((key) => say.at(key) !== undefined);
  if (strategy !== undefined) sayStrategy(say, strategy);
  const reshard = either('reshard_after_forward').find((key) => say.at(key) !== undefined);
  if (reshard !== undefined) sayReshard(say, reshard);
  const offload = either('offload_params').find((key) => say.flag(key) === true);
  if (offload !== undefined) say.runIs('offload', 'parameters', offload);
  const checkpointing = either('activation_checkpointing').find((key) => say.flag(key) === true);
  if (checkpointing !== undefined) say.runIs('recompute', 'full', checkpointing);
}

/** A flag of FSDP2, or a strategy of FSDP1 under its newer key. */
function sayReshard(say: Stating, key: string): void {
  const again = flagOf(say.at(key));
  if (again === undefined) sayStrategy(say, key);
  else say.runIs('reshard_after_forward', again, key);
}

/**
 * FSDP2 is the row of FSDP. The row of Trainer was measured with FSDP1, but sends nothing to the CPU: there FSDP's is nearer.
 *
 * @param on the key that asks for FSDP
 * @param config the key of its block
 */
export function sayFsdpVersion(say: Stating, on: string, config: string, byDefault: 1 | 2, offloads = false): void {
  const keys = ['fsdp_version', `${config}.fsdp_version`, `${config}.version`];
  const key = keys.find((one) => say.number(one) !== undefined);
  const version = key === undefined ? byDefault : say.number(key);
  const away = offloads || [`${config}.fsdp_offload_params`, `${config}.offload_params`].some((one) => say.flag(one));
  say.runIs('framework', version === 2 || away ? 'fsdp' : 'transformers', key ?? on);
  const nearest = away ? 'FSDP1, whose offloading is counted as FSDP2’s' : 'FSDP1, with which Trainer was measured';
  if (version !== 2) say.assume('framework', away ? 'fsdp' : 'transformers', nearest);
}

/** Trainer's and axolotl's `fsdp:` words: `full_shard auto_wrap offload`, as a text or a list. True where there are any. */
export function sayFsdpWords(say: Stating, key: string, config: string): boolean {
  const value = say.at(key);
  const words = (
    Array.isArray(value)
      ? value.slice(0, 20).map(textOf)
      : textOf(value ?? '')
          .slice(0, 200)
          .split(/[ ,]/)
  )
    .map((word) => word.trim().toUpperCase())
    .filter((word) => word !== '');
  const on = flagOf(value) === true || words.length > 0 || isDictionary(say.at(config));
  if (!on || flagOf(value) === false) return false;
  const stated = value === undefined ? config : key;
  sayFsdpConfig(say, config);
  const strategy = words.find((word) => Object.hasOwn(strategies, word));
  if (strategy !== undefined) say.runIs('sharding', strategies[strategy], key);
  const offloads = words.includes('OFFLOAD');
  if (offloads) say.runIs('offload', 'parameters', key);
  // Words are how FSDP1 is asked for; since transformers 5 a plain `true` asks for FSDP2.
  sayFsdpVersion(say, stated, config, flagOf(value) === true ? 2 : 1, offloads);
  say.byDefault('sharding', 'full', 'FSDP divides weights, gradients and optimizer states (PyTorch, FULL_SHARD)');
  return true;
}
