import { type Dictionary, isDictionary, own } from './fields.ts';

/** How far references are followed, and how many of a file: no config needs more, and no text grows beyond it. */
const most = { depth: 16, references: 20_000, characters: 1_000 } as const;

export type Interpolation = {
  /** Words that stand for the file's root where they begin a path (`training` in NeMo's launcher). */
  readonly roots?: readonly string[];
  /** Values by path that stand in place of the root's own, for files that others are merged into. */
  readonly also?: Dictionary;
};

/**
 * The same value with its references resolved: `${a.b}`, `${.sibling}`, `${oc.env:NAME,default}`, `${NAME:default}` and sums of
 * numbers (`${multiply:4,${.hidden_size}}`). Nothing is executed and no environment is read: of a variable its default holds. A
 * reference without an answer stays as it stands, so that its reader finds the field open.
 */
export function interpolated(root: Dictionary, { roots = [], also }: Interpolation = {}): Dictionary {
  const resolver = new Resolver(root, roots, also);
  return resolver.tree(root, []) as Dictionary;
}

class Resolver {
  private readonly root: Dictionary;
  private readonly roots: readonly string[];
  private readonly also: Dictionary | undefined;
  private left: number = most.references;

  constructor(root: Dictionary, roots: readonly string[], also: Dictionary | undefined) {
    this.root = root;
    this.roots = roots;
    this.also = also;
  }

  /** A value with the path of the dictionary that holds it, which relative references start from. */
  tree(value: unknown, path: readonly string[]): unknown {
    if (typeof value === 'string') return this.text(value, path.slice(0, -1), []);
    if (Array.isArray(value)) return value.map((one, index) => this.tree(one, [...path, String(index)]));
    if (!isDictionary(value)) return value;
    const result: Record<string, unknown> = Object.create(null);
    for (const [key, child] of Object.entries(value)) result[key] = this.tree(child, [...path, key]);
    return result;
  }

  /** A whole reference keeps the type of what it names; one inside a text becomes a part of it. */
  private text(text: string, holder: readonly string[], trail: readonly string[]): unknown {
    if (!text.includes('${') || trail.length >= most.depth) return text;
    let result = '';
    for (let at = 0; at < text.length; ) {
      const start = text.indexOf('${', at);
      const end = start < 0 ? undefined : closing(text, start);
      if (end === undefined) return result + text.slice(at);
      const value = this.reference(text.slice(start + 2, end), holder, trail);
      if (start === 0 && end === text.length - 1) return value === undefined ? text : value;
      const shown = isScalar(value) ? String(value) : text.slice(start, end + 1);
      result += text.slice(at, start) + shown;
      if (result.length > most.characters) return text;
      at = end + 1;
    }
    return result;
  }

  private reference(words: string, holder: readonly string[], trail: readonly string[]): unknown {
    if (this.left-- <= 0 || trail.includes(`${holder.join('.')}|${words}`)) return undefined;
    const further = [...trail, `${holder.join('.')}|${words}`];
    const colon = topLevel(words, ':')[0] ?? words;
    if (colon.length === words.length) return this.found(String(this.text(words, holder, further)), holder, further);
    const inner = words.slice(colon.length + 1);
    return this.resolved(colon.trim(), inner, holder, further);
  }

  private resolved(name: string, inner: string, holder: readonly string[], trail: readonly string[]): unknown {
    const values = () => topLevel(inner, ',').map((one) => this.text(one.trim(), holder, trail));
    if (name === 'oc.env' || name === 'env') {
      const [, fallback] = values();
      return fallback === undefined ? undefined : retyped(fallback);
    }
    if (name === 'oc.select') {
      const [path, fallback] = values();
      return this.found(String(path), holder, trail) ?? (fallback === undefined ? undefined : retyped(fallback));
    }
    const compute = Object.hasOwn(arithmetic, name) ? arithmetic[name] : undefined;
    if (compute !== undefined) {
      const numbers = values().map((value) => (isScalar(value) ? retyped(value) : undefined));
      const known = numbers.filter((value) => typeof value === 'number');
      const result = known.length === numbers.length && known.length > 0 ? compute(known) : undefined;
      return Number.isFinite(result) ? result : undefined;
    }
    // `${NAME:default}`: a variable of the environment.
    if (!/^[A-Za-z_]\w{0,100}$/.test(name) || inner.includes(':?')) return undefined;
    const fallback = this.text(inner, holder, trail);
    return fallback === '' ? undefined : retyped(fallback);
  }

