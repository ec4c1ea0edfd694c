import { parser } from '@lezer/python';

/** A node of the syntax tree; its children are all that the grammar names, punctuation among them. */
export type Node = ReturnType<typeof parser.parse>['topNode'];

/** The tree of a text. It is tolerant: what is not Python is a node of its own. */
export const treeOf = (text: string): Node => parser.parse(text).topNode;

/** Children of a syntax node without comments. */
export function childrenOf(node: Node): readonly Node[] {
  const children: Node[] = [];
  for (let child = node.firstChild; child; child = child.nextSibling)
    if (child.name !== 'Comment') children.push(child);
  return children;
}

/** Children between brackets, without them and the commas. */
export const inside = (node: Node): readonly Node[] =>
  childrenOf(node).filter(({ name }) => !['(', ')', '[', ']', '{', '}', ','].includes(name));

export const setters = new Set([
  'AssignStatement',
  'UpdateStatement',
  'DeleteStatement',
  'NamedExpression',
  'ForStatement',
  'ScopeStatement',
]);

/** What a statement may set. */
export function targetsOf(node: Node): readonly Node[] {
  const parts = childrenOf(node);
  if (node.name === 'UpdateStatement' || node.name === 'NamedExpression') return parts.slice(0, 1);
  if (node.name === 'DeleteStatement' || node.name === 'ScopeStatement') return parts.slice(1).filter(isTarget);
  const end = node.name === 'ForStatement' ? parts.findIndex(({ name }) => name === 'in') : lastAssignment(parts);
  return parts.slice(0, Math.max(0, end)).filter(isTarget);
}

const lastAssignment = (parts: readonly Node[]): number => parts.map(({ name }) => name).lastIndexOf('AssignOp');
const isTarget = ({ name }: Node): boolean =>
  ['VariableName', 'MemberExpression', 'TupleExpression', 'ArrayExpression'].includes(name);

/** The first line of a statement, to show it by. */
export const headOf = (text: string): string => text.split(/[:\n]/)[0] ?? '';

/** A statement with a mistake in it. */
export function broken(node: Node): boolean {
  for (let child = node.firstChild; child; child = child.nextSibling) if (child.type.isError) return true;
  return false;
}
