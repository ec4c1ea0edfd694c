import type { Script } from './shell.ts';
import type { Command, Told, Word } from './shell-machine.ts';
import { gpusOfNode } from './slurm.ts';

/**
 * The arguments of the command that a script is about, as a dictionary that formats read like any other file: flags without
 * their dashes, `key=value` words, how many nodes and GPUs the launcher starts.
 */
export type ScriptArguments = {
  readonly value: Readonly<Record<string, unknown>>;
  /** By dotted path: `arguments.num-layers`. */
  readonly lines: ReadonlyMap<string, number>;
  /** Names of what must be known before a value is, by dotted path. */
  readonly open: ReadonlyMap<string, readonly string[]>;
};

/** Flags of launchers that say how much is started. */
const launchers: Readonly<Record<string, 'gpus_per_node' | 'nodes' | 'gpus'>> = {
  nproc_per_node: 'gpus_per_node',
  'nproc-per-node': 'gpus_per_node',
  num_gpus: 'gpus_per_node',
  'ntasks-per-node': 'gpus_per_node',
  nnodes: 'nodes',
  num_nodes: 'nodes',
  num_machines: 'nodes',
  nodes: 'nodes',
  N: 'nodes',
  num_processes: 'gpus',
  np: 'gpus',
};

const flag = /^--?([A-Za-z][\w.-]{0,200})(?:=(.*))?$/s;
const override = /^\+{0,2}([A-Za-z_][\w.@/-]{0,200})=(.*)$/s;

/** The command with the most arguments; where none has any, the lists that a script prepares for others. */
export function argumentsOf(script: Script): ScriptArguments {
  const counted = (command: Command) =>
    command.words.filter(({ text }) => flag.test(text) || override.test(text)).length + Number(starts(command)) / 2;
  const prepared: Command = { words: script.prepared, line: 1 };
  const [first, ...rest] = script.commands.length === 0 ? [prepared] : script.commands;
  const main = rest.reduce((best, one) => (counted(one) > counted(best) ? one : best), first ?? { words: [], line: 1 });
  const chosen = counted(main) < fewest ? longer(main, prepared, counted) : main;
  return sorted(chosen, script);
}

/** Of two commands with as many arguments, one that starts a training is what the script is about. */
const starts = ({ words: [first] }: Command): boolean =>
  /(^|\/)(llamafactory-cli|axolotl|accelerate|torchrun|deepspeed|tune|trl|oumi|swift|megatron|litgpt|python3?|srun|mpirun)$/.test(
    first?.text ?? '',
  );

/** A command with fewer arguments is not the training that a script launches. */
const fewest = 3;

const longer = (one: Command, other: Command, counted: (command: Command) => number): Command =>
  counted(other) > counted(one) ? other : one;

/** What words of a command are: flags, `key=value`, what a launcher starts, and the program with its plain arguments. */
type Sorted = {
  readonly flags: Record<string, unknown>;
  readonly overrides: Record<string, unknown>;
  readonly launch: Record<string, unknown>;
  readonly program: string[];
  readonly lines: Map<string, number>;
  readonly open: Map<string, readonly string[]>;
};

function sorted({ words, environment = new Map() }: Command, script: Script): ScriptArguments {
  const made = (): Record<string, unknown> => Object.create(null);
  const all: Sorted = {
    flags: made(),
    overrides: made(),
    launch: made(),
    program: [],
    lines: new Map(),
    open: new Map(),
  };
  for (let at = 0; at < words.length; ) at = sortWord(words, at, all);
  const { flags, overrides, launch, program, lines, open } = all;
  const gpus = gpusOfNode(script.directives);
  const nodes = script.directives.get('nodes') ?? script.directives.get('N');
  return {
    value: {
      arguments: flags,
      overrides,
      launch: {
        ...(gpus === undefined ? {} : { gpus_per_node: gpus }),
        ...(nodes === undefined ? {} : { nodes }),
        ...fromEnvironment(environment),
        ...launch,
        ...included(flags['include']),
      },
      configs: configsOf(program, flags),
      module: moduleOf(program, flags),
      sections: Object.fromEntries(Object.keys(overrides).map((key) => [key.split('.')[0] ?? '', true])),
      program: program.slice(0, 50).join(' ').slice(0, 1_000),
      written: Object.fromEntries(script.written),
      sourced: [...script.sourced],
    },
    lines,
    open,
  };
}

