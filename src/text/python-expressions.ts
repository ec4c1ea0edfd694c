import { apply } from './python-calls.ts';
import {
  keep,
  lineAt,
  type Machine,
  nested,
  type Scope,
  setName,
  sourceOf,
  step,
  valueNamed,
} from './python-machine.ts';
import { childrenOf, inside, type Node } from './python-tree.ts';
import { compared, isTable, numberOf, operate, stringOf, table, truth, Unknown, type Value } from './python-values.ts';

/** Expressions of a Python file: what they come to, or what a run would have to tell. */

/** One expression, or several with commas between them, which are a tuple. */
export function listed(of: Machine, nodes: readonly Node[], scope: Scope): Value {
  const parts = nodes.filter(({ name }) => name !== ',');
  const [only] = parts;
  if (only === undefined) return null;
  return nodes.length === 1 ? evaluate(of, only, scope) : parts.map((part) => evaluate(of, part, scope));
}

/** What an expression comes to. */
export function evaluate(of: Machine, node: Node, scope: Scope): Value {
  step(of);
  return nested(of, () => expression(of, node, scope));
}

function expression(of: Machine, node: Node, scope: Scope): Value {
  const text = sourceOf(of, node);
  switch (node.name) {
    case 'Number':
      return numberOf(text) ?? new Unknown(text);
    case 'String':
      return stringOf(of.text.slice(node.from, node.to)) ?? new Unknown(text);
    case 'ContinuedString':
      return childrenOf(node)
        .map((part) => evaluate(of, part, scope))
        .reduce((left, right) => operate('+', left, right, text), '');
    case 'Boolean':
      return text === 'True';
    case 'None':
      return null;
    case 'VariableName':
      return valueNamed(of, text, scope);
    case 'ParenthesizedExpression':
      return listed(of, inside(node), scope);
    case 'ArrayExpression':
    case 'TupleExpression':
    case 'SetExpression':
      return itemsOf(of, node, scope);
    case 'DictionaryExpression':
      return dictionaryOf(of, node, scope);
    case 'UnaryExpression':
      return unaryOf(of, node, scope);
    case 'BinaryExpression':
      return binaryOf(of, node, scope);
    case 'ConditionalExpression':
      return conditionalOf(of, node, scope);
    case 'MemberExpression':
      return memberOf(of, node, scope);
    case 'CallExpression':
      return callExpression(of, node, scope);
    default:
      forgetWithin(of, node, scope);
      return new Unknown(text);
  }
}

/** `:=` inside an expression that is not followed may set a name. */
function forgetWithin(of: Machine, node: Node, scope: Scope): void {
  const cursor = node.cursor();
  do {
    step(of);
    const target = cursor.name === 'NamedExpression' ? cursor.node.firstChild : null;
    if (target?.name === 'VariableName') setName(of, target, new Unknown(sourceOf(of, cursor.node)), scope);
  } while (cursor.next() && cursor.from < node.to);
}

function itemsOf(of: Machine, node: Node, scope: Scope): Value {
  const items: Value[] = [];
  const parts = inside(node);
  for (const [index, part] of parts.entries()) {
    if (part.name === '*') continue;
    const value = evaluate(of, part, scope);
    if (parts[index - 1]?.name !== '*') items.push(value);
    else if (Array.isArray(value)) items.push(...(value as readonly Value[]).slice(0, 10_000));
    else return new Unknown(sourceOf(of, part));
  }
  return items;
}

function dictionaryOf(of: Machine, node: Node, scope: Scope): Value {
  const made = table();
  const parts = inside(node).filter(({ name }) => name !== ':');
  for (let index = 0; index < parts.length; index += 1) {
    const [part, after] = [parts[index], parts[index + 1]];
    if (part === undefined || after === undefined) break;
    index += 1;
    const value = evaluate(of, after, scope);
    if (part.name === '**') {
      if (isTable(value)) Object.assign(made, value);
      else made['**'] = value;
      continue;
    }
    const key = evaluate(of, part, scope);
    if (typeof key !== 'string' && typeof key !== 'number') continue;
    made[String(key).slice(0, 200)] = value;
    keep(of, made, String(key), lineAt(of, part));
  }
  return made;
}

