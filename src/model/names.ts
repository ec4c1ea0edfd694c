/** A field's name as users write it: `micro_batch_size` for `microBatchSize`. */
export type Written<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${Written<Rest>}`
  : '';

/** The same for a name that is known when it runs. */
export const written = <Name extends string>(name: Name): Written<Name> =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) as Written<Name>;

/** Names of all fields, as users write them. */
export type NamesOf<Fields> = Written<keyof Fields & string>;
