import { z } from 'zod';
import { startBytes } from '../read/config.ts';
import { limits } from '../text/limits.ts';
import type { ConfigSide, Refusal } from '../world.ts';
import { type Api, GitHubProblem, type Repository, reasonOf } from './api.ts';
import { inParallel, partsOf } from './parallel.ts';

/** One file at one commit. */
export type Wanted = { readonly commit: string; readonly path: string };

type Side = ConfigSide | undefined;

/** Files in one GraphQL query, and in one where GitHub could not answer for that many. */
const batchSize = 100;
const smallBatch = 10;
/** Queries that are sent before their files are taken in: more would hold more bytes than are read. */
const mostBatches = 4;
/** Files that come one by one, because GraphQL gives no text of them, and bytes in all. */
export const mostBlobs = 100;
export const mostBytes = 64 * limits.bytes;

const symlink = 0o120000;

const entry = z.object({
  mode: z.number(),
  type: z.string(),
  object: z
    .object({
      oid: z.string(),
      byteSize: z.number().optional(),
      isBinary: z.boolean().nullish(),
      isTruncated: z.boolean().optional(),
      text: z.string().nullish(),
    })
    .nullable(),
});
type Entry = z.infer<typeof entry>;

const answer = z.object({
  repository: z.record(z.string(), z.record(z.string(), entry.nullable()).nullable()).nullable(),
});

/** What one reading may still take. */
type Allowance = { blobs: number; bytes: number };

/** A file as GraphQL says it; null where the commit has none of that name. */
type Found = Entry | null;

const keyOf = ({ commit, path }: Wanted): string => `${commit} ${path}`;

/** Files at commits, which never change: one that was asked for ahead is not asked for again. */
export class Contents {
  private readonly api: Api;
  private readonly repository: Repository;
  private readonly known = new Map<string, Found>();

  constructor(api: Api, repository: Repository) {
    this.api = api;
    this.repository = repository;
  }

  /** Asks for files that are likely to be read. Whether that succeeds decides nothing: what did not come is asked for when it is read. */
  async askAhead(wanted: readonly Wanted[]): Promise<void> {
    const batch = wanted.slice(0, batchSize);
    if (batch.length === 0) return;
    try {
      const found = await askFor(this.api, this.repository, batch);
      for (const [index, one] of batch.entries()) this.known.set(keyOf(one), found[index] ?? null);
    } catch {}
  }

  isKnown(wanted: Wanted): boolean {
    return this.known.has(keyOf(wanted));
  }

  /**
   * The texts of many files at many commits, a hundred in a request. Paths travel as variables, never inside the query. What
   * GraphQL cuts or calls binary comes by REST; what is not there is undefined.
   *
   * @throws GitHubProblem where GitHub cannot say: a file that could not be fetched is not one that does not exist
   */
  async read(wanted: readonly Wanted[]): Promise<readonly Side[]> {
    const allowance: Allowance = { blobs: mostBlobs, bytes: mostBytes };
    const sides: Side[] = [];
    for (const part of partsOf(wanted, mostBatches * batchSize)) {
      const found = await this.entries(part);
      // Judged in order, so that what the allowance leaves out does not depend on which answer comes first.
      const judged = part.map((one, index) => sideOf(one, found[index] ?? undefined, allowance));
      sides.push(...(await inParallel(judged, (one) => this.blobOf(one))));
    }
    return sides;
  }

  private async entries(wanted: readonly Wanted[]): Promise<readonly Found[]> {
    const missing = wanted.filter((one) => !this.isKnown(one));
    const batches = partsOf(missing, batchSize);
    const answers = (await inParallel(batches, (batch) => this.batch(batch))).flat();
    const fetched = new Map(missing.map((one, index) => [one, answers[index] ?? null]));
    return wanted.map((one) => fetched.get(one) ?? this.known.get(keyOf(one)) ?? null);
  }

  private async batch(batch: readonly Wanted[]): Promise<readonly Found[]> {
    try {
      return await askFor(this.api, this.repository, batch);
    } catch (error) {
      if (error instanceof GitHubProblem || batch.length <= smallBatch) throw unreadable(batch, error);
      const found: Found[] = [];
      for (const part of partsOf(batch, smallBatch)) found.push(...(await this.batch(part)));
      return found;
    }
  }

