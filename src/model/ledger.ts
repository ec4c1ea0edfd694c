/** Named amounts of one unit, and their total. A line's name is a path; lines of one name are added up. */
export type Ledger<Amount extends number> = {
  readonly total: Amount;
  readonly lines: Readonly<Record<string, Amount>>;
};

/**
 * @param make the unit's maker
 * @param entries names and amounts, in the order in which they are shown; zero amounts are left out
 */
export function ledger<Amount extends number>(
  make: (n: number) => Amount,
  entries: Iterable<readonly [string, number]>,
): Ledger<Amount> {
  const lines: Record<string, Amount> = {};
  let total = 0;
  for (const [name, amount] of entries) {
    if (amount === 0) continue;
    lines[name] = make((lines[name] ?? 0) + amount);
    total += amount;
  }
  return { total: make(total), lines };
}
