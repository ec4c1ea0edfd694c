import { deadline } from '../deadline.ts';
import { reportCsv } from '../report/csv-tables.ts';
import { jsonReport } from '../report/json.ts';
import { junit } from '../report/junit.ts';
import { htmlReport } from '../report/page.ts';
import { summary } from '../report/summary.ts';
import { noteText, textFindings, textReports } from '../report/terminal.ts';
import { review } from '../run.ts';
import type { Settings } from '../settings/settings.ts';
import { fileOf } from '../text/job-name.ts';
import { inFormat, Usage, type Words } from './arguments.ts';
import { besideOnDisk } from './beside.ts';
import { finish, tellsFindings, today } from './finish.ts';
import { allNamed } from './named.ts';
import { complain, complainOf, json, progress, unusable } from './print.ts';

/** All metrics of each config. It is a check only where somebody set a limit: a report with assumed hardware does not fail. */
export function report(words: Words, settings: Settings): number {
  if (words.files.length === 0) throw new Usage('report needs a config: model-cost report CONFIG...');
  const all = words.files.flatMap(allNamed);
  const judged = all.some(({ path }) => settings.budgetsFor(path).limits.some(({ origin }) => origin !== 'default'));
  const searched = new Set(all.flatMap(({ path, found }) => (found === true ? [path] : [])));
  const asked: Settings = {
    ...settings,
    named: (path) => !searched.has(fileOf(path)),
    budgetsFor: judged ? settings.budgetsFor : (path) => ({ ...settings.budgetsFor(path), limits: [] }),
    shown: judged ? settings.shown : [],
  };
  const pairs = all.map(({ path, side }) => besideOnDisk({ path, head: side }, asked));
  const found = review({ pairs, missed: [], notes: [] }, asked, today(), progress, [], deadline());
  progress('');
  const { comparisons } = found;
  const readable = comparisons.filter(({ head }) => head?.estimate !== undefined);
  for (const { path, head } of comparisons)
    if (head?.estimate === undefined && !(readable.length > 0 && tellsFindings(words)))
      complainOf(path, head?.reading.problems[0]);
  if (comparisons.length === 0) return complain(`${words.files.join(', ')}: there is no model config.`);
  if (readable.length === 0) return unusable;
  const text = inFormat(words, {
    text: () =>
      [
        textReports(comparisons),
        ...found.notes.map(noteText),
        ...(judged || found.verdict.findings.length > 0 ? [textFindings(found)] : []),
      ].join('\n'),
    markdown: () => `${summary(found, { key: 'default', budgetsFor: asked.budgetsFor })}\n`,
    html: () => htmlReport(found, { key: 'default', budgetsFor: asked.budgetsFor }),
    json: () => json(jsonReport(found)),
    csv: () => reportCsv(found),
    junit: () => junit(found),
  });
  return finish(words, found, text);
}
