import { pythonLimits, Result, TooMuch } from './python-result.ts';
import { broken, childrenOf, headOf, inside, type Node, setters, targetsOf, treeOf } from './python-tree.ts';
import {
  builtin,
  compared,
  isTable,
  numberOf,
  operate,
  stringOf,
  type Table,
  table,
  truth,
  Unknown,
  type Value,
} from './python-values.ts';

/**
 * What a Python file says without being run: its constants, and what each of its functions returns when it is called without
 * arguments. What only a run would tell is the text `${name}`, so that it is open like a variable in YAML.
 *
 * A call of something that is not in the file is an object of its keywords; `()` is what was called, `0`, `1`, ... its
 * positional arguments, `self` the object whose method it was. A function's result has its annotation under `->`.
 */
export type PythonReading =
  | {
      readonly kind: 'read';
      readonly value: Table;
      readonly lines: ReadonlyMap<string, number>;
      readonly notes: readonly Note[];
    }
  | { readonly kind: 'broken'; readonly message: string };

/** What a reader should know of a line, and of which function, where it is in one. */
export type Note = { readonly message: string; readonly line: number; readonly within?: string };

type Scope = {
  readonly names: Map<string, Value | Routine>;
  readonly outer?: Scope;
};

/** A function of the file. */
type Routine = { readonly kind: 'routine'; readonly node: Node; readonly name: string; readonly needs?: string };

const isRoutine = (value: Value | Routine | undefined): value is Routine =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'routine' && 'node' in value;

/** How a statement ends: the next one follows, the function returns, or an error is raised. */
type Ending =
  | { readonly kind: 'next' }
  | { readonly kind: 'raise' }
  | { readonly kind: 'return'; readonly value: Value };
const next: Ending = { kind: 'next' };

/** Decorators that register a function and leave what it returns as it is. */
const harmless = /^@\s*(run\.cli\.factory|run\.cli\.entrypoint|functools\.cache|functools\.lru_cache|staticmethod)\b/;