function unaryOf(of: Machine, node: Node, scope: Scope): Value {
  const [operator, operand] = childrenOf(node);
  if (operator === undefined || operand === undefined) return new Unknown(sourceOf(of, node));
  const value = evaluate(of, operand, scope);
  if (value instanceof Unknown) return value;
  const sign = sourceOf(of, operator);
  if (sign === 'not') {
    const known = truth(value);
    return known === undefined ? new Unknown(sourceOf(of, operand)) : !known;
  }
  if (sign === '-') return operate('-', 0, value, sourceOf(of, node));
  return sign === '+' ? value : new Unknown(sourceOf(of, node));
}

function binaryOf(of: Machine, node: Node, scope: Scope): Value {
  const parts = childrenOf(node);
  const [left, right] = [parts[0], parts.at(-1)];
  if (left === undefined || right === undefined || parts.length < 3) return new Unknown(sourceOf(of, node));
  const operator = parts
    .slice(1, -1)
    .map((part) => sourceOf(of, part))
    .join(' ');
  const first = evaluate(of, left, scope);
  if (operator === 'and' || operator === 'or') {
    const known = truth(first);
    if (known === undefined) return new Unknown(sourceOf(of, node));
    return known === (operator === 'and') ? evaluate(of, right, scope) : first;
  }
  const second = evaluate(of, right, scope);
  if (operator in comparisons) {
    // `a < b < c` is two comparisons.
    const known = left.name === 'BinaryExpression' && left.getChild('CompareOp') !== null;
    const result = known ? undefined : compared(operator, first, second);
    return (
      result ??
      (first instanceof Unknown ? first : second instanceof Unknown ? second : new Unknown(sourceOf(of, node)))
    );
  }
  return operate(operator, opened(first), opened(second), sourceOf(of, node));
}

function conditionalOf(of: Machine, node: Node, scope: Scope): Value {
  const [yes, , condition, , no] = childrenOf(node);
  if (yes === undefined || condition === undefined || no === undefined) return new Unknown(sourceOf(of, node));
  const known = truth(evaluate(of, condition, scope));
  if (known === undefined) return new Unknown(`if ${sourceOf(of, condition)}`);
  return evaluate(of, known ? yes : no, scope);
}

function memberOf(of: Machine, node: Node, scope: Scope): Value {
  const [first, , index] = childrenOf(node);
  if (first === undefined) return new Unknown(sourceOf(of, node));
  const from = evaluate(of, first, scope);
  if (from instanceof Unknown)
    return new Unknown(`${from.needs}${of.text.slice(first.to, Math.min(node.to, first.to + 100))}`);
  const property = node.getChild('PropertyName');
  const key = property === null ? index && evaluate(of, index, scope) : sourceOf(of, property);
  const slice = childrenOf(node).some(({ name }) => name === ':');
  const found = key === undefined || slice ? undefined : elementOf(from, key);
  return found ?? new Unknown(sourceOf(of, node));
}

function callExpression(of: Machine, node: Node, scope: Scope): Value {
  const [callee, list] = childrenOf(node);
  if (callee === undefined || list === undefined) return new Unknown(sourceOf(of, node));
  const positional: Value[] = [];
  const keywords = new Map<string, { readonly value: Value; readonly line: number }>();
  let spread: Value | undefined;
  const parts = inside(list).concat();
  for (let index = 0; index < parts.length; index += 1) {
    const [part, sign, value] = [parts[index], parts[index + 1], parts[index + 2]];
    if (part === undefined || part.name === ',') continue;
    if (part.name === '**' || part.name === '*') {
      const given = sign === undefined ? undefined : evaluate(of, sign, scope);
      index += 1;
      if (isTable(given) && part.name === '**')
        for (const [key, one] of Object.entries(given)) keywords.set(key, { value: one, line: lineAt(of, part) });
      else spread = given;
    } else if (sign?.name === 'AssignOp' && value !== undefined) {
      keywords.set(sourceOf(of, part), { value: evaluate(of, value, scope), line: lineAt(of, part) });
      index += 2;
    } else if (part.name === 'for' || part.name === 'async') break;
    else positional.push(evaluate(of, part, scope));
  }
  return apply(of, node, callee, { positional, keywords, spread }, scope);
}

/** In arithmetic, the object that stands for a call is unknown. */
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
