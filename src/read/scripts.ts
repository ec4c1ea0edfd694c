import type { Statement } from '../model/statement.ts';
import { isDictionary, own } from '../text/fields.ts';
import type { Inputs } from '../text/shell-machine.ts';
import { parseShell } from '../text/syntax.ts';
import type { Files } from '../world.ts';
import { type Argument, type Arguments, argumentName } from './arguments.ts';
import { type Beside, type ParsedFile, placeOf } from './format.ts';
import { pathInside } from './gather.ts';
import { hostsIn } from './hosts.ts';
import { numeric, type Stating } from './stating.ts';
import { pathOf } from './trainer.ts';

/** What formats of launch scripts have in common: files that a script reads in, and its arguments with their places. */

/** How many scripts deep a script that reads in another one is followed. */
const rounds = 3;
/** The most bytes of a file that a script reads in. */
const longest = 200_000;

/**
 * A script evaluated with what it is started with and with the scripts that it reads in, as far as they are in the repository; or
 * the files that must be known first.
 */
export function followed(
  file: ParsedFile,
  known: Files,
  inputs: Inputs,
): ParsedFile | { readonly kind: 'needs'; readonly paths: readonly string[] } {
  const texts = new Map<string, string>();
  let script = Object.keys(inputs).length === 0 ? file : again(file, texts, inputs);
  for (let round = 0; round < rounds; round++) {
    const fresh = sourcedOf(script).filter((name) => !texts.has(name));
    const candidates = fresh.flatMap((name) => pathsOf(name, file.path));
    const missing = candidates.filter((path) => !known.has(path));
    if (missing.length > 0) return { kind: 'needs', paths: [...new Set(missing)] };
    for (const name of fresh) {
      const path = pathsOf(name, file.path).find((one) => known.get(one)?.kind === 'bytes');
      const side = path === undefined ? undefined : known.get(path);
      if (side?.kind === 'bytes') texts.set(name, Buffer.from(side.bytes.subarray(0, longest)).toString('utf8'));
    }
    if (!fresh.some((name) => texts.has(name))) break;
    script = again(file, texts, inputs);
  }
  return script;
}

function again(file: ParsedFile, texts: ReadonlyMap<string, string>, inputs: Inputs): ParsedFile {
  const parsed = parseShell(file.source.text ?? '', (name) => texts.get(name), inputs);
  return parsed.kind === 'broken' ? file : { path: file.path, source: parsed };
}

function sourcedOf({ source: { value } }: ParsedFile): readonly string[] {
  const names = isDictionary(value) ? own(value, 'sourced') : undefined;
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string').slice(0, 16) : [];
}

/** Whether a file is one that scripts read in, by its name. */
export const isReadIn = (path: string): boolean => /\.(sh|bash|env|conf|slurm)$/.test(path);

/**
 * Where a script finds what it reads in: in its own folder, or from where it is started, which is the root. A path of the machine
 * (`/root/slime/scripts/models/x.sh`) ends as one of the repository.
 */
function pathsOf(name: string, from: string): readonly string[] {
  if (!isReadIn(name)) return [];
  const steps = name.split('/').filter((step) => step !== '');
  const paths = name.startsWith('/')
    ? Array.from({ length: Math.min(4, steps.length) }, (_, left) => steps.slice(left).join('/'))
    : [`./${name}`, name.replace(/^(\.\/)+/, ''), name.replace(/^(\.\.?\/)+/, '')].map((path) =>
        pathInside(path, from),
      );
  return [...new Set(paths.flatMap((path) => (path === undefined || path === from ? [] : [path])))];
}

/** The flags of the command that a script is about, by their names with `_`, told of as they stand in the script. */
export function flagsOf(script: ParsedFile): Arguments {
  const { value } = script.source;
  const flags = isDictionary(value) ? own(value, 'arguments') : undefined;
  const found = new Map<string, Argument>();
  for (const [word, given] of Object.entries(isDictionary(flags) ? flags : {})) {
    const needs = script.source.open?.get(`arguments.${word}`);
    const at = placeOf(script, `--${word}`, `arguments.${word}`);
    found.set(argumentName(word), { value: given, at, ...(needs === undefined ? {} : { needs }) });
  }
  return found;
}

/** Names under which arguments say what is started. */
type LaunchNames = { readonly gpus: string; readonly nodes: string; readonly gpus_per_node: string };
const ownNames: LaunchNames = { gpus: 'launch_gpus', nodes: 'launch_nodes', gpus_per_node: 'launch_gpus_per_node' };

/**
 * What starts the command: GPUs of a node, nodes, GPUs in all, as the launcher's flags or Slurm's directives say. Where a part of
 * that is open, so is the number of GPUs.
 */
export function launched(script: ParsedFile, beside: Beside, names: LaunchNames = ownNames): Arguments {
  const { value } = script.source;
  const launch = isDictionary(value) ? own(value, 'launch') : undefined;
  const found = new Map<string, Argument>();
  if (!isDictionary(launch)) return found;
  for (const [name, key] of [
    ['gpus', 'GPUs'],
    ['nodes', 'nodes'],
    ['gpus_per_node', 'GPUs of a node'],
  ] as const) {
    const given = own(launch, name);
    if (given === undefined) continue;
    const at = placeOf(script, key, `launch.${name}`);
    if (typeof numeric(given) === 'number') found.set(names[name], { value: given, at });
    else found.set(names.gpus, { value: `<${String(given).slice(0, 60)}>`, at });
  }
  for (const [name, argument] of hostsOf(script, found, names, beside)) found.set(name, argument);
  const one = { value: 1, at: { file: script.path, key: 'nodes' } };
  if (found.has(names.gpus_per_node) && !found.has(names.nodes) && !found.has(names.gpus)) found.set(names.nodes, one);
  return found;
}

