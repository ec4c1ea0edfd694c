/**
 * A pure function that remembers what it gave, for as long as someone holds it.
 *
 * @param keyOf all that the result depends on besides the subject itself
 */
export function remembering<Subject extends object, Rest extends readonly unknown[], Result>(
  keyOf: (...rest: Rest) => string,
  of: (subject: Subject, ...rest: Rest) => Result,
): (subject: Subject, ...rest: Rest) => Result {
  const known = new Map<Subject, Map<string, Result>>();
  return (subject, ...rest) => {
    const results = known.get(subject) ?? new Map<string, Result>();
    known.set(subject, results);
    const key = keyOf(...rest);
    const found = results.get(key);
    if (found !== undefined) return found;
    const result = of(subject, ...rest);
    results.set(key, result);
    return result;
  };
}

/** A value that is made when it is first asked for. */
export function lazily<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
