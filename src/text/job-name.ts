/** A job by its file; where a Python file states several, by the function behind `#`: `recipes/llama.py#llama3_8b`. */
export type JobName = { readonly file: string; readonly recipe?: string };

/** Splits `recipe.py#name`; any other path names a whole file. */
export function jobName(path: string): JobName {
  const [, file, recipe] = /^(.*\.py)#(\w{1,200})$/i.exec(path) ?? [];
  return file === undefined || recipe === undefined ? { file: path } : { file, recipe };
}

/** The file of a job. */
export const fileOf = (path: string): string => jobName(path).file;