/** Sorts the word at a place, with its values where it is a flag, and says where the next one is. */
function sortWord(words: readonly Word[], at: number, all: Sorted): number {
  const word = words[at];
  if (word === undefined) return at + 1;
  // A quoted word may hold a flag and its value.
  const [head = word, ...behind]: readonly Told[] = word.text.startsWith('--') ? word.pieces : [word];
  const [, name, attached] = flag.exec(head.text) ?? [];
  if (name !== undefined) {
    const within = attached === undefined ? behind : [{ text: attached, needs: head.needs }];
    const further = within.length === 0 ? valuesBehind(words, at, name) : [];
    put(name, [...within, ...further], word.line, all);
    return at + 1 + further.length;
  }
  const [, key, set] = override.exec(word.text) ?? [];
  if (key === undefined || set === undefined || !key.includes('.')) all.program.push(word.text);
  else {
    all.overrides[key] = set;
    tell(key, word, word.line, all);
  }
  return at + 1;
}

/** The words behind a flag that are its values. */
function valuesBehind(words: readonly Word[], at: number, name: string): readonly Word[] {
  const most = Object.hasOwn(launchers, name) ? 1 : words.length;
  const values: Word[] = [];
  for (const word of words.slice(at + 1)) {
    if (values.length >= most || !isValue(word) || (values.length > 0 && started.test(word.text))) break;
    values.push(word);
  }
  return values;
}

/** Puts a flag among the flags, and where it is a launcher's, among what is launched. */
function put(name: string, values: readonly Told[], line: number, all: Sorted): void {
  const [single, ...others] = values.map(({ text }) => text);
  const value = single === undefined ? true : others.length === 0 ? single : [single, ...others];
  const into = Object.hasOwn(launchers, name) ? launchers[name] : undefined;
  if (into !== undefined) {
    all.launch[into] = value;
    all.lines.set(`launch.${into}`, line);
  }
  all.flags[name] = value;
  tell(`arguments.${name}`, { needs: values.flatMap(({ needs }) => needs) }, line, all);
}

/** Where a value stands, and what must be known before it is. */
function tell(path: string, { needs }: Pick<Told, 'needs'>, line: number, { lines, open }: Sorted): void {
  lines.set(path, line);
  if (needs.length > 0) open.set(path, [...new Set(needs)]);
  else open.delete(path);
}

/** A training file on the command line is not one more value of the flag before it. */
const started = /\.ya?ml$/;

/** ms-swift, LLaMA-Factory and others start as many processes as the environment says. */
function fromEnvironment(environment: ReadonlyMap<string, string>): Readonly<Record<string, unknown>> {
  const devices = environment.get('CUDA_VISIBLE_DEVICES') ?? environment.get('ASCEND_RT_VISIBLE_DEVICES');
  const each = environment.get('NPROC_PER_NODE') ?? (devices && /^\d+(,\d+)*$/.test(devices) ? devices : undefined);
  const nodes = environment.get('NNODES') ?? environment.get('NUM_NODES');
  return {
    ...(each === undefined
      ? {}
      : { gpus_per_node: /,/.test(each) ? String(each.split(',').length) : each === devices ? '1' : each }),
    ...(nodes === undefined ? {} : { nodes }),
  };
}

/** DeepSpeed's `--include localhost:0,1,2,3`. */
function included(value: unknown): Readonly<Record<string, unknown>> {
  const list = typeof value === 'string' ? /^[\w.-]+:(\d+(?:,\d+)*)$/.exec(value)?.[1] : undefined;
  return list === undefined ? {} : { gpus_per_node: String(list.split(',').length) };
}

/** The Python module or file that is started. */
function moduleOf(program: readonly string[], flags: Readonly<Record<string, unknown>>): string {
  const named = [flags['m'], flags['module']].find((one) => typeof one === 'string');
  const file = program.find((word) => /\.py$/.test(word)) ?? program.find((word) => /^[a-z_]+(\.\w+){2,}$/.test(word));
  return typeof named === 'string' ? named : (file ?? '');
}

/** Training files that the command names: behind `--config`, or by themselves. */
function configsOf(program: readonly string[], flags: Readonly<Record<string, unknown>>) {
  const named = ['config', 'config-file', 'config_file', 'job.config_file'].map((name) =>
    name === 'config_file' && program.includes('accelerate') ? undefined : flags[name],
  );
  const paths = [...program, ...named].filter(
    (path): path is string => typeof path === 'string' && /^[\w./@+-]+\.(ya?ml|toml)$/.test(path),
  );
  return Object.fromEntries(paths.slice(0, 4).map((path) => [path, true]));
}

/** A word behind a flag is its value, unless it is a flag itself; a negative number is a value. */
const isValue = (word: Word): boolean =>
  !isOverride(word.text) && !isProgram(word.text) && (/^-\d/.test(word.text) || !word.text.startsWith('-'));

/** The program that a launcher starts; what comes behind it are the program's arguments. */
const isProgram = (text: string): boolean => /^[^\s=]+\.py$/.test(text);

const isOverride = (text: string): boolean => override.exec(text)?.[1]?.includes('.') === true;
