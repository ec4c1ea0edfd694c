import type { Architecture } from '../../model/architecture.ts';
import type { Framework, SettledRun } from '../../model/run.ts';

/** What a rule is by which a framework starts, and the words and sources that rules share. */

/** Adapters of a run: their elements, and whether a target is a name that no table of ours has. */
export type Adapters = { readonly elements: number; readonly strange: boolean };

/** What a rule looks at. */
export type Trial = SettledRun & {
  readonly architecture: Architecture;
  readonly adapters: Adapters | undefined;
  /** Whether the training file itself says a field. */
  readonly inFile: (field: string) => boolean;
};

/** One reason for which a framework refuses a run, or runs otherwise than it reads. */
export type Rule = {
  readonly id: string;
  /** Where the framework checks it itself, at a commit; or why no file is needed. */
  readonly sources: readonly [string, ...string[]];
  /** Frameworks that do not start, and those in which it is only worth a word. */
  readonly stops: readonly Framework[];
  readonly doubts?: readonly Framework[];
  /** What must be stated for it to be certain; the first is the field that is told. */
  readonly fields: readonly [string, ...string[]];
  /** Certain only where the training file itself says it: a run description does not say how stages are laid out. */
  readonly inFileAlone?: true;
  /** Only where the field that is told is stated itself: what follows from another number is rounded, and no framework is told of it. */
  readonly saidAlone?: true;
  /** Not for formats whose framework stands for a nearer one, though it is a rule of every framework. */
  readonly notBorrowed?: true;
  /** What is wrong, with the nearest value that works; undefined where nothing is. */
  readonly sentence: (trial: Trial) => string | undefined;
};

export const every: readonly Framework[] = ['megatron', 'fsdp', 'deepspeed', 'transformers'];

const at = (repository: string, commit: string) => (path: string) =>
  `https://github.com/${repository}/blob/${commit}/${path}`;
export const megatron = (path: string) => at('NVIDIA/Megatron-LM', 'd98e8a6')(`megatron/${path}`);
export const deepspeed = (path: string) => at('deepspeedai/DeepSpeed', '1b88ac3')(`deepspeed/${path}`);
export const titan = at('pytorch/torchtitan', 'b5bcd76');
export const accelerate = at('huggingface/accelerate', '16cb6eb');
export const peft = at('huggingface/peft', '5d602fd');
export const transformerEngine = at('NVIDIA/TransformerEngine', 'd0067d0');
export const dualPipe = at('deepseek-ai/DualPipe', '030ce43');

export const tells = (works: string): string => `The nearest that works: ${works}.`;
