/** What a config file may be at most: far above any real one, far below what would hurt. */
export const limits = {
  bytes: 1_048_576,
  depth: 64,
  nodes: 200_000,
  aliases: 1_000,
  /** Characters of a dotted path; what lies deeper has no line of its own. */
  path: 400,
  /** Signs of structure in YAML and TOML, whose parsers take a hundred times the time and memory of JSON's. */
  marks: 50_000,
  /** Keys that stand twice and are told of. */
  duplicates: 10,
} as const;

export const tooDeep = `The file nests deeper than ${limits.depth} levels.`;
export const tooMany = `The file has more than ${limits.nodes} values.`;

/** A path and a key under it; undefined where it is too long to be kept for each of thousands of keys. */
export const joined = (prefix: string | undefined, key: string): string | undefined =>
  prefix === undefined || prefix.length + key.length > limits.path ? undefined : prefix + key;
