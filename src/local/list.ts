import { countParameters } from '../cost/count/parameters.ts';
import { expand } from '../cost/expand/model.ts';
import { acceleratorIds, accelerators } from '../facts/accelerators.ts';
import { kernelsOf } from '../facts/kernels.ts';
import { type Model, models } from '../facts/models.ts';
import { familyNames } from '../families/registry.ts';
import { formats, readConfig } from '../read/config.ts';
import { trainingFormats } from '../read/formats.ts';
import { aligned } from '../report/columns.ts';
import { exact, flopsText, gib } from '../report/format.ts';
import { table } from '../report/markdown.ts';
import { inFormat, Usage, type Words } from './arguments.ts';
import { json, print } from './print.ts';

type List = {
  readonly heading: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly plain: unknown;
};

const lists: Readonly<Record<string, () => List>> = {
  accelerators: () => {
    const rows = acceleratorIds.map((id) => {
      const chip = accelerators[id];
      return { ...chip, kernels: kernelsOf(chip).confidence };
    });
    return {
      heading: ['Id', 'Name', 'Usable memory', 'Dense bf16 peak', 'Kernel rates'],
      rows: rows.map(({ id, name, usable, densePeak, kernels }) => [
        id,
        name,
        gib(usable),
        densePeak.bf16 === undefined ? '' : `${flopsText(densePeak.bf16)}/s`,
        kernels,
      ]),
      plain: rows,
    };
  },
  families: () => ({ heading: ['Family'], rows: familyNames.map((name) => [name]), plain: familyNames }),
  models: () => {
    const rows = models.flatMap((model) => {
      const { total, active } = sizeOf(model);
      return model.names.map((name) => ({ name, parameters: total, active, source: model.source }));
    });
    return {
      heading: ['Id', 'Parameters', 'Active', 'Sizes from'],
      rows: rows.map(({ name, parameters, active, source }) => [name, exact(parameters), exact(active), source]),
      plain: rows,
    };
  },
  formats: () => {
    const rows = [...formats, ...trainingFormats].map(({ id, title }) => ({ id, title }));
    return { heading: ['Id', 'Format'], rows: rows.map(({ id, title }) => [id, title]), plain: rows };
  },
};

function sizeOf({ names: [name = ''], config }: Model): { readonly total: number; readonly active: number } {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(`the catalogue's ${name} cannot be read`);
  return countParameters(reading.architecture, expand(reading.architecture));
}

/** `list accelerators|families|formats|models`: one row a line, the first word of which is what options and files use. */
export function list(words: Words): number {
  const [what = '', ...rest] = words.files;
  const found = Object.hasOwn(lists, what) && rest.length === 0 ? lists[what]?.() : undefined;
  if (found === undefined) throw new Usage('Say what to list: model-cost list accelerators|families|formats|models');
  const text = inFormat(words, {
    text: () => `${aligned(found.rows).join('\n')}\n`,
    markdown: () => `${table([found.heading, ...found.rows])}\n`,
    json: () => json(found.plain),
  });
  return print(text, words.option('output'));
}
