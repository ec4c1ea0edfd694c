import { settingsOf } from '../calibrate.ts';
import { deadline } from '../deadline.ts';
import { isEmpty, type Review } from '../gate/review.ts';
import { comment } from '../report/comment.ts';
import { diffCsv } from '../report/csv-tables.ts';
import { jsonReport } from '../report/json.ts';
import { junit } from '../report/junit.ts';
import { htmlReport } from '../report/page.ts';
import { textDiff } from '../report/terminal.ts';
import { review } from '../run.ts';
import type { OtherRules } from '../settings/proposal.ts';
import { type Settings, sterner, withRuns } from '../settings/settings.ts';
import type { Changes, ConfigPair, InTime } from '../world.ts';
import { inFormat, Usage, type Words } from './arguments.ts';
import { besideOnDisk } from './beside.ts';
import { finish, tellsFindings, today } from './finish.ts';
import { gitRange } from './git.ts';
import { type Named, named } from './named.ts';
import { inputsOf, namedIn, settingsHere, withFields } from './options.ts';
import { complainOf, json, progress, unusable } from './print.ts';
import { changesOf } from './range.ts';
import { rulesOfTwo } from './rules.ts';
import { rulesOf } from './rules-of-range.ts';

/** What a change costs: of two files, or of all that differs between two states of this repository. */
export function diff(words: Words): number {
  const base = words.option('base');
  const [old, now, ...rest] = words.files;
  if (base !== undefined) {
    if (old !== undefined) throw new Usage('diff takes either two files or --base, not both.');
    return diffOfRange(words, base);
  }
  if (words.option('head') !== undefined) throw new Usage('--head needs --base REV.');
  if (words.configs.length > 0) throw new Usage('--configs needs --base REV.');
  if (old === undefined || now === undefined || rest.length > 0)
    throw new Usage('diff needs two files, or --base REV: model-cost diff BASE HEAD');
  return diffOfTwo(words, named(old), named(now));
}

/** As the action compares a pull request: by the rules of the merge base, and by those of the revision that it would go into. */
function diffOfRange(words: Words, base: string): number {
  const range = gitRange('.', base, words.option('head'));
  const { held, runs, others, notes } = rulesOf(inputsOf(words), namedIn(words), range);
  const inThisRun = (settings: Settings) => withRuns(withFields(settings, words), runs);
  const settings = inThisRun(settingsOf(inputsOf(words), held));
  const outlook = others.map((one) =>
    one.settings === undefined ? one : { ...one, settings: inThisRun(one.settings) },
  );
  const inTime = deadline();
  const moved = outlook.find(({ kind }) => kind === 'moved')?.settings;
  const changes = changesOf(range, moved === undefined ? settings : sterner(settings, moved), inTime);
  return compared(words, { ...changes, notes: [...notes, ...changes.notes] }, settings, inTime, outlook);
}

function diffOfTwo(words: Words, old: Named, now: Named): number {
  const { held, runs } = rulesOfTwo(namedIn(words));
  // The user named them, so what cannot be read fails.
  const settings = { ...withRuns(settingsHere(words, held), runs), named: () => true };
  return compared(
    words,
    { pairs: [besideOnDisk(pairOf(old, now), settings)], missed: [], notes: [] },
    settings,
    deadline(),
    [],
  );
}

const pairOf = (base: Named, head: Named): ConfigPair => ({
  path: head.path,
  ...(base.path === head.path ? {} : { previousPath: base.path }),
  base: base.side,
  head: head.side,
});

function compared(
  words: Words,
  changes: Changes,
  settings: Settings,
  inTime: InTime,
  others: readonly OtherRules[],
): number {
  const found = review(changes, settings, today(), progress, others, inTime);
  progress('');
  const blind =
    found.comparisons.length > 0 && found.comparisons.every(({ head, base }) => !head?.estimate && !base?.estimate);
  // A file that could be a config and cannot be read is told; only one that was asked for makes the command useless.
  const useless =
    lacksSide(changes, found) ||
    (blind && (found.verdict.outcome === 'fail' || found.comparisons.some(({ named }) => named)));
  tellUnread(found, !useless && tellsFindings(words));
  if (useless) return unusable;
  return finish(words, found, textOf(words, found, settings));
}

function textOf(words: Words, found: Review, settings: Settings): string {
  const nothing = isEmpty(found) ? 'No model config changed.\n' : undefined;
  return inFormat(words, {
    text: () => nothing ?? textDiff(found),
    markdown: () => nothing ?? `${comment(found, { key: 'default', budgetsFor: settings.budgetsFor })}\n`,
    html: () => htmlReport(found, { key: 'default', budgetsFor: settings.budgetsFor }),
    json: () => json(jsonReport(found)),
    csv: () => diffCsv(found),
    junit: () => junit(found),
  });
}

/** @param told the result has what is wrong with new sides among its findings */
function tellUnread({ comparisons }: Review, told: boolean): void {
  const unread = comparisons.flatMap(({ path, previousPath, base, head }) => [
    ...(base !== undefined && base.estimate === undefined ? [{ path: previousPath ?? path, side: base }] : []),
    ...(head !== undefined && head.estimate === undefined && !told ? [{ path, side: head }] : []),
  ]);
  for (const { path, side } of unread) complainOf(path, side.reading.problems[0]);
}

/** Without one of two named files there is nothing to compare; one that is there and that the change broke is a failure. */
const lacksSide = ({ pairs, base }: Changes, { comparisons }: Review): boolean =>
  base === undefined &&
  (pairs.some(({ head }) => head?.kind === 'refused') ||
    comparisons.some((one) => one.base !== undefined && one.base.estimate === undefined));