/** How much is started by the file of hosts that the launcher is given, where nothing else says how many they are. */
function hostsOf(script: ParsedFile, found: Arguments, names: LaunchNames, beside: Beside): Arguments {
  const name = flagsOf(script).get('hostfile');
  if (typeof name?.value !== 'string' || found.has(names.nodes) || found.has(names.gpus)) return new Map();
  const hosts = hostsIn(name.value, script, beside);
  if (hosts === undefined)
    return new Map([[names.gpus, { value: `<the hosts of ${name.value.slice(0, 100)}>`, at: name.at }]]);
  const at = { file: hosts.path, key: 'slots' };
  if (found.has(names.gpus_per_node)) return new Map([[names.nodes, { value: hosts.slots.length, at }]]);
  return new Map([[names.gpus, { value: hosts.slots.reduce((sum, slots) => sum + slots, 0), at }]]);
}

/** The text under a key of a script's dictionary; '' where there is none. */
export function wordsOf({ source: { value } }: ParsedFile, key: string): string {
  const text = isDictionary(value) ? own(value, key) : undefined;
  return typeof text === 'string' ? text : '';
}

/** A text that the script itself writes to a file of this name. */
export function writtenBy({ source: { value } }: ParsedFile, name: string): string | undefined {
  const written = isDictionary(value) ? own(value, 'written') : undefined;
  const text = isDictionary(written) ? own(written, name) : undefined;
  return typeof text === 'string' ? text : undefined;
}

/** Arguments as if they were the keys of a file. */
export function asFile({ path, source }: ParsedFile, flags: Arguments): ParsedFile {
  const value: Record<string, unknown> = Object.create(null);
  const lines = new Map<string, number>();
  const open = new Map<string, readonly string[]>();
  for (const [name, { value: given, at, needs }] of flags) {
    value[name] = given;
    if (at.line !== undefined) lines.set(name, at.line);
    if (needs !== undefined) open.set(name, needs);
  }
  return { path, source: { value, lines, open, problems: source.problems } };
}

/** The statement of a launcher, joined with that of the arguments behind it. */
export const joinedStatements = (launch: Statement, inner: Statement): Statement => ({
  ...launch,
  ...inner,
  run: { ...launch.run, ...inner.run },
  refers: [...inner.refers, ...launch.refers],
});

/** GPUs, nodes and GPUs of a node as the launcher says. */
export function sayLaunch(say: Stating): void {
  say.run('gpus', 'launch_gpus');
  say.run('nodes', 'launch_nodes');
  say.run('gpus_per_node', 'launch_gpus_per_node');
}

/** Words such as `True` and `false` become booleans. */
export const spelled = (flags: Arguments): Arguments =>
  new Map(
    [...flags].map(([name, argument]) => [
      name,
      typeof argument.value === 'string' ? { ...argument, value: spelledOut(argument.value) } : argument,
    ]),
  );

/** A path that begins with a dot is relative to where the script is started, which is the root. */
const spelledOut = (value: string): unknown =>
  /^(true|false)$/i.test(value)
    ? /^true$/i.test(value)
    : /^\.\/.*\.(json|ya?ml)$/.test(value)
      ? value.replace(/^(\.\/)+/, '')
      : value;

/** Refers to the files that a command names: its training files and accelerate's. */
export function referToConfigs(say: Stating, script: ParsedFile, beside: Beside): void {
  const { path, source } = script;
  const { value } = source;
  const configs = isDictionary(value) ? own(value, 'configs') : undefined;
  const program = wordsOf(script, 'program');
  for (const config of Object.keys(isDictionary(configs) ? configs : {})) {
    const named = pathOf(config.replace(/^(\.\/)+/, ''), path, beside);
    if (named !== undefined && named !== path) say.refer('run', named, 'its command', program);
  }
  const flags = isDictionary(value) ? own(value, 'arguments') : undefined;
  const stated = isDictionary(flags) ? own(flags, 'config_file') : undefined;
  const accelerate = /(^|[\s/])accelerate(\s|$)/.test(program) && typeof stated === 'string' ? stated : undefined;
  const named = accelerate === undefined ? undefined : pathOf(accelerate.replace(/^(\.\/)+/, ''), path, beside);
  if (named !== undefined) say.refer('run', named, '--config_file');
}

/** The words of a command that are `a.b.c=value`, each with its line. */
export function overridesOf(script: ParsedFile): Arguments {
  const { value } = script.source;
  const overrides = isDictionary(value) ? own(value, 'overrides') : undefined;
  return new Map(
    Object.entries(isDictionary(overrides) ? overrides : {}).map(([key, given]) => {
      const needs = script.source.open?.get(key);
      return [key, { value: given, at: placeOf(script, key), ...(needs === undefined ? {} : { needs }) }];
    }),
  );
}

/** Like `sayLaunch`, for statements that are not made of flags. */
export function sayLaunchAs(say: Stating, script: ParsedFile, beside: Beside): void {
  for (const [name, { value, at }] of launched(script, beside)) {
    const field = ({ launch_gpus: 'gpus', launch_nodes: 'nodes', launch_gpus_per_node: 'gpus_per_node' } as const)[
      name
    ];
    if (field !== undefined) say.runIs(field, value, at.key);
  }
}
