import type { Problem } from '../model/reading.ts';
import { isDictionary, own } from '../text/fields.ts';
import { jobName } from '../text/job-name.ts';
import { type Parsed, parse, type Source } from '../text/syntax.ts';
import type { ConfigPair, ConfigSide } from '../world.ts';
import { trainingFormatOf } from './job.ts';

/** Parsed Python by its bytes, since a file of forty recipes is asked for each of them. */
const known = new WeakMap<Uint8Array, Parsed>();

export function parsePython(bytes: Uint8Array): Parsed {
  const parsed = known.get(bytes) ?? parse(bytes, 'python');
  known.set(bytes, parsed);
  return parsed;
}

/** Functions that a Python file defines, whatever they return. */
const defined = ({ value }: Source): readonly unknown[] => {
  const names = isDictionary(value) ? own(value, 'def') : undefined;
  return Array.isArray(names) ? names : [];
};

const isResult = (value: unknown): boolean => isDictionary(value) && Object.hasOwn(value, '->');

/** The file as if it had this function alone; undefined where its text does not say what the function returns. */
export function onlyRecipe(source: Source, recipe: string): Source | undefined {
  if (!isDictionary(source.value) || !isResult(own(source.value, recipe))) return undefined;
  const entries = Object.entries(source.value).filter(([name, value]) => name === recipe || !isResult(value));
  const concerns = ({ key }: Problem) => key === undefined || key === recipe;
  return {
    ...source,
    value: Object.fromEntries(entries.map(([name, value]) => [name, name === 'def' ? [recipe] : value])),
    problems: source.problems.filter(concerns),
  };
}

/** Recipes of a file: functions whose result has the signature of a format, with what they return as text. */
function recipesOf(side: ConfigSide | undefined, path: string): ReadonlyMap<string, string> {
  const parsed = side?.kind === 'bytes' && mayState(side.bytes) ? parsePython(side.bytes) : undefined;
  if (parsed?.kind !== 'parsed' || !isDictionary(parsed.value)) return new Map();
  const found = Object.entries(parsed.value).filter(([, value]) => isResult(value));
  return new Map(
    found.flatMap(([name, value]) => {
      const source = onlyRecipe(parsed, name);
      const known = source !== undefined && trainingFormatOf({ path, source }) !== undefined;
      return known ? [[name, JSON.stringify(value)] as const] : [];
    }),
  );
}

/**
 * One pair for each recipe that differs, where a Python file has several; else the pair itself. A recipe that the head still
 * defines, or whose file cannot be read there any more, is not taken for one that was removed.
 */
export function recipePairs(pair: ConfigPair): readonly ConfigPair[] {
  const { path, previousPath, base, head } = pair;
  if (!/\.py$/i.test(path)) return [pair];
  const [before, after] = [recipesOf(base, previousPath ?? path), recipesOf(head, path)];
  const names = [...new Set([...after.keys(), ...before.keys()])];
  if (names.length < 2) return [pair];
  const differ = names.filter((name) => base === head || before.get(name) !== after.get(name));
  return differ.map((name) => {
    const { base: _, head: __, ...rest } = pair;
    return {
      ...rest,
      path: `${path}#${name}`,
      ...(previousPath === undefined ? {} : { previousPath: `${previousPath}#${name}` }),
      ...(base !== undefined && before.has(name) ? { base } : {}),
      ...(head !== undefined && (after.has(name) || stillThere(head, name)) ? { head } : {}),
    };
  });
}

function stillThere(side: ConfigSide, name: string): boolean {
  if (side.kind !== 'bytes') return true;
  const parsed = mayState(side.bytes) ? parsePython(side.bytes) : undefined;
  return parsed?.kind !== 'parsed' || defined(parsed).includes(name);
}

/** What Python says where it states a training: nanoGPT's settings, or what frameworks call their recipes. */
const marks =
  /^(?:n_layer|n_head|n_embd|block_size|gradient_accumulation_steps|max_iters)\b[^=\n]{0,30}=(?!=)|\bTrainer\.Config\b|->\s{0,4}ConfigContainer\b|\brun\.Partial\b|\bTransformerConfig\.\w|^parallel\s{0,4}=\s{0,4}dict\(/m;

/** Whether a text has a word that a training has, so that it is worth parsing. */
export const mayState = (bytes: Uint8Array): boolean => marks.test(Buffer.from(bytes).toString('latin1'));

/** The Python text of a job; a problem where it does not say what the job's function returns. */
export function pythonOf(bytes: Uint8Array, path: string): Parsed {
  const parsed = parsePython(bytes);
  const { recipe } = jobName(path);
  if (parsed.kind === 'broken' || recipe === undefined) return parsed;
  const source = onlyRecipe(parsed, recipe);
  if (source !== undefined) return { kind: 'parsed', ...source };
  const message = `What ${recipe} returns is not in the text alone: a condition, a decorator or code elsewhere decides it.`;
  return { kind: 'broken', problem: { severity: 'error', message } };
}
