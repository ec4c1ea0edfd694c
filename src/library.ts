import { settingsOf } from './calibrate.ts';
import { jsonReport } from './report/json.ts';
import type { JsonReport } from './report/json-schema.ts';
import { review, version } from './run.ts';
import type { Inputs } from './settings/inputs.ts';
import { WrongSettings } from './settings/settings.ts';
import type { ConfigSide } from './world.ts';

export { type JsonReport, version, WrongSettings };

/** How the model is trained, and what it may cost: the options of the command line of the same names. */
export type Options = {
  /** The name of the config, which decides its syntax where its text does not: `config.json` unless stated. */
  readonly path?: string;
  /** A run description as text, YAML or JSON. */
  readonly run?: string;
  /** An id of `model-cost list accelerators`. */
  readonly accelerator?: string;
  readonly gpus?: number;
  /** Such as `72GiB`, or `90%` of the accelerator's usable memory. */
  readonly memoryBudget?: string;
};

/**
 * What a model costs to train, as the JSON report that `schema/report.schema.json` describes. No file is opened and nothing is
 * downloaded: files that the config refers to are missing, which the report says. A config that cannot be read is a report with
 * the reason in its problems.
 *
 * @param config the text of a model config or training file
 * @throws WrongSettings where the options cannot be followed
 */
export const reportOf = (config: string, options: Options = {}): JsonReport => compared({ head: config }, options);

/**
 * What a change costs, and the verdict on it.
 *
 * @param base the text before the change
 * @param head the text after it
 * @throws WrongSettings where the options cannot be followed
 */
export const diffOf = (base: string, head: string, options: Options = {}): JsonReport =>
  compared({ base, head }, options);

function compared({ base, head }: { readonly base?: string; readonly head: string }, options: Options): JsonReport {
  const { path = 'config.json', run } = options;
  const settings = settingsOf(
    inputsOf(options),
    run === undefined ? {} : { run: { name: 'run', bytes: textBytes(run) } },
  );
  const pair = { path, head: sideOf(head), ...(base === undefined ? {} : { base: sideOf(base) }) };
  // Only waivers ask for the day, and only a policy has them.
  const found = review({ pairs: [pair], missed: [], notes: [] }, { ...settings, named: () => true }, '');
  return jsonReport(found);
}

const inputsOf = ({ accelerator, gpus, memoryBudget }: Options): Inputs => ({
  ...(accelerator === undefined ? {} : { accelerator }),
  ...(gpus === undefined ? {} : { gpus: String(gpus) }),
  ...(memoryBudget === undefined ? {} : { 'memory-budget': memoryBudget }),
});

const textBytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const sideOf = (text: string): ConfigSide => ({ kind: 'bytes', bytes: textBytes(text) });
