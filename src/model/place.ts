/** Where something is said: a file, the key as the file has it, and its line (1-based). */
export type Place = { readonly file: string; readonly key: string; readonly line?: number };
