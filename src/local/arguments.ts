import { parseArgs } from 'node:util';
import { didYouMean } from '../read/nearest.ts';

/** Wrong usage: the sentence is for the user, the exit code is 2. */
export class Usage extends Error {}

const options = {
  run: { type: 'string' },
  policy: { type: 'string' },
  accelerator: { type: 'string' },
  gpus: { type: 'string' },
  'memory-budget': { type: 'string' },
  'sequence-length': { type: 'string' },
  'micro-batch-size': { type: 'string' },
  tokens: { type: 'string' },
  'tokens-per-second': { type: 'string' },
  'fail-on': { type: 'string' },
  format: { type: 'string' },
  output: { type: 'string' },
  base: { type: 'string' },
  head: { type: 'string' },
  model_config: { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

export const commands = ['report', 'diff', 'mfu', 'list'] as const;
export type Command = (typeof commands)[number];

export type Words = {
  readonly command: Command | 'help' | 'version';
  readonly files: readonly string[];
  readonly option: (name: Exclude<keyof typeof options, 'help' | 'version' | 'model_config'>) => string | undefined;
  readonly format: 'text' | 'markdown' | 'json';
};

/** @throws Usage with one sentence */
export function wordsOf(argv: readonly string[]): Words {
  const unknown = argv.find(
    (word) => word.startsWith('--') && word.length > 2 && !Object.hasOwn(options, word.slice(2).split('=')[0] ?? ''),
  );
  if (unknown !== undefined && !argv.slice(0, argv.indexOf(unknown)).includes('--')) {
    const name = unknown.slice(2).split('=')[0] ?? '';
    throw new Usage(`There is no option --${name}.${didYouMean(name, Object.keys(options))}`);
  }
  let parsed: ReturnType<typeof parseAll>;
  try {
    parsed = parseAll(argv);
  } catch (error) {
    throw new Usage(
      error instanceof Error ? (error.message.split('\n')[0]?.split('. To specify')[0] ?? '') : String(error),
    );
  }
  const { values, positionals } = parsed;
  const format = values.format ?? 'text';
  if (format !== 'text' && format !== 'markdown' && format !== 'json')
    throw new Usage(`--format is "${format}", but must be text, markdown or json.`);
  const option: Words['option'] = (name) => values[name];
  const [first, ...rest] = positionals;
  const named = values.model_config ?? [];
  if (values.version === true) return { command: 'version', files: [], option, format };
  if (values.help === true || first === 'help' || (first === undefined && named.length === 0))
    return { command: 'help', files: [], option, format };
  const command = commands.find((one) => one === first);
  if (command !== undefined) return { command, files: [...rest, ...named], option, format };
  // `--model_config FILE` alone is the note's own way to ask for a report.
  if (first === undefined) return { command: 'report', files: named, option, format };
  throw new Usage(
    `There is no command "${first}".${didYouMean(first, commands) || ` Commands: ${commands.join(', ')}.`}`,
  );
}

const parseAll = (argv: readonly string[]) =>
  parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });

export const help = `model-cost: what a model costs to train, counted and projected

  model-cost report CONFIG...              all metrics of one or more configs
  model-cost diff BASE HEAD                two files
  model-cost diff --base REV [--head REV]  the configs changed in this git repository (default head: the working tree)
  model-cost mfu CONFIG --tokens-per-second N
                                           MFU of a measured run
  model-cost list accelerators|families|formats

  --run FILE              the training run (YAML or JSON)
  --accelerator ID        target hardware (see: list accelerators)
  --gpus N
  --memory-budget LIMIT   80GB, 72GiB, or a share of usable memory: 90%
  --sequence-length N     tokens
  --micro-batch-size N    sequences
  --tokens N              tokens of the whole training; 1T understood
  --fail-on WHAT          over-budget, increase, never
  --format FORMAT         text, markdown, json
  --output FILE
  --model_config FILE     another way to name the config

Exit code: 0 passed, 1 the verdict is a failure, 2 wrong usage or nothing could be read.
`;