/** Literals that a Python file assigns, without running it; bounded in marks, steps and depth. */
export function readPython(text: string): PythonReading {
  const marks = text.match(/[,.[\]{}()=:@+*/%\-\n"']/g)?.length ?? 0;
  if (marks > pythonLimits.marks)
    return { kind: 'broken', message: `The file has more than ${pythonLimits.marks} lines and values.` };
  try {
    return new Evaluation(text).result();
  } catch (error) {
    if (error instanceof TooMuch) return { kind: 'broken', message: error.message };
    throw error;
  }
}

class Evaluation {
  private readonly text: string;
  private readonly starts: readonly number[];
  private readonly global: Scope = { names: new Map() };
  private readonly lineOf = new WeakMap<object, Map<string, number>>();
  private readonly globalLines = new Map<string, number>();
  private readonly notes: Note[] = [];
  private readonly annotations = new Map<string, string>();
  /** The module that a name was imported from. */
  private readonly imports = table();
  private classes = false;
  private steps = 0;
  private depth = 0;
  private readonly running: Routine[] = [];

  constructor(text: string) {
    this.text = text;
    this.starts = [...text.matchAll(/\n/g)].map(({ index }) => index);
  }

  result(): PythonReading {
    this.run(treeOf(this.text), this.global);
    const value = table();
    const lines = new Map<string, number>();
    const whole = new Result(this.lineOf, lines);
    for (const [name, one] of this.global.names) {
      if (isRoutine(one) || name.startsWith('__')) continue;
      value[name] = whole.plain(one, name);
      const line = this.globalLines.get(name);
      if (line !== undefined) lines.set(name, line);
    }
    const routines = [...this.global.names.values()].filter(isRoutine);
    const recipes = routines.filter(({ name }) => !name.startsWith('_'));
    if (recipes.length > pythonLimits.functions)
      throw new TooMuch(`The file has more than ${pythonLimits.functions} functions.`);
    for (const routine of recipes) {
      const returned = this.call(routine, [], new Map(), undefined);
      if (!isTable(returned)) continue;
      value[routine.name] = { '->': this.annotations.get(routine.name) ?? '', ...whole.table(returned, routine.name) };
      lines.set(routine.name, this.line(routine.node));
    }
    if (routines.length > 0) value['def'] = routines.map(({ name }) => name);
    if (this.classes) value['class'] = true;
    if (Object.keys(this.imports).length > 0) value['import'] = this.imports;
    return { kind: 'read', value, lines, notes: this.notes };
  }

  // --- Places ---------------------------------------------------------------------------------------------------------

  private source(node: { readonly from: number; readonly to: number }): string {
    return this.text.slice(node.from, Math.min(node.to, node.from + 200));
  }

  private line(node: { readonly from: number }): number {
    let [low, high] = [0, this.starts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.starts[middle] ?? 0) < node.from) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  }

  private note(message: string, node: Node): void {
    const line = this.line(node);
    const within = this.running[0]?.name;
    if (this.notes.length >= pythonLimits.notes) return;
    if (this.notes.some((one) => one.line === line && one.within === within)) return;
    this.notes.push({ message, line, ...(within === undefined ? {} : { within }) });
  }

  private step(): void {
    this.steps += 1;
    if (this.steps > pythonLimits.steps) throw new TooMuch('The file does more than is followed without running it.');
  }

  // --- Statements -----------------------------------------------------------------------------------------------------

  /** Statements of a body, one after another. */
  private run(body: Node, scope: Scope): Ending {
    for (let node = body.firstChild; node; node = node.nextSibling) {
      this.step();
      const ending = this.statement(node, scope);
      if (ending.kind !== 'next') return ending;
    }
    return next;
  }

  private statement(node: Node, scope: Scope): Ending {
    if (node.type.isError) this.note('the text is not valid Python here', node);
    switch (node.name) {
      case 'AssignStatement':
        this.assign(node, scope);
        return next;
      case 'UpdateStatement':
        this.update(node, scope);
        return next;
      case 'ExpressionStatement':
        this.effect(node.firstChild, scope);
        return next;
      case 'StatementGroup':
        return this.run(node, scope);
      case 'ReturnStatement':
        return { kind: 'return', value: this.listed(childrenOf(node).slice(1), scope) };
      case 'RaiseStatement':
        return { kind: 'raise' };
      case 'IfStatement':
        return this.branch(node, scope);
      case 'FunctionDefinition':
        this.define(node, scope, undefined);
        return next;
      case 'DecoratedStatement':
        this.decorated(node, scope);
        return next;
      case 'ClassDefinition':
        this.classes ||= scope === this.global;
        this.forget(node.getChild('VariableName'), scope, undefined);
        return next;
      case 'ImportStatement':
        this.imported(node, scope);
        return next;
      case 'ForStatement':
      case 'WhileStatement':
      case 'TryStatement':
      case 'WithStatement':
      case 'MatchStatement':
      case 'DeleteStatement':
      case 'ScopeStatement':
        return this.undecided(node, scope, headOf(this.source(node)));
      default:
        return next;
    }
  }

  private assign(node: Node, scope: Scope): void {
    const groups: Node[][] = [[]];
    for (const child of childrenOf(node)) {
      if (child.name === 'AssignOp') groups.push([]);
      else if (child.name !== 'TypeDef') groups.at(-1)?.push(child);
    }
    const right = groups.pop() ?? [];
    if (groups.length === 0) return;
    const value = broken(node) ? new Unknown(`valid Python on line ${this.line(node)}`) : this.listed(right, scope);
    for (const targets of groups) this.assignTo(targets, value, scope);
  }

  private assignTo(targets: readonly Node[], value: Value, scope: Scope): void {
    const names = targets.filter(({ name }) => name !== ',');
    const [only] = names;
    if (names.length === 1 && targets.length === 1 && only !== undefined) {
      this.put(only, value, scope);
      return;
    }
    for (const [index, target] of names.entries()) {
      const part = Array.isArray(value) && value.length === names.length ? (value[index] as Value) : undefined;
      this.put(target, part ?? new Unknown(this.source(target)), scope);
    }
  }

  private put(target: Node, value: Value, scope: Scope): void {
    if (target.name === 'VariableName') {
      const name = this.source(target);
      scope.names.set(name, value);
      if (scope === this.global) this.globalLines.set(name, this.line(target));
      return;
    }
    if (target.name === 'TupleExpression' || target.name === 'ArrayExpression') {
      this.assignTo(inside(target), value, scope);
      return;
    }
    if (target.name !== 'MemberExpression') return;
    const key = this.keyOf(target, scope);
    const owner = this.owner(target.firstChild, scope);
    if (owner === undefined || key === undefined) return;
    owner[key] = value;
    this.keep(owner, key, this.line(target));
  }

  private keep(owner: object, key: string, line: number): void {
    const known = this.lineOf.get(owner) ?? new Map<string, number>();
    known.set(key, line);
    this.lineOf.set(owner, known);
  }

  /** The object whose attribute is set, made where the file does not show it: an imported config has attributes, too. */
  private owner(node: Node | null, scope: Scope): Table | undefined {
    if (node === null) return undefined;
    const value = this.nested(() => this.evaluate(node, scope));
    if (isTable(value)) return value;
    if (!(value instanceof Unknown)) return undefined;
    const made = table();
    if (node.name === 'VariableName') scope.names.set(this.source(node), made);
    else if (node.name === 'MemberExpression') {
      const key = this.keyOf(node, scope);
      const above = this.nested(() => this.owner(node.firstChild, scope));
      if (above === undefined || key === undefined) return undefined;
      above[key] = made;
      this.keep(above, key, this.line(node));
    } else return undefined;
    return made;
  }

  /** The attribute or the constant key of `a.b` and `a['b']`. */
  private keyOf(node: Node, scope: Scope): string | undefined {
    const property = node.getChild('PropertyName');
    if (property !== null) return this.source(property);
    const [, , index] = childrenOf(node);
    const value = index === undefined ? undefined : this.evaluate(index, scope);
    return typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 200) : undefined;
  }

  private update(node: Node, scope: Scope): void {
    const [target, operator, ...rest] = childrenOf(node);
    if (target === undefined || operator === undefined) return;
    const symbol = this.source(operator).slice(0, -1);
    const old = this.evaluate(target, scope);
    this.put(target, operate(symbol, old, this.listed(rest, scope), this.source(target)), scope);
  }

  /** A call for its effect: what a function outside the file does with an object of ours is not known. */
  private effect(node: Node | null, scope: Scope): void {
    if (node === null) return;
    if (node.name !== 'CallExpression') {
      if (!/String$/.test(node.name)) this.nested(() => this.evaluate(node, scope));
      return;
    }
    const [callee, given] = childrenOf(node);
    const method = callee?.name === 'MemberExpression' ? callee.getChild('PropertyName') : null;
    const owner = method === null ? undefined : this.evaluate(callee?.firstChild ?? node, scope);
    const value = this.evaluate(node, scope);
    const called = this.source(callee ?? node);
    const routine = callee?.name === 'VariableName' && isRoutine(this.lookUp(called, scope));
    if (routine) return;
    if (isTable(owner) && method !== null && this.source(method) === 'update' && isTable(value)) {
      const { '()': _, self: __, ...changes } = value;
      const first = changes['0'];
      delete changes['0'];
      for (const [key, one] of Object.entries({ ...(isTable(first) ? first : {}), ...changes })) {
        owner[key] = one;
        this.keep(owner, key, this.line(node));
      }
      return;
    }
    const touches =
      isTable(owner) ||
      (given !== undefined && inside(given).some((one) => isTable(this.valueOfName(one, scope)))) ||
      /^(exec|eval|globals|setattr|locals|vars)\b/.test(called);
    if (touches) this.note(`${called.slice(0, 80)} is called, and what it changes is not known`, node);
  }

  private valueOfName(node: Node, scope: Scope): Value | undefined {
    const value = node.name === 'VariableName' ? this.lookUp(this.source(node), scope) : undefined;
    return isRoutine(value) ? undefined : value;
  }

  /** A branch whose condition the file itself decides is taken; else what any branch may set is unknown. */
  private branch(node: Node, scope: Scope): Ending {
    const parts = childrenOf(node);
    for (const [index, part] of parts.entries()) {
      if (part.name !== 'Body') continue;
      const word = parts[index - 1]?.name === 'else' ? undefined : parts[index - 1];
      const decision = word === undefined ? true : truth(this.evaluate(word, scope));
      if (decision === true) return this.run(part, scope);
      if (decision === undefined) return this.undecided(node, scope, `if ${this.source(word ?? node)}`);
    }
    return next;
  }

  /** Everything that statements which may or may not run could set is unknown after them. */
  private undecided(node: Node, scope: Scope, why: string): Ending {
    let returns = false;
    const visit = (one: Node): void => {
      this.step();
      if (one.name === 'FunctionDefinition' || one.name === 'ClassDefinition' || one.name === 'LambdaExpression')
        return;
      if (one.name === 'ReturnStatement') returns = true;
      if (one.name === 'Body' && one.lastChild?.name === 'RaiseStatement') return;
      if (setters.has(one.name)) for (const target of targetsOf(one)) this.forget(target, scope, why);
      if (one.name === 'ExpressionStatement' && one.firstChild?.name === 'CallExpression') {
        const given = one.firstChild.getChild('ArgList');
        if (given !== null && inside(given).some((argument) => isTable(this.valueOfName(argument, scope))))
          this.note(
            `${this.source(one.firstChild.firstChild ?? one).slice(0, 80)} may be called, and what it changes is not known`,
            one,
          );
      }
      this.nested(() => {
        for (const child of childrenOf(one)) visit(child);
      });
    };
    visit(node);
    return returns ? { kind: 'return', value: new Unknown(why) } : next;
  }

  /** A name or an attribute gets a value that only a run would tell. */
  private forget(target: Node | null, scope: Scope, why: string | undefined): void {
    if (target !== null) this.put(target, new Unknown(why ?? this.source(target)), scope);
  }

  private imported(node: Node, scope: Scope): void {
    const module = /^from\s+([\w.]{1,200})\s+import\b/.exec(this.source(node))?.[1];
    if (scope === this.global && module !== undefined)
      for (const word of node.getChildren('VariableName')) this.imports[this.source(word)] = module;
    const all = childrenOf(node).some(({ name }) => name === '*');
    const names = all ? [...scope.names.keys()] : node.getChildren('VariableName').map((one) => this.source(one));
    for (const name of names) if (scope.names.has(name)) scope.names.set(name, new Unknown(name));
  }

  private define(node: Node, scope: Scope, needs: string | undefined): void {
    const word = node.getChild('VariableName');
    if (word === null) return;
    const name = this.source(word);
    const unread = node.firstChild?.name === 'async' ? `await ${name}` : needs;
    if (scope !== this.global) {
      scope.names.set(name, new Unknown(name));
      return;
    }
    scope.names.set(name, { kind: 'routine', node, name, ...(unread === undefined ? {} : { needs: unread }) });
    const annotation = node.getChildren('TypeDef').at(0);
    if (annotation) this.annotations.set(name, this.source(annotation).replace(/^[->:\s]+/, ''));
  }

  private decorated(node: Node, scope: Scope): void {
    const decorators = node.getChildren('Decorator').map((one) => this.source(one));
    const strange = decorators.find((one) => !harmless.test(one));
    const definition = node.getChild('FunctionDefinition');
    if (definition !== null) this.define(definition, scope, strange);
    else if (node.getChild('ClassDefinition') !== null) this.classes ||= scope === this.global;
  }

  // --- Expressions ----------------------------------------------------------------------------------------------------

  private nested<Result>(what: () => Result): Result {
    this.depth += 1;
    if (this.depth > pythonLimits.depth)
      throw new TooMuch(`The file nests deeper than ${pythonLimits.depth} expressions.`);
    try {
      return what();
    } finally {
      this.depth -= 1;
    }
  }

  /** One expression, or several with commas between them, which are a tuple. */
  private listed(nodes: readonly Node[], scope: Scope): Value {
    const parts = nodes.filter(({ name }) => name !== ',');
    const [only] = parts;
    if (only === undefined) return null;
    return nodes.length === 1 ? this.evaluate(only, scope) : parts.map((part) => this.evaluate(part, scope));
  }

  private evaluate(node: Node, scope: Scope): Value {
    this.step();
    return this.nested(() => this.expression(node, scope));
  }

  private expression(node: Node, scope: Scope): Value {
    const text = this.source(node);
    switch (node.name) {
      case 'Number':
        return numberOf(text) ?? new Unknown(text);
      case 'String':
        return stringOf(this.text.slice(node.from, node.to)) ?? new Unknown(text);
      case 'ContinuedString':
        return childrenOf(node)
          .map((part) => this.evaluate(part, scope))
          .reduce((left, right) => operate('+', left, right, text), '');
      case 'Boolean':
        return text === 'True';
      case 'None':
        return null;
      case 'VariableName':
        return this.named(text, scope);
      case 'ParenthesizedExpression':
        return this.listed(inside(node), scope);
      case 'ArrayExpression':
      case 'TupleExpression':
      case 'SetExpression':
        return this.items(node, scope);
      case 'DictionaryExpression':
        return this.dictionary(node, scope);
      case 'UnaryExpression':
        return this.unary(node, scope);
      case 'BinaryExpression':
        return this.binary(node, scope);
      case 'ConditionalExpression':
        return this.conditional(node, scope);
      case 'MemberExpression':
        return this.member(node, scope);
      case 'CallExpression':
        return this.called(node, scope);
      default:
        this.forgetWithin(node, scope);
        return new Unknown(text);
    }
  }

  /** `:=` inside an expression that is not followed may set a name. */
  private forgetWithin(node: Node, scope: Scope): void {
    const cursor = node.cursor();
    do {
      this.step();
      if (cursor.name === 'NamedExpression') this.forget(cursor.node.firstChild, scope, this.source(cursor.node));
    } while (cursor.next() && cursor.from < node.to);
  }

  private lookUp(name: string, scope: Scope): Value | Routine | undefined {
    for (let one: Scope | undefined = scope; one; one = one.outer) {
      const found = one.names.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  private named(name: string, scope: Scope): Value {
    const value = this.lookUp(name, scope);
    if (value === undefined || isRoutine(value)) return new Unknown(name);
    // A function that changes a constant of the module must not change it for the others.
    return scope !== this.global && !scope.names.has(name) ? this.copied(value) : value;
  }

  private copied(value: Value): Value {
    this.step();
    if (Array.isArray(value)) return this.nested(() => value.map((item: Value) => this.copied(item)));
    if (!isTable(value)) return value;
    const copy = table();
    this.nested(() => {
      for (const [key, one] of Object.entries(value)) copy[key] = this.copied(one);
    });
    const lines = this.lineOf.get(value);
    if (lines !== undefined) this.lineOf.set(copy, new Map(lines));
    return copy;
  }

  private items(node: Node, scope: Scope): Value {
    const items: Value[] = [];
    const parts = inside(node);
    for (const [index, part] of parts.entries()) {
      if (part.name === '*') continue;
      const value = this.evaluate(part, scope);
      if (parts[index - 1]?.name !== '*') items.push(value);
      else if (Array.isArray(value)) items.push(...(value as readonly Value[]).slice(0, 10_000));
      else return new Unknown(this.source(part));
    }
    return items;
  }

  private dictionary(node: Node, scope: Scope): Value {
    const made = table();
    const parts = inside(node).filter(({ name }) => name !== ':');
    for (let index = 0; index < parts.length; index += 1) {
      const [part, after] = [parts[index], parts[index + 1]];
      if (part === undefined || after === undefined) break;
      index += 1;
      const value = this.evaluate(after, scope);
      if (part.name === '**') {
        if (isTable(value)) Object.assign(made, value);
        else made['**'] = value;
        continue;
      }
      const key = this.evaluate(part, scope);
      if (typeof key !== 'string' && typeof key !== 'number') continue;
      made[String(key).slice(0, 200)] = value;
      this.keep(made, String(key), this.line(part));
    }
    return made;
  }

  private unary(node: Node, scope: Scope): Value {
    const [operator, operand] = childrenOf(node);
    if (operator === undefined || operand === undefined) return new Unknown(this.source(node));
    const value = this.evaluate(operand, scope);
    if (value instanceof Unknown) return value;
    const sign = this.source(operator);
    if (sign === 'not') {
      const known = truth(value);
      return known === undefined ? new Unknown(this.source(operand)) : !known;
    }
    if (sign === '-') return operate('-', 0, value, this.source(node));
    return sign === '+' ? value : new Unknown(this.source(node));
  }

  private binary(node: Node, scope: Scope): Value {
    const parts = childrenOf(node);
    const [left, right] = [parts[0], parts.at(-1)];
    if (left === undefined || right === undefined || parts.length < 3) return new Unknown(this.source(node));
    const operator = parts
      .slice(1, -1)
      .map((part) => this.source(part))
      .join(' ');
    const first = this.evaluate(left, scope);
    if (operator === 'and' || operator === 'or') {
      const known = truth(first);
      if (known === undefined) return new Unknown(this.source(node));
      return known === (operator === 'and') ? this.evaluate(right, scope) : first;
    }
    const second = this.evaluate(right, scope);
    if (operator in comparisons) {
      // `a < b < c` is two comparisons.
      const known = left.name === 'BinaryExpression' && left.getChild('CompareOp') !== null;
      const result = known ? undefined : compared(operator, first, second);
      return (
        result ??
        (first instanceof Unknown ? first : second instanceof Unknown ? second : new Unknown(this.source(node)))
      );
    }
    return operate(operator, opened(first), opened(second), this.source(node));
  }

  private conditional(node: Node, scope: Scope): Value {
    const [yes, , condition, , no] = childrenOf(node);
    if (yes === undefined || condition === undefined || no === undefined) return new Unknown(this.source(node));
    const known = truth(this.evaluate(condition, scope));
    if (known === undefined) return new Unknown(`if ${this.source(condition)}`);
    return this.evaluate(known ? yes : no, scope);
  }

  private member(node: Node, scope: Scope): Value {
    const [first, , index] = childrenOf(node);
    if (first === undefined) return new Unknown(this.source(node));
    const from = this.evaluate(first, scope);
    if (from instanceof Unknown)
      return new Unknown(`${from.needs}${this.text.slice(first.to, Math.min(node.to, first.to + 100))}`);
    const property = node.getChild('PropertyName');
    const key = property === null ? index && this.evaluate(index, scope) : this.source(property);
    const slice = childrenOf(node).some(({ name }) => name === ':');
    const found = key === undefined || slice ? undefined : elementOf(from, key);
    return found ?? new Unknown(this.source(node));
  }

  private called(node: Node, scope: Scope): Value {
    const [callee, list] = childrenOf(node);
    if (callee === undefined || list === undefined) return new Unknown(this.source(node));
    const positional: Value[] = [];
    const keywords = new Map<string, { readonly value: Value; readonly line: number }>();
    let spread: Value | undefined;
    const parts = inside(list).concat();
    for (let index = 0; index < parts.length; index += 1) {
      const [part, sign, value] = [parts[index], parts[index + 1], parts[index + 2]];
      if (part === undefined || part.name === ',') continue;
      if (part.name === '**' || part.name === '*') {
        const given = sign === undefined ? undefined : this.evaluate(sign, scope);
        index += 1;
        if (isTable(given) && part.name === '**')
          for (const [key, one] of Object.entries(given)) keywords.set(key, { value: one, line: this.line(part) });
        else spread = given;
      } else if (sign?.name === 'AssignOp' && value !== undefined) {
        keywords.set(this.source(part), { value: this.evaluate(value, scope), line: this.line(part) });
        index += 2;
      } else if (part.name === 'for' || part.name === 'async') break;
      else positional.push(this.evaluate(part, scope));
    }
    return this.apply(node, callee, positional, keywords, spread, scope);
  }

  private apply(
    node: Node,
    callee: Node,
    positional: readonly Value[],
    keywords: ReadonlyMap<string, { readonly value: Value; readonly line: number }>,
    spread: Value | undefined,
    scope: Scope,
  ): Value {
    const name = this.source(callee);
    const routine = callee.name === 'VariableName' ? this.lookUp(name, scope) : undefined;
    if (isRoutine(routine)) return this.call(routine, positional, keywords, spread);
    if (routine === undefined && spread === undefined && keywords.size === 0) {
      const plain = builtin(name, positional, this.source(node));
      if (plain !== undefined) return plain;
    }
    const made = table();
    const isDict = name === 'dict' && routine === undefined;
    if (!isDict) {
      made['()'] = this.nameOf(callee, scope, made);
      for (const [index, value] of positional.slice(0, 50).entries()) {
        made[String(index)] = value;
        this.keep(made, String(index), this.line(node));
      }
    } else if (isTable(positional[0])) Object.assign(made, positional[0]);
    else if (positional.length > 0) return new Unknown(this.source(node));
    for (const [key, { value, line }] of keywords) {
      made[key] = value;
      this.keep(made, key, line);
    }
    if (spread !== undefined) made['**'] = spread;
    return made;
  }

  /** What is called, as a dotted name; a method of another call keeps that call under `self`. */
  private nameOf(callee: Node, scope: Scope, made: Table): string {
    const property = callee.name === 'MemberExpression' ? callee.getChild('PropertyName') : null;
    const owner = property === null || callee.firstChild === null ? undefined : this.evaluate(callee.firstChild, scope);
    if (property === null || !isTable(owner)) return this.source(callee);
    made['self'] = owner;
    this.keep(made, 'self', this.line(callee));
    return `.${this.source(property)}`;
  }

  /** What a function of the file returns: its statements in order, with its own default arguments. */
  private call(
    routine: Routine,
    positional: readonly Value[],
    keywords: ReadonlyMap<string, { readonly value: Value }>,
    spread: Value | undefined,
  ): Value {
    const { node, needs, name } = routine;
    const body = node.getChild('Body');
    const deep = this.running.length >= pythonLimits.calls || this.running.includes(routine);
    if (needs !== undefined || body === null || deep) return new Unknown(needs ?? `${name}()`);
    const scope: Scope = { names: new Map(), outer: this.global };
    this.running.push(routine);
    try {
      this.bind(node.getChild('ParamList'), scope, positional, keywords, spread);
      const ending = this.nested(() => this.run(body, scope));
      if (ending.kind === 'return') return ending.value;
      return ending.kind === 'raise' ? new Unknown(`${name}()`) : null;
    } finally {
      this.running.pop();
    }
  }

  private bind(
    list: Node | null,
    scope: Scope,
    positional: readonly Value[],
    keywords: ReadonlyMap<string, { readonly value: Value }>,
    spread: Value | undefined,
  ): void {
    const parts = list === null ? [] : childrenOf(list).filter(({ name }) => name !== 'TypeDef');
    const rest = new Map(keywords);
    let place = 0;
    for (let index = 0; index < parts.length; index += 1) {
      const part = parts[index];
      if (part?.name === '*') {
        place = Number.POSITIVE_INFINITY;
        const all = parts[index + 1];
        if (all?.name === 'VariableName') scope.names.set(this.source(all), []);
        if (all?.name === 'VariableName') index += 1;
      } else if (part?.name === '**') {
        const extra = table();
        for (const [key, { value }] of rest) extra[key] = value;
        index += 1;
        scope.names.set(this.source(parts[index] ?? part), extra);
      } else if (part?.name === 'VariableName') {
        const name = this.source(part);
        const fallback = parts[index + 1]?.name === 'AssignOp' ? parts[index + 2] : undefined;
        if (fallback !== undefined) index += 2;
        const stated = rest.get(name)?.value ?? positional[place];
        rest.delete(name);
        place += 1;
        scope.names.set(
          name,
          stated ?? spread ?? (fallback ? this.evaluate(fallback, this.global) : new Unknown(name)),
        );
      }
    }
  }
}

/** In arithmetic, an object that a call made is as unknown as what it stands for. */
const opened = (value: Value): Value =>
  isTable(value) && typeof value['()'] === 'string' ? new Unknown(`${value['()']}()`) : value;

const comparisons: Readonly<Record<string, true>> = {
  '==': true,
  '!=': true,
  '<': true,
  '<=': true,
  '>': true,
  '>=': true,
  in: true,
  'not in': true,
  is: true,
  'is not': true,
};

function elementOf(from: Value, key: Value): Value | undefined {
  if (isTable(from) && (typeof key === 'string' || typeof key === 'number'))
    return Object.hasOwn(from, String(key)) ? from[String(key)] : undefined;
  if (!Array.isArray(from) || typeof key !== 'number') return undefined;
  return from.at(key) as Value | undefined;
}
