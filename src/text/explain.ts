import { z } from 'zod';
import type { Problem } from '../model/reading.ts';
import { didYouMean } from './nearest.ts';

/** Where a value stands: its file's name, and the line of a dotted key where the parser knows it. */
export type Place = { readonly name: string; readonly line: (key: string) => number | undefined };

const mostProblems = 10;

/**
 * What is wrong with a value that a schema of ours refused, a sentence for each mistake: file, line, key, what is allowed, and
 * the nearest known word. The value is untrusted text: escape it on output.
 */
export function explain(schema: z.ZodType, value: unknown, error: z.ZodError, { name, line }: Place): Problem[] {
  return error.issues
    .flatMap((issue) => unfolded(issue, value))
    .slice(0, mostProblems)
    .map((issue): Problem => {
      const key = issue.path.map(String).join('.');
      const at = line(issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''].join('.') : key);
      return {
        severity: 'error',
        message: `${name}${at === undefined ? '' : `:${at}`}: ${sentence(schema, value, issue, key)}`,
        key,
        ...(at === undefined ? {} : { line: at }),
      };
    });
}

/**
 * A choice that failed, as the failure of the form that the user meant: the one whose shape fits. Where none fits, the choice's
 * own sentence says which there are.
 */
function unfolded(issue: z.core.$ZodIssue, value: unknown): readonly z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const word = typeof at(value, issue.path) === 'string';
  const fitting =
    issue.errors.find((branch) => branch.some((one) => one.path.length > 0 || one.code === 'unrecognized_keys')) ??
    issue.errors.find((branch) => word && branch.some((one) => one.code === 'invalid_value'));
  return fitting === undefined
    ? [issue]
    : fitting.flatMap((one) => unfolded({ ...one, path: [...issue.path, ...one.path] }, value));
}

function sentence(schema: z.ZodType, value: unknown, issue: z.core.$ZodIssue, key: string): string {
  if (issue.code === 'unrecognized_keys') {
    const [first = ''] = issue.keys;
    const known = keysAt(schema, issue.path);
    return `unknown key "${shorten(first)}"${key === '' ? '' : ` in ${key}`}.${didYouMean(first, known) || ` Known keys: ${known.slice(0, 12).join(', ')}${known.length > 12 ? ' ...' : '.'}`}`;
  }
  const given = at(value, issue.path);
  if (given === undefined && key !== '') return `${key} is missing${allowed(issue, key)}.`;
  if (issue.code === 'invalid_value') {
    const near = typeof given === 'string' ? didYouMean(given, issue.values.map(String)) : '';
    return `${key} is ${shown(given)}, but must be ${choices(issue, key)}.${near}`;
  }
  if (key === '') return 'the file must be a mapping of fields to values.';
  return /^must be /.test(issue.message)
    ? `${key} is ${shown(given)}, but ${issue.message}.`
    : `${key} is ${shown(given)}: ${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}.`;
}

const allowed = (issue: z.core.$ZodIssue, key: string): string =>
  issue.code === 'invalid_value'
    ? `; it must be ${choices(issue, key)}`
    : /^must be /.test(issue.message)
      ? `; it ${issue.message}`
      : '';

const choices = ({ values }: { readonly values: readonly unknown[] }, key: string): string => {
  if (/(^|\.)accelerator$/.test(key)) return 'an id of `model-cost list accelerators`';
  return values.length === 1 ? String(values[0]) : `one of ${values.map(String).join(', ')}`;
};

const at = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (from, step) =>
      typeof from === 'object' && from !== null && Object.hasOwn(from, step) ? Reflect.get(from, step) : undefined,
    value,
  );

/** The keys that a schema knows at a path. */
function keysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return keysAt(schema.unwrap(), path);
  if (schema instanceof z.ZodPipe) return keysAt(schema.in, path);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option: z.core.$ZodType) => keysAt(option, path));
  const [step, ...rest] = path;
  if (schema instanceof z.ZodObject) {
    if (step === undefined) return Object.keys(schema.shape);
    const next: z.core.$ZodType | undefined = Object.hasOwn(schema.shape, step)
      ? schema.shape[String(step)]
      : undefined;
    return next === undefined ? [] : keysAt(next, rest);
  }
  if (step === undefined) return [];
  if (schema instanceof z.ZodRecord) return keysAt(schema.valueType, rest);
  if (schema instanceof z.ZodArray) return keysAt(schema.element, rest);
  return [];
}

const shown = (value: unknown): string => shorten(JSON.stringify(value) ?? 'missing');
const shorten = (text: string) => (text.length > 60 ? `${text.slice(0, 57)}...` : text);
