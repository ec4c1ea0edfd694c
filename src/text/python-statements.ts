import { evaluate, listed } from './python-expressions.ts';
import {
  type Ending,
  isRoutine,
  keep,
  lineAt,
  lookUp,
  type Machine,
  nested,
  note,
  type Scope,
  setName,
  sourceOf,
  step,
} from './python-machine.ts';
import { broken, childrenOf, headOf, inside, type Node, setters, targetsOf } from './python-tree.ts';
import { isTable, operate, type Table, table, truth, Unknown, type Value } from './python-values.ts';

/** Statements of a Python file, followed as far as the file itself decides them. */

const next: Ending = { kind: 'next' };

/** Decorators that register a function and leave what it returns as it is. */
const harmless = /^@\s*(run\.cli\.factory|run\.cli\.entrypoint|functools\.cache|functools\.lru_cache|staticmethod)\b/;

/** Statements of a body, one after another. */
export function run(of: Machine, body: Node, scope: Scope): Ending {
  for (let node = body.firstChild; node; node = node.nextSibling) {
    step(of);
    const ending = statement(of, node, scope);
    if (ending.kind !== 'next') return ending;
  }
  return next;
}

function statement(of: Machine, node: Node, scope: Scope): Ending {
  if (node.type.isError) note(of, 'the text is not valid Python here', node);
  switch (node.name) {
    case 'AssignStatement':
      assign(of, node, scope);
      return next;
    case 'UpdateStatement':
      update(of, node, scope);
      return next;
    case 'ExpressionStatement':
      effect(of, node.firstChild, scope);
      return next;
    case 'StatementGroup':
      return run(of, node, scope);
    case 'ReturnStatement':
      return { kind: 'return', value: listed(of, childrenOf(node).slice(1), scope) };
    case 'RaiseStatement':
      return { kind: 'raise' };
    case 'IfStatement':
      return branch(of, node, scope);
    case 'FunctionDefinition':
      define(of, node, scope, undefined);
      return next;
    case 'DecoratedStatement':
      decorated(of, node, scope);
      return next;
    case 'ClassDefinition':
      of.classes ||= scope === of.global;
      forget(of, node.getChild('VariableName'), scope, undefined);
      return next;
    case 'ImportStatement':
      imported(of, node, scope);
      return next;
    case 'ForStatement':
    case 'WhileStatement':
    case 'TryStatement':
    case 'WithStatement':
    case 'MatchStatement':
    case 'DeleteStatement':
    case 'ScopeStatement':
      return undecided(of, node, scope, headOf(sourceOf(of, node)));
    default:
      return next;
  }
}

function assign(of: Machine, node: Node, scope: Scope): void {
  const groups: Node[][] = [[]];
  for (const child of childrenOf(node)) {
    if (child.name === 'AssignOp') groups.push([]);
    else if (child.name !== 'TypeDef') groups.at(-1)?.push(child);
  }
  const right = groups.pop() ?? [];
  if (groups.length === 0) return;
  const value = broken(node) ? new Unknown(`valid Python on line ${lineAt(of, node)}`) : listed(of, right, scope);
  for (const targets of groups) assignTo(of, targets, value, scope);
}

function assignTo(of: Machine, targets: readonly Node[], value: Value, scope: Scope): void {
  const names = targets.filter(({ name }) => name !== ',');
  const [only] = names;
  if (names.length === 1 && targets.length === 1 && only !== undefined) {
    put(of, only, value, scope);
    return;
  }
  for (const [index, target] of names.entries()) {
    const part = Array.isArray(value) && value.length === names.length ? (value[index] as Value) : undefined;
    put(of, target, part ?? new Unknown(sourceOf(of, target)), scope);
  }
}

function put(of: Machine, target: Node, value: Value, scope: Scope): void {
  if (target.name === 'VariableName') {
    setName(of, target, value, scope);
    return;
  }
  if (target.name === 'TupleExpression' || target.name === 'ArrayExpression') {
    assignTo(of, inside(target), value, scope);
    return;
  }
  if (target.name !== 'MemberExpression') return;
  const key = keyOf(of, target, scope);
  const owner = ownerOf(of, target.firstChild, scope);
  if (owner === undefined || key === undefined) return;
  owner[key] = value;
  keep(of, owner, key, lineAt(of, target));
}

/** The object whose attribute is set. One that the file does not show, such as an imported config, is made. */
function ownerOf(of: Machine, node: Node | null, scope: Scope): Table | undefined {
  if (node === null) return undefined;
  const value = nested(of, () => evaluate(of, node, scope));
  if (isTable(value)) return value;
  if (!(value instanceof Unknown)) return undefined;
  const made = table();
  if (node.name === 'VariableName') scope.names.set(sourceOf(of, node), made);
  else if (node.name === 'MemberExpression') {
    const key = keyOf(of, node, scope);
    const above = nested(of, () => ownerOf(of, node.firstChild, scope));
    if (above === undefined || key === undefined) return undefined;
    above[key] = made;
    keep(of, above, key, lineAt(of, node));
  } else return undefined;
  return made;
}

/** The attribute or the constant key of `a.b` and `a['b']`. */
function keyOf(of: Machine, node: Node, scope: Scope): string | undefined {
  const property = node.getChild('PropertyName');
  if (property !== null) return sourceOf(of, property);
  const [, , index] = childrenOf(node);
  const value = index === undefined ? undefined : evaluate(of, index, scope);
  return typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 200) : undefined;
}

function update(of: Machine, node: Node, scope: Scope): void {
  const [target, operator, ...rest] = childrenOf(node);
  if (target === undefined || operator === undefined) return;
  const symbol = sourceOf(of, operator).slice(0, -1);
  const old = evaluate(of, target, scope);
  put(of, target, operate(symbol, old, listed(of, rest, scope), sourceOf(of, target)), scope);
}

