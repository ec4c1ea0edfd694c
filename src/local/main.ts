import { version } from '../run.ts';
import { WrongSettings } from '../settings/settings.ts';
import { help, Usage, type Words, wordsOf } from './arguments.ts';
import { commentCommand } from './comment.ts';
import { diff } from './diff.ts';
import { history } from './history.ts';
import { list } from './list.ts';
import { mfu } from './mfu.ts';
import { settingsHere } from './options.ts';
import { plan } from './plan.ts';
import { complain, print, progress, quietPipes } from './print.ts';
import { report } from './report.ts';

/** The command line: the same story as the action, over files and a git repository. Results to standard output, errors to standard error. */
export async function main(argv: readonly string[]): Promise<number> {
  quietPipes();
  try {
    return await follow(wordsOf(argv));
  } catch (error) {
    progress('');
    if (error instanceof Usage) return complain(error.message);
    if (error instanceof WrongSettings)
      return complain(...error.sentences.map((sentence) => sentence.replace(/^The input (?=[a-z-]+ )/, '--')));
    throw error;
  }
}

function follow(words: Words): number | Promise<number> {
  switch (words.command) {
    case 'help':
      return print(help(words.topic), words.option('output'), true);
    case 'version':
      return print(`${version}\n`, words.option('output'));
    case 'list':
      return list(words);
    case 'report':
      return report(words, settingsHere(words));
    case 'diff':
      return diff(words);
    case 'comment':
      return commentCommand(words);
    case 'history':
      return history(words);
    case 'mfu':
      return mfu(words, settingsHere(words));
    case 'plan':
      return plan(words, settingsHere(words));
  }
}