  private async blobOf(judged: Judged): Promise<Side> {
    if (judged?.kind !== 'blob') return judged;
    try {
      const { data } = await this.api.rest.git.getBlob({ ...this.repository, file_sha: judged.oid });
      return { kind: 'bytes', bytes: Buffer.from(z.object({ content: z.string() }).parse(data).content, 'base64') };
    } catch (error) {
      throw unreadable([judged.of], error);
    }
  }
}

const unreadable = (batch: readonly Wanted[], error: unknown): GitHubProblem =>
  new GitHubProblem(
    `${batch[0]?.path}${batch.length === 1 ? '' : ` and ${batch.length - 1} more files`} could not be read: ${reasonOf(error)}`,
  );

async function askFor(api: Api, repository: Repository, batch: readonly Wanted[]): Promise<readonly Found[]> {
  const commits = [...new Set(batch.map(({ commit }) => commit))];
  const fields = commits.map((commit, at) => {
    const files = batch.flatMap((one, index) =>
      one.commit === commit
        ? [
            `f${index}: file(path: $f${index}) { mode type object { oid ... on Blob { byteSize isBinary isTruncated text } } }`,
          ]
        : [],
    );
    return `c${at}: object(oid: $c${at}) { ... on Commit { ${files.join(' ')} } }`;
  });
  const declared = [
    ...commits.map((_, at) => `$c${at}: GitObjectID!`),
    ...batch.map((_, index) => `$f${index}: String!`),
  ];
  const query = `query ($owner: String!, $name: String!, ${declared.join(', ')}) { repository(owner: $owner, name: $name) { ${fields.join(' ')} } }`;
  const variables = {
    ...Object.fromEntries(commits.map((commit, at) => [`c${at}`, commit])),
    ...Object.fromEntries(batch.map(({ path }, index) => [`f${index}`, path])),
  };
  const data: unknown = await api.graphql(query, { owner: repository.owner, name: repository.repo, ...variables });
  const found = answer.parse(data).repository;
  return batch.map(({ commit }, index) => {
    const at = found?.[`c${commits.indexOf(commit)}`];
    if (at === null || at === undefined)
      throw new GitHubProblem(`the commit ${commit.slice(0, 12)} is not to be found with this token.`);
    const file = at[`f${index}`];
    // Of a tag or another object there are no files to ask for, which is not the same as a file that does not exist.
    if (file === undefined) throw new GitHubProblem(`${commit.slice(0, 12)} is not a commit.`);
    return file;
  });
}

/** A side, or the identity of a text that has to be fetched by itself. */
type Judged = Side | { readonly kind: 'blob'; readonly oid: string; readonly of: Wanted };

function sideOf(wanted: Wanted, found: Entry | undefined, allowance: Allowance): Judged {
  const { path } = wanted;
  const refused = (why: Refusal, reason: string, start?: string | null): ConfigSide => ({
    kind: 'refused',
    why,
    reason: `${path} ${reason}`,
    ...(typeof start === 'string' ? { start: Buffer.from(start.slice(0, startBytes), 'utf8') } : {}),
  });
  if (found === undefined) return undefined;
  if (found.type === 'commit') return refused('submodule', 'is a submodule.');
  if (found.type !== 'blob' || found.object === null) return refused('folder', 'is a folder.');
  if (found.mode === symlink)
    return refused('symlink', 'is a symbolic link, which is not followed; name the file it points to.');
  const { oid, byteSize = 0, isBinary, isTruncated, text } = found.object;
  if (byteSize > limits.bytes)
    return refused('too-large', `has ${byteSize} bytes; configs are read up to ${limits.bytes}.`, text);
  if (byteSize > allowance.bytes)
    return refused(
      'over-bytes',
      `was not read: the configs have more than ${mostBytes} bytes together, which is what is read at once.`,
    );
  allowance.bytes -= byteSize;
  if (typeof text === 'string' && isTruncated !== true && isBinary !== true) return textSide(path, text);
  allowance.blobs -= 1;
  if (allowance.blobs < 0)
    return refused('over-blobs', `was not read: more than ${mostBlobs} configs are not UTF-8 or over 512,000 bytes.`);
  return { kind: 'blob', oid, of: wanted };
}

function textSide(path: string, text: string): ConfigSide {
  if (text.startsWith('version https://git-lfs.github.com/spec/'))
    return {
      kind: 'refused',
      why: 'lfs-pointer',
      reason: `${path} is a Git LFS pointer; its content is not in the repository.`,
    };
  return { kind: 'bytes', bytes: Buffer.from(text, 'utf8') };
}
