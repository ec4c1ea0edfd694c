import { type Dictionary, own } from '../text/fields.ts';

/**
 * Models that go by the `model_type` of another family although code of their own builds them. They have rows under names of their
 * own, which no file states, and are told by their class or by keys that the namesake lacks.
 */
type Variant = {
  /** The name of its row. */
  readonly name: string;
  /** The types that such files state; any type where it is absent. */
  readonly types?: readonly string[];
  readonly is: (config: Dictionary) => boolean;
};

const has = (config: Dictionary, ...keys: readonly string[]): boolean =>
  keys.some((key) => (own(config, key) ?? null) !== null);

/** Whether a class in `architectures`, or a file that `auto_map` names, starts or contains this. */
const names = (config: Dictionary, key: 'architectures' | 'auto_map', pattern: RegExp): boolean => {
  const listed = own(config, key);
  const values = typeof listed === 'object' && listed !== null ? Object.values(listed) : [];
  return values.some((one) => typeof one === 'string' && one.length <= 200 && pattern.test(one));
};

const variants: readonly Variant[] = [
  {
    name: 'jina_bert',
    types: ['bert'],
    is: (config) =>
      has(config, 'feed_forward_type') ||
      names(config, 'architectures', /^JinaBert/) ||
      names(config, 'auto_map', /jina-bert/),
  },
];

/** The name of the row that builds a config, where it is not that of the stated type. */
export const variantOf = (config: Dictionary, type: string): string | undefined =>
  variants.find(({ types, is }) => (types?.includes(type) ?? true) && is(config))?.name;
