/** Whole-number arithmetic as bash does it, on a text in which variables are names. */

/** What a name stands for; text names what must be known first. */
export type Known = number | { readonly needs: string };

type Calculator = {
  readonly parts: readonly string[];
  at: number;
  readonly lookUp: (name: string) => Known;
  missing: string | undefined;
  depth: number;
};

/** The value of an expression, or what it needs to have one. */
export function calculated(text: string, lookUp: (name: string) => Known): Known {
  const parts = /^[\s\d\w+\-*/%()<>=!&|?:]{1,400}$/.test(text)
    ? (text.match(/\d+|\w+|<=|>=|==|!=|&&|\|\||\*\*|[+\-*/%()<>?:!]/g) ?? [])
    : [];
  const calculator: Calculator = { parts, at: 0, lookUp, missing: undefined, depth: 0 };
  const value = parts.length === 0 ? Number.NaN : choiceOf(calculator);
  if (calculator.missing !== undefined) return { needs: calculator.missing };
  return calculator.at === parts.length && Number.isFinite(value) ? value : { needs: '<arithmetic>' };
}

function choiceOf(of: Calculator): number {
  const condition = binary(of, 0);
  if (of.parts[of.at] !== '?') return condition;
  of.at += 1;
  const yes = choiceOf(of);
  of.at += 1;
  const no = choiceOf(of);
  return condition === 0 ? no : yes;
}

const levels: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['==', '!='],
  ['<', '>', '<=', '>='],
  ['+', '-'],
  ['*', '/', '%'],
  ['**'],
];

function binary(of: Calculator, level: number): number {
  const operators = levels[level];
  if (operators === undefined) return unary(of);
  let value = binary(of, level + 1);
  for (
    let operator = of.parts[of.at];
    operator !== undefined && operators.includes(operator);
    operator = of.parts[of.at]
  ) {
    of.at += 1;
    value = applied(value, operator, binary(of, level + 1));
  }
  return value;
}

function applied(a: number, operator: string, b: number): number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return Math.trunc(a / b);
    case '%':
      return a % b;
    case '**':
      return a ** Math.min(b, 64);
    case '<':
      return Number(a < b);
    case '>':
      return Number(a > b);
    case '<=':
      return Number(a <= b);
    case '>=':
      return Number(a >= b);
    case '==':
      return Number(a === b);
    case '!=':
      return Number(a !== b);
    case '&&':
      return Number(a !== 0 && b !== 0);
    default:
      return Number(a !== 0 || b !== 0);
  }
}

function unary(of: Calculator): number {
  const part = of.parts[of.at] ?? '';
  of.at += 1;
  of.depth += 1;
  if (of.depth > 200) return Number.NaN;
  if (part === '-') return -unary(of);
  if (part === '+') return unary(of);
  if (part === '!') return Number(unary(of) === 0);
  if (part === '(') {
    const value = choiceOf(of);
    of.at += 1;
    return value;
  }
  if (/^\d/.test(part)) return Number(part);
  const value = /^\w+$/.test(part) ? of.lookUp(part) : { needs: part };
  if (typeof value === 'number') return value;
  of.missing ??= value.needs;
  return Number.NaN;
}
