import { type Dirent, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Far more than a folder of configs has. */
export const mostFiles = 20_000;

/** The files below a folder, sorted; links are not followed, and what begins with a dot or was installed is passed over. */
export function filesBelow(folder: string): { readonly paths: readonly string[]; readonly complete: boolean } {
  const paths: string[] = [];
  const waiting = [folder];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const entry of entriesOf(next)) {
      const path = next === '.' ? entry.name : join(next, entry.name);
      if (entry.isDirectory() && !passedOver(entry.name)) waiting.push(path);
      else if (entry.isFile()) paths.push(path);
      if (paths.length > mostFiles) return { paths: paths.slice(0, mostFiles).sort(), complete: false };
    }
  }
  return { paths: paths.sort(), complete: true };
}

const passedOver = (name: string) => name.startsWith('.') || name === 'node_modules';

function entriesOf(folder: string): readonly Dirent[] {
  return readdirSync(folder, { withFileTypes: true });
}
