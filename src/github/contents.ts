import { z } from 'zod';
import { limits } from '../read/syntax.ts';
import type { ConfigSide } from '../world.ts';
import type { Api, Repository } from './api.ts';

/** One file at one commit. */
export type Wanted = { readonly commit: string; readonly path: string };

/** Objects in one GraphQL query. */
const batchSize = 100;

const blob = z.object({
  __typename: z.string(),
  oid: z.string().optional(),
  byteSize: z.number().optional(),
  isBinary: z.boolean().nullish(),
  isTruncated: z.boolean().optional(),
  text: z.string().nullish(),
});

const answer = z.object({ repository: z.record(z.string(), blob.nullable()).nullable() });

/**
 * The texts of many files at many commits, a hundred in a request. Paths travel as variables, never inside the query. What
 * GraphQL cuts or calls binary comes by REST; what is not there is undefined.
 */
export async function readContents(
  api: Api,
  repository: Repository,
  wanted: readonly Wanted[],
): Promise<readonly (ConfigSide | undefined)[]> {
  const sides: (ConfigSide | undefined)[] = [];
  for (let first = 0; first < wanted.length; first += batchSize) {
    const batch = wanted.slice(first, first + batchSize);
    sides.push(...(await readBatch(api, repository, batch)));
  }
  return sides;
}

async function readBatch(
  api: Api,
  repository: Repository,
  batch: readonly Wanted[],
): Promise<readonly (ConfigSide | undefined)[]> {
  const names = batch.map((_, index) => `e${index}`);
  const fields = names.map(
    (name) =>
      `${name}: object(expression: $${name}) { __typename ... on Blob { oid byteSize isBinary isTruncated text } }`,
  );
  const query = `query ($owner: String!, $name: String!, ${names.map((name) => `$${name}: String!`).join(', ')}) { repository(owner: $owner, name: $name) { ${fields.join(' ')} } }`;
  const variables = Object.fromEntries(batch.map(({ commit, path }, index) => [`e${index}`, `${commit}:${path}`]));
  const data = answer.parse(
    await partial(api.graphql(query, { owner: repository.owner, name: repository.repo, ...variables })),
  );
  return Promise.all(
    batch.map((one, index) => sideOf(api, repository, one, data.repository?.[`e${index}`] ?? undefined)),
  );
}

/** A GraphQL answer that has data beside its errors is read as far as it goes. */
async function partial(request: Promise<unknown>): Promise<unknown> {
  try {
    return await request;
  } catch (error) {
    const data = typeof error === 'object' && error !== null && 'data' in error ? error.data : undefined;
    if (typeof data === 'object' && data !== null && 'repository' in data && data.repository !== null) return data;
    throw error;
  }
}

async function sideOf(
  api: Api,
  repository: Repository,
  { path }: Wanted,
  found: z.infer<typeof blob> | undefined,
): Promise<ConfigSide | undefined> {
  if (found === undefined) return undefined;
  if (found.__typename === 'Commit') return { kind: 'refused', reason: `${path} is a submodule.` };
  if (found.__typename !== 'Blob') return { kind: 'refused', reason: `${path} is a folder.` };
  if ((found.byteSize ?? 0) > limits.bytes)
    return { kind: 'refused', reason: `${path} has ${found.byteSize} bytes; configs are read up to ${limits.bytes}.` };
  if (typeof found.text === 'string' && found.isTruncated !== true && found.isBinary !== true)
    return textSide(path, found.text);
  const { data } = await api.rest.git.getBlob({ ...repository, file_sha: found.oid ?? '' });
  return { kind: 'bytes', bytes: Buffer.from(data.content, 'base64') };
}

function textSide(path: string, text: string): ConfigSide {
  if (text.startsWith('version https://git-lfs.github.com/spec/'))
    return { kind: 'refused', reason: `${path} is a Git LFS pointer; its content is not in the repository.` };
  return { kind: 'bytes', bytes: Buffer.from(text, 'utf8') };
}
