/** What a script leaves to its arguments, its environment and its commands, and how the policy states it. */

/** The most names in a sentence, and the most characters of the policy's line: what does not fit is asked for once the rest is there. */
const most = { names: 8, line: 400 } as const;

/**
 * The sentence that a script leaves something open.
 *
 * @param what a flag, or several
 * @param needs names of what it hangs on
 */
export function leftOpen(what: string, needs: readonly string[]): string {
  const few = needs.slice(0, most.names);
  return `The script leaves ${what} to ${few.map(shown).join(', ')}${remedy(few)}`;
}

const shown = (name: string) =>
  /^\d+$/.test(name) ? `its argument ${name}` : (name.startsWith('<') ? name.slice(1, -1) : name).slice(0, 60);

/** How to state what is open: by a line of the policy, which cannot name loops and conditions. */
function remedy(needs: readonly string[]): string {
  const inputs = needs.filter((name) => /^\w+$|^\$\(.*\)$/.test(name));
  if (inputs.length === 0) return ', which is not followed; write out what they are.';
  const entries = inputs.map((name) => `${/^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name)}: ...`);
  const line = entries.reduce((all, entry) => (all.length + entry.length > most.line ? all : `${all}, ${entry}`));
  return `. Add \`inputs: { ${line} }\` to the entry of this script in the policy.`;
}