  /** What stands at a path, its own references resolved. */
  private found(path: string, holder: readonly string[], trail: readonly string[]): unknown {
    const steps = absolute(path, holder);
    if (steps === undefined) return undefined;
    const [first = ''] = steps;
    const inRoot =
      valueAt(this.root, steps) ?? (this.roots.includes(first) ? valueAt(this.root, steps.slice(1)) : undefined);
    const value = inRoot ?? (this.also === undefined ? undefined : valueAt(this.also, steps));
    if (typeof value !== 'string') return isScalar(value) || Array.isArray(value) ? value : undefined;
    const at = inRoot !== undefined && valueAt(this.root, steps) === undefined ? steps.slice(1) : steps;
    const resolved = this.text(value, at.slice(0, -1), trail);
    return typeof resolved === 'string' && resolved.includes('${') ? undefined : resolved;
  }
}

const arithmetic: Readonly<Record<string, (values: readonly number[]) => number>> = {
  multiply: (values) => values.reduce((product, value) => product * value, 1),
  sum: (values) => values.reduce((total, value) => total + value, 0),
  add: (values) => values.reduce((total, value) => total + value, 0),
  subtract: ([first = Number.NaN, second = Number.NaN]) => first - second,
  divide: ([first = Number.NaN, second = Number.NaN]) => first / second,
  divide_floor: ([first = Number.NaN, second = Number.NaN]) => Math.floor(first / second),
  divide_ceil: ([first = Number.NaN, second = Number.NaN]) => Math.ceil(first / second),
  int_div: ([first = Number.NaN, second = Number.NaN]) => Math.floor(first / second),
};

const isScalar = (value: unknown): boolean =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';

/** A default as YAML would read it. */
function retyped(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const text = value.trim().replace(/^(["'])(.*)\1$/, '$2');
  if (/^[+-]?\d[\d_]*(\.\d*)?([eE][+-]?\d{1,3})?$/.test(text)) return Number(text.replaceAll('_', ''));
  if (/^true$/i.test(text)) return true;
  if (/^false$/i.test(text)) return false;
  return /^(null|none|~)$/i.test(text) ? null : text;
}

/** The path of the brace that closes the reference which opens at `start`. */
function closing(text: string, start: number): number | undefined {
  let open = 0;
  for (let at = start; at < text.length; at++) {
    if (text.startsWith('${', at)) {
      open += 1;
      at += 1;
    } else if (text[at] === '}' && --open === 0) return at;
  }
  return undefined;
}

/** A text cut at a sign outside of nested references; at a colon only the first counts. */
function topLevel(text: string, sign: ',' | ':'): readonly string[] {
  const pieces: string[] = [];
  let open = 0;
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    if (text.startsWith('${', at)) open += 1;
    else if (text[at] === '}') open -= 1;
    else if (text[at] === sign && open === 0) {
      pieces.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return [...pieces, text.slice(from)];
}

/** `.a` is beside the reference, `..a` one dictionary further out; else from the root. */
function absolute(path: string, holder: readonly string[]): readonly string[] | undefined {
  const dots = path.length - path.replace(/^\.{1,20}/, '').length;
  const steps = path.slice(dots).replaceAll('[', '.').replaceAll(']', '').split('.');
  if (dots === 0) return steps;
  return dots - 1 > holder.length ? undefined : [...holder.slice(0, holder.length - (dots - 1)), ...steps];
}

function valueAt(root: unknown, steps: readonly string[]): unknown {
  let here: unknown = root;
  for (const step of steps) {
    if (Array.isArray(here)) here = /^\d{1,6}$/.test(step) ? here[Number(step)] : undefined;
    else here = isDictionary(here) ? own(here, step) : undefined;
  }
  return here ?? undefined;
}