/** A call as a statement: what a function from outside the file does to an object of the file is not known. */
function effect(of: Machine, node: Node | null, scope: Scope): void {
  if (node === null) return;
  if (node.name !== 'CallExpression') {
    if (!/String$/.test(node.name)) nested(of, () => evaluate(of, node, scope));
    return;
  }
  const [callee, given] = childrenOf(node);
  const method = callee?.name === 'MemberExpression' ? callee.getChild('PropertyName') : null;
  const owner = method === null ? undefined : evaluate(of, callee?.firstChild ?? node, scope);
  const value = evaluate(of, node, scope);
  const called = sourceOf(of, callee ?? node);
  const routine = callee?.name === 'VariableName' && isRoutine(lookUp(called, scope));
  if (routine) return;
  if (isTable(owner) && method !== null && sourceOf(of, method) === 'update' && isTable(value)) {
    const { '()': _, self: __, ...changes } = value;
    const first = changes['0'];
    delete changes['0'];
    for (const [key, one] of Object.entries({ ...(isTable(first) ? first : {}), ...changes })) {
      owner[key] = one;
      keep(of, owner, key, lineAt(of, node));
    }
    return;
  }
  const touches =
    isTable(owner) ||
    (given !== undefined && inside(given).some((one) => isTable(valueOfName(of, one, scope)))) ||
    /^(exec|eval|globals|setattr|locals|vars)\b/.test(called);
  if (touches) note(of, `${called.slice(0, 80)} is called, and what it changes is not known`, node);
}

function valueOfName(of: Machine, node: Node, scope: Scope): Value | undefined {
  const value = node.name === 'VariableName' ? lookUp(sourceOf(of, node), scope) : undefined;
  return isRoutine(value) ? undefined : value;
}

/** Takes the branch that the file itself decides on; else everything that any branch may set is unknown. */
function branch(of: Machine, node: Node, scope: Scope): Ending {
  const parts = childrenOf(node);
  for (const [index, part] of parts.entries()) {
    if (part.name !== 'Body') continue;
    const word = parts[index - 1]?.name === 'else' ? undefined : parts[index - 1];
    const decision = word === undefined ? true : truth(evaluate(of, word, scope));
    if (decision === true) return run(of, part, scope);
    if (decision === undefined) return undecided(of, node, scope, `if ${sourceOf(of, word ?? node)}`);
  }
  return next;
}

/** Everything that statements which may or may not run could set is unknown after them. */
function undecided(of: Machine, node: Node, scope: Scope, why: string): Ending {
  let returns = false;
  const visit = (one: Node): void => {
    step(of);
    if (one.name === 'FunctionDefinition' || one.name === 'ClassDefinition' || one.name === 'LambdaExpression') return;
    if (one.name === 'ReturnStatement') returns = true;
    if (one.name === 'Body' && one.lastChild?.name === 'RaiseStatement') return;
    if (setters.has(one.name)) for (const target of targetsOf(one)) forget(of, target, scope, why);
    if (one.name === 'ExpressionStatement' && one.firstChild?.name === 'CallExpression') {
      const given = one.firstChild.getChild('ArgList');
      if (given !== null && inside(given).some((argument) => isTable(valueOfName(of, argument, scope))))
        note(
          of,
          `${sourceOf(of, one.firstChild.firstChild ?? one).slice(0, 80)} may be called, and what it changes is not known`,
          one,
        );
    }
    nested(of, () => {
      for (const child of childrenOf(one)) visit(child);
    });
  };
  visit(node);
  return returns ? { kind: 'return', value: new Unknown(why) } : next;
}

/** A name or an attribute gets a value that only a run would tell. */
function forget(of: Machine, target: Node | null, scope: Scope, why: string | undefined): void {
  if (target !== null) put(of, target, new Unknown(why ?? sourceOf(of, target)), scope);
}

function imported(of: Machine, node: Node, scope: Scope): void {
  const module = /^from\s+([\w.]{1,200})\s+import\b/.exec(sourceOf(of, node))?.[1];
  if (scope === of.global && module !== undefined)
    for (const word of node.getChildren('VariableName')) of.imports[sourceOf(of, word)] = module;
  const all = childrenOf(node).some(({ name }) => name === '*');
  const names = all ? [...scope.names.keys()] : node.getChildren('VariableName').map((one) => sourceOf(of, one));
  for (const name of names) if (scope.names.has(name)) scope.names.set(name, new Unknown(name));
}

function define(of: Machine, node: Node, scope: Scope, needs: string | undefined): void {
  const word = node.getChild('VariableName');
  if (word === null) return;
  const name = sourceOf(of, word);
  const unread = node.firstChild?.name === 'async' ? `await ${name}` : needs;
  if (scope !== of.global) {
    scope.names.set(name, new Unknown(name));
    return;
  }
  scope.names.set(name, { kind: 'routine', node, name, ...(unread === undefined ? {} : { needs: unread }) });
  const annotation = node.getChildren('TypeDef').at(0);
  if (annotation) of.annotations.set(name, sourceOf(of, annotation).replace(/^[->:\s]+/, ''));
}

function decorated(of: Machine, node: Node, scope: Scope): void {
  const decorators = node.getChildren('Decorator').map((one) => sourceOf(of, one));
  const strange = decorators.find((one) => !harmless.test(one));
  const definition = node.getChild('FunctionDefinition');
  if (definition !== null) define(of, definition, scope, strange);
  else if (node.getChild('ClassDefinition') !== null) of.classes ||= scope === of.global;
}
