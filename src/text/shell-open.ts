/**
 * Open values: what a script's text does not say. Each stands in a text as one character of Unicode's private use area, so that
 * nothing cuts it or looks into it, and a table has its name: a variable (`TP`), the place of an argument (`1`), a command
 * (`$(nproc)`), or in angle brackets what else it hangs on (`<the while loop>`).
 */
export type OpenValues = { readonly names: string[]; readonly characters: Map<string, string> };
type Machine = { readonly open: OpenValues };

/** A table without rows. */
export const noOpenValues = (): OpenValues => ({ names: [], characters: new Map() });

const first = 0xe000;
const character = /[\uE000-\uF8FF]/g;
/** The private use area has so many characters; the last one stands for all further values. */
const most = 0xf8ff - first + 1;
/** The most characters of a name, as of a name in the policy's `inputs`. */
const longest = 100;

/** A text from outside has no open values: its characters of the private use area are replaced. */
export const withoutOpen = (text: string): string => text.replaceAll(character, '\uFFFD');

/** The open value of a name. */
export function unknown(name: string, machine: Machine): string {
  const { names, characters } = machine.open;
  const words = shown(name, machine).replaceAll(/\s+/g, ' ');
  const key = words.length > longest ? `${words.slice(0, longest - 1)}…` : words;
  const known = characters.get(key);
  if (known !== undefined) return known;
  if (names.length < most) names.push(names.length === most - 1 ? '<one of very many values>' : key);
  const added = String.fromCharCode(first + names.length - 1);
  characters.set(key, added);
  return added;
}

/** Whether a text has an open value. */
export const isOpen = (text: string): boolean => text.search(character) !== -1;

/** Names of what must be known before a text is. */
export const needsOf = (text: string, machine: Machine): readonly string[] => [
  ...new Set([...text.matchAll(character)].map(([letter]) => nameOf(letter, machine))),
];

/** A text as people see it: an open value is `$NAME`, or as it is named. */
export const shown = (text: string, machine: Machine): string =>
  text.replaceAll(character, (letter) => {
    const name = nameOf(letter, machine);
    return /^[$<]/.test(name) ? name : `$${name}`;
  });

const nameOf = (letter: string, { open }: Machine): string => open.names[letter.charCodeAt(0) - first] ?? '';
