import { parseArgs } from 'node:util';
import { inputDefaults, policyPath } from '../settings/inputs.ts';
import { didYouMean } from '../text/nearest.ts';

/** The word for standard input. */
export const standardInput = '-';

/** Wrong usage: the sentence is for the user, the exit code is 2. */
export class Usage extends Error {}

const options = {
  run: { type: 'string', short: 'r' },
  'base-run': { type: 'string' },
  'head-run': { type: 'string' },
  policy: { type: 'string', short: 'p' },
  accelerator: { type: 'string', short: 'a' },
  gpus: { type: 'string', short: 'g' },
  'memory-budget': { type: 'string', short: 'm' },
  'sequence-length': { type: 'string' },
  'micro-batch-size': { type: 'string' },
  tokens: { type: 'string', short: 't' },
  'tokens-per-second': { type: 'string' },
  'fail-on': { type: 'string' },
  format: { type: 'string', short: 'f' },
  output: { type: 'string', short: 'o' },
  base: { type: 'string', short: 'b' },
  head: { type: 'string' },
  since: { type: 'string' },
  post: { type: 'string' },
  'pull-request': { type: 'string' },
  'comment-key': { type: 'string' },
  framework: { type: 'string' },
  'global-batch-size': { type: 'string' },
  fix: { type: 'string', multiple: true },
  sweep: { type: 'string' },
  configs: { type: 'string', multiple: true },
  model_config: { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

type Option = keyof typeof options;
type Valued = Exclude<Option, 'help' | 'version' | 'model_config' | 'fix' | 'configs'>;

const always: readonly Option[] = ['format', 'output', 'help', 'version'];
const aboutConfigs: readonly Option[] = [
  ...always,
  'run',
  'policy',
  'accelerator',
  'gpus',
  'memory-budget',
  'sequence-length',
  'micro-batch-size',
  'tokens',
  'model_config',
];

/** What each command takes, so that an option it would ignore is an error. */
const taken = {
  report: aboutConfigs,
  diff: [...aboutConfigs, 'base-run', 'head-run', 'fail-on', 'base', 'head', 'configs'],
  mfu: [...aboutConfigs, 'tokens-per-second'],
  plan: [...aboutConfigs, 'framework', 'global-batch-size', 'fix', 'sweep'],
  history: [...aboutConfigs, 'since', 'head'],
  comment: ['output', 'help', 'version', 'post', 'pull-request', 'comment-key'],
  list: always,
} as const satisfies Readonly<Record<string, readonly Option[]>>;

export type Format = 'text' | 'markdown' | 'html' | 'json' | 'csv' | 'junit';

const plainFormats: readonly Format[] = ['text', 'markdown', 'json'];

/** How each command can write its result. */
const formats: Readonly<Record<keyof typeof taken, readonly Format[]>> = {
  report: [...plainFormats, 'html', 'csv', 'junit'],
  diff: [...plainFormats, 'html', 'csv', 'junit'],
  history: [...plainFormats, 'csv'],
  comment: ['text'],
  mfu: plainFormats,
  plan: plainFormats,
  list: plainFormats,
};
export const everyFormat = [...new Set(Object.values(formats).flat())];

export type Command = keyof typeof taken;
/** In the order of the help. */
export const commands: readonly Command[] = ['report', 'diff', 'history', 'comment', 'mfu', 'plan', 'list'];

export type Words = {
  readonly command: Command | 'help' | 'version';
  /** The command that help was asked for. */
  readonly topic?: Command;
  readonly files: readonly string[];
  readonly option: (name: Valued) => string | undefined;
  /** `key=value` of each --fix. */
  readonly fixes: readonly string[];
  /** Globs of each --configs. */
  readonly configs: readonly string[];
  readonly format: Format;
};

/** @throws Usage with one sentence */
export function wordsOf(argv: readonly string[]): Words {
  refuseUnknown(argv);
  const { values, positionals } = parsed(argv);
  const format = formatOf(values.format ?? 'text', everyFormat);
  const option: Words['option'] = (name) => values[name];
  const [first, ...rest] = positionals;
  const named = values.model_config ?? [];
  const common = { option, fixes: values.fix ?? [], configs: values.configs ?? [], format };
  if (values.version === true) return { command: 'version', files: [], ...common };
  if (values.help === true || first === 'help' || (first === undefined && named.length === 0)) {
    const topic = commands.find((one) => one === (first === 'help' ? rest[0] : first));
    return { command: 'help', ...(topic === undefined ? {} : { topic }), files: [], ...common };
  }
  // `--model_config FILE` alone is the note's own way to ask for a report.
  const command = first === undefined ? 'report' : commands.find((one) => one === first);
  if (command === undefined)
    throw new Usage(
      `There is no command "${first}".${didYouMean(first ?? '', commands) || ` Commands: ${commands.join(', ')}.`}`,
    );
  const takes: readonly string[] = taken[command];
  const foreign = Object.keys(values).find((name) => !takes.includes(name));
  if (foreign !== undefined) throw new Usage(`${command} takes no --${foreign}; see model-cost ${command} --help.`);
  formatOf(format, formats[command]);
  const files = [...rest, ...named];
  const piped = [...files, values.run, values['base-run'], values['head-run']].filter((word) => word === standardInput);
  if (piped.length > 1) throw new Usage('- stands for standard input, which can be read only once.');
  return { command, files, ...common };
}

/** How a command writes its result, by format; those that it does not have were refused before. */
type Writers = Readonly<Record<'text', () => string> & Partial<Record<Format, () => string>>>;

export const inFormat = ({ format }: Words, writers: Writers): string => (writers[format] ?? writers.text)();

function formatOf(text: string, allowed: readonly Format[]): Format {
  const format = allowed.find((one) => one === text);
  if (format !== undefined) return format;
  const listed = `${allowed.slice(0, -1).join(', ')} or ${allowed.at(-1)}`;
  throw new Usage(`--format is "${text.slice(0, 60)}", but must be ${listed}.${didYouMean(text, allowed)}`);
}

function refuseUnknown(argv: readonly string[]): void {
  const end = argv.indexOf('--');
  for (const word of end === -1 ? argv : argv.slice(0, end)) {
    const name = word.startsWith('--') ? (word.slice(2).split('=')[0] ?? '') : '';
    if (name !== '' && !Object.hasOwn(options, name))
      throw new Usage(`There is no option --${name}.${didYouMean(name, Object.keys(options))}`);
  }
}

const parseAll = (argv: readonly string[]) =>
  parseArgs({
    args: argv.map((word) => (word === '-V' ? '--version' : word)),
    options,
    allowPositionals: true,
    strict: true,
  });

function parsed(argv: readonly string[]): ReturnType<typeof parseAll> {
  try {
    return parseAll(argv);
  } catch (error) {
    const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    const [, name = ''] = /^Option '(?:-\w, )?(--[\w-]+)[^']*' argument is ambiguous/.exec(line) ?? [];
    if (name !== '') throw new Usage(`${name} needs a value; one that begins with a dash is written ${name}=VALUE.`);
    throw new Usage(line.split('. To specify')[0] ?? line);
  }
}

const about: Readonly<Record<Valued | 'model_config' | 'fix' | 'configs', string>> = {
  run: '-r, --run FILE              the training run (YAML or JSON; default: what is assumed is listed)',
  'base-run': '    --base-run FILE         the run of the old side (default: that of --run)',
  'head-run': '    --head-run FILE         the run of the new side (default: that of --run)',
  policy: `-p, --policy FILE           the policy file (default: ${policyPath} of the repository, where there is one)`,
  accelerator: `-a, --accelerator ID        target hardware (default: ${inputDefaults['accelerator']}; see: list accelerators)`,
  gpus: `-g, --gpus N                number of GPUs (default: ${inputDefaults['gpus']})`,
  'memory-budget': `-m, --memory-budget LIMIT   80GB, 72GiB, or a share of usable memory like 90% (default: ${inputDefaults['memory-budget']})`,
  'sequence-length': "    --sequence-length N     tokens (default: the run's, else from the config)",
  'micro-batch-size': "    --micro-batch-size N    sequences (default: the run's, else 1)",
  tokens: '-t, --tokens N              tokens of the whole training, like 300B or 2T (default: 1T)',
  'tokens-per-second': '    --tokens-per-second N   as measured, of all GPUs together',
  'fail-on': `    --fail-on WHAT          over-budget, increase, never (default: ${inputDefaults['fail-on']})`,
  since: '    --since REV             only the commits after this git revision (default: all, at most the newest 200)',
  format: '-f, --format FORMAT         ',
  output: '-o, --output FILE           where the result goes (default: standard output)',
  base: '-b, --base REV              git revision to compare with; the merge base is taken',
  head: '    --head REV              git revision to look at (default: the working tree; for history HEAD)',
  post: '    --post WHERE            github or gitlab: creates the comment, or brings it up to date (default: it is only printed)',
  'pull-request': '    --pull-request N        which one (default: the one that the CI job runs for)',
  'comment-key': '    --comment-key KEY       tells several comments on one pull request apart (default: default)',
  configs: '    --configs GLOB          with --base: only these files; may be repeated, a leading ! excludes',
  framework: "    --framework F           megatron, fsdp, deepspeed, transformers (default: the run's)",
  'global-batch-size': "    --global-batch-size N   sequences (default: the run's, else about 4M tokens)",
  fix: '    --fix KEY=VALUE         a field of the run that plans leave as it is; may be repeated',
  sweep: '    --sweep KEY=VALUES      the fastest plan for each: gpus=8..1024 (doubling), accelerator=a,b,c',
  model_config: '    --model_config FILE     another way to name the config',
};

const usage: Readonly<Record<Command, string>> = {
  report: `  model-cost report CONFIG...              all metrics of one or more configs`,
  diff: `  model-cost diff BASE HEAD                two files
  model-cost diff --base REV [--head REV]  the configs changed in this git repository (default head: the working tree)`,
  history: `  model-cost history CONFIG [--since REV]
                                           what each commit of this repository made of the cost`,
  comment: `  model-cost comment REPORT.json... [--post github|gitlab]
                                           the comment of what diff --format json computed`,
  mfu: `  model-cost mfu CONFIG --tokens-per-second N
                                           MFU of a measured run`,
  plan: `  model-cost plan CONFIG --gpus N --accelerator ID
                                           the runs that fit, the fastest first`,
  list: `  model-cost list accelerators|families|formats|models`,
};

const more: Readonly<Record<Command, string>> = {
  report: `A CONFIG is a file, a folder (its config.json, or every config below it), a quoted glob, - for standard input,
or a published model (see: list models).
Several configs: one that cannot be read fails, and the rest is reported all the same.
With --memory-budget the report is a check: exit code 1 where a config needs more.`,
  diff: `Exit code 1 where memory per GPU goes over its budget (100 % of the accelerator's usable memory unless stated;
that only warns where no run is stated).`,
  history: `Commits of the first parent that changed the config, a file that its job refers to, or the policy. A commit whose job
cannot be read is a row that says so. --run holds for all commits; without it each commit says how its job is trained.`,
  comment: `A REPORT.json is what diff --format json wrote, or - for standard input. It may come from a job that nobody trusts: it is
held against its schema, and what it says is shown as text. GitHub needs GITHUB_TOKEN and GITHUB_REPOSITORY; GitLab needs
GITLAB_TOKEN (scope api) and what GitLab CI sets. Exit code 0 whatever the verdict: the job that computed it has failed already.`,
  mfu: `MFU is training FLOPs per token (causal) x tokens per second / (GPUs x dense peak).`,
  plan: `A plan fits where memory per GPU, with its margin of error, is within the budget (100 % unless stated).`,
  list: '',
};

const examples: Readonly<Record<Command, string>> = {
  report: 'model-cost report config.json --accelerator h100-sxm-80gb --gpus 64 --memory-budget 90%',
  diff: 'model-cost diff --base origin/main --run configs/run.yml',
  history: 'model-cost history configs/llama-7b.json --since v1.0 --accelerator h100-sxm-80gb --gpus 64',
  comment: 'model-cost comment report.json --post gitlab',
  mfu: 'model-cost mfu config.json --run run.yml --tokens-per-second 410k',
  plan: 'model-cost plan config.json --gpus 64 --accelerator h100-sxm-80gb --framework megatron --fix tensor=8',
  list: 'model-cost list accelerators',
};

/** The formats of one command, or those that all have. */
function formatsText(topic: Command | undefined): string {
  const listed = topic === undefined ? plainFormats : formats[topic];
  const others = topic === undefined ? '; some commands have more, see their help' : '';
  return `${listed.join(', ')}${others} (default: text)`;
}

/** Help for one command, or for all. */
export function help(topic: Command | undefined): string {
  const shown = topic === undefined ? commands : [topic];
  const takes = new Set<string>(shown.flatMap((command) => taken[command]));
  return [
    'model-cost: what a model costs to train, counted and projected',
    '',
    ...shown.map((command) => usage[command]),
    '',
    ...Object.entries(about).flatMap(([name, line]) =>
      takes.has(name) ? [`  ${line}${name === 'format' ? formatsText(topic) : ''}`] : [],
    ),
    '',
    ...(topic === undefined || more[topic] === '' ? [] : [more[topic], '']),
    ...shown.map((command, index) => `${index === 0 ? 'Examples:' : '         '} ${examples[command]}`),
    '',
    'Exit code: 0 passed, 1 the verdict is a failure, 2 wrong usage, or there was nothing to judge.',
    '',
  ].join('\n');
}
