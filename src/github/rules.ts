import { settingsOf } from '../calibrate.ts';
import { type Inputs, misnamedPath, policyPath } from '../settings/inputs.ts';
import { moved, type OtherRules, proposed } from '../settings/proposal.ts';
import { type Documents, filesNamedBy } from '../settings/settings.ts';
import type { ConfigSide, InTime } from '../world.ts';
import type { Wanted } from './contents.ts';
import type { Remote } from './remote.ts';

/** Whose rules matter: what holds, what the head would bring and from when on, and what the base branch has by now. */
export type Places = {
  readonly held: string;
  readonly head?: string;
  readonly when?: string;
  readonly tip?: { readonly commit: string; readonly branch: string };
};

/** The rules that hold, and those that a reader should know of. A change cannot touch what it is judged by. */
export async function rulesOf(
  remote: Remote,
  inputs: Inputs,
  places: Places,
  inTime: InTime,
): Promise<{
  readonly held: Documents;
  readonly others: readonly OtherRules[];
  /** What was read, by commit. */
  readonly known: ReadonlyMap<string, Documents>;
}> {
  const { held, head, when, tip } = places;
  const commits = commitsOf(places);
  const [first = {}, ...rest] = await readRules(remote, inputs, commits);
  const [now, later] = head === undefined ? [undefined, rest[0]] : rest;
  // The policy that an input names is missing everywhere, or this change brings it.
  const arrives = first.policy === undefined && now?.policy !== undefined;
  const holds = arrives
    ? { ...first, missing: (first.missing ?? []).filter((one) => one !== lacks(inputs, held)) }
    : first;
  const others = [
    now === undefined ? undefined : proposed(settingsOf, inputs, holds, now, when ?? 'later', inTime),
    // What this change does anyway is said once.
    later === undefined || tip === undefined ? undefined : moved(settingsOf, inputs, holds, later, tip.branch),
  ].filter((one) => one !== undefined);
  const known = new Map([...commits.entries()].map(([index, commit]) => [commit, [first, ...rest][index] ?? {}]));
  return { held: holds, others, known: known.set(held, holds) };
}

/** The input `run` is either the description itself or the path of one. */
const namesFile = (text: string) => text !== '' && !text.includes('\n') && !text.includes(':');
const runOf = (inputs: Inputs) => inputs['run']?.trim() ?? '';
const policyOf = (inputs: Inputs) => inputs['policy']?.trim() || policyPath;

/** What the inputs say without any file. */
export function inlineRun(inputs: Inputs): Documents {
  const text = runOf(inputs);
  return text === '' || namesFile(text) ? {} : { run: { name: 'the input run', bytes: Buffer.from(text, 'utf8') } };
}

const lacks = (inputs: Inputs, commit: string): string =>
  `The policy ${policyOf(inputs)} does not exist at ${commit.slice(0, 12)}, where the gate reads it.`;

/** What the inputs name; `others` is where a policy may stand by mistake. */
const namedBy = (inputs: Inputs) => ({
  policy: policyOf(inputs),
  run: namesFile(runOf(inputs)) ? runOf(inputs) : undefined,
  others: inputs['policy']?.trim() ? [] : [misnamedPath],
});

function pathsOf(inputs: Inputs): readonly string[] {
  const { policy, run, others } = namedBy(inputs);
  return [policy, ...(run === undefined ? [] : [run]), ...others];
}

/** The files that the inputs name, at each commit. */
export const rulesWanted = (inputs: Inputs, commits: readonly string[]): readonly Wanted[] =>
  commits.flatMap((commit) => pathsOf(inputs).map((path) => ({ commit, path })));

/** The commits whose rules matter. */
export const commitsOf = ({ held, head, tip }: Places): readonly string[] => [
  held,
  ...(head === undefined ? [] : [head]),
  ...(tip === undefined ? [] : [tip.commit]),
];

/** What each commit has of the files that the inputs and its policy name. */
export async function readRules(
  remote: Remote,
  inputs: Inputs,
  commits: readonly string[],
): Promise<readonly Documents[]> {
  const { policy, run, others } = namedBy(inputs);
  const paths = pathsOf(inputs);
  const sides = await remote.contents.read(rulesWanted(inputs, commits));
  const first = commits.map((commit, index): Documents => {
    const [one, other] = sides.slice(index * paths.length);
    const misnamed = others.length > 0 && sides[(index + 1) * paths.length - 1] !== undefined;
    const found = named(policy, one);
    const described = run === undefined ? inlineRun(inputs) : { run: named(run, other) };
    return {
      ...(found === undefined ? {} : { policy: found, commit }),
      ...(described.run === undefined ? {} : { run: described.run }),
      ...(misnamed ? { misnamed: misnamedPath } : {}),
      missing: [
        ...(inputs['policy']?.trim() && one === undefined ? [lacks(inputs, commit)] : []),
        ...(run !== undefined && other === undefined
          ? [`The run description ${run} does not exist at ${commit.slice(0, 12)}, where the gate reads it.`]
          : []),
        ...[one, run === undefined ? undefined : other].flatMap((side) =>
          side?.kind === 'refused' ? [side.reason] : [],
        ),
      ],
    };
  });
  return withFiles(remote, commits, first);
}

/** The files that the policies name, all in one more request; none where they name none. */
async function withFiles(
  remote: Remote,
  commits: readonly string[],
  documents: readonly Documents[],
): Promise<readonly Documents[]> {
  const wanted = documents.flatMap(({ policy }, index) =>
    (policy === undefined ? [] : filesNamedBy(policy)).map((path) => ({ index, path, commit: commits[index] ?? '' })),
  );
  if (wanted.length === 0) return documents;
  const sides = await remote.contents.read(wanted);
  return documents.map((one, index) => ({
    ...one,
    files: new Map(
      wanted.flatMap(({ index: of, path }, place): [string, Uint8Array][] => {
        const side = sides[place];
        return of === index && side?.kind === 'bytes' ? [[path, side.bytes]] : [];
      }),
    ),
  }));
}

const named = (name: string, side: ConfigSide | undefined) =>
  side?.kind === 'bytes' ? { name, bytes: side.bytes } : undefined;
