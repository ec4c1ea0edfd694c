import type { State } from './github-server.ts';
import type { Tree } from './repository.ts';

/** A Llama of 8 B parameters that fits on the default hardware, as a config file. */
export const small = {
  model_type: 'llama',
  vocab_size: 32000,
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  tie_word_embeddings: false,
  max_position_embeddings: 4096,
};

export const config = (changes: Readonly<Record<string, unknown>> = {}): string =>
  `${JSON.stringify({ ...small, ...changes }, null, 2)}\n`;

export const sha = (letter: string): string => letter.repeat(40);

/** A pull request from `base` (the merge base, a) to `head` (b), while the base branch has moved on (c). */
export function pullRequest(base: Tree, head: Tree, changes: Partial<State> = {}): State {
  return {
    commits: {
      [sha('a')]: base,
      [sha('b')]: head,
      [sha('c')]: { ...base, 'moved-on.json': config({ num_hidden_layers: 2 }) },
    },
    parents: { [sha('b')]: [sha('a')], [sha('c')]: [sha('a')] },
    branches: { main: sha('c'), wider: sha('b') },
    pull: {
      number: 7,
      base: sha('c'),
      baseRef: 'main',
      head: sha('b'),
      headRef: 'wider',
      headRepository: 'octo/models',
      labels: [],
      state: 'open',
      draft: false,
      renames: {},
    },
    comments: [],
    viewer: 'github-actions[bot]',
    mayRead: true,
    mayComment: true,
    labelEvents: [],
    mostEntries: 100_000,
    rate: { remaining: 1_000, seconds: 3_600 },
    unreadable: [],
    failures: [],
    prefix: '',
    ...changes,
  };
}
