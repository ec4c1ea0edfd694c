import type { Comparison, SetField, Side } from '../gate/review.ts';
import type { MemoryComponent, MemoryEstimate } from '../model/estimate.ts';
import { componentNames } from './charts.ts';
import { difference, exact, flopsText, gib, percent } from './format.ts';
import { code, figure, sentence, table } from './markdown.ts';
import { movedBy } from './moved.ts';

const mostRows = 12;

/** Which parts of the model moved. Empty where nothing did. */
export function origins(comparison: Comparison): string {
  const sections: string[] = [];
  const { parts } = comparison;
  for (const kind of ['parameters', 'flops'] as const) {
    const moved = parts.filter(({ quantity }) => quantity === kind);
    if (moved.length === 0) continue;
    const write = (amount: number) => (kind === 'flops' ? flopsText(amount) : exact(amount));
    const rows = moved
      .slice(0, mostRows)
      .map(({ part, before, after }) => [
        code(part, 80),
        write(before),
        write(after),
        difference(before, after, kind) ?? '0',
      ]);
    const heading = kind === 'flops' ? 'Forward FLOPs per token' : 'Parameters';
    sections.push(table([[heading, 'Before', 'After', 'Difference'], ...rows], [1, 2, 3]) + more(moved.length));
  }
  return sections.join('\n\n');
}

/** What was changed, and what each change moved of the figures. Empty where nothing was. */
export function changes(comparison: Comparison): string {
  const moved = movedBy(comparison);
  if (moved === undefined) return '';
  const { columns, rows, idle, note } = moved;
  const label = (fields: readonly SetField[]) =>
    fields.slice(0, mostTogether).map(settingText).join('<br>') +
    (fields.length > mostTogether ? `<br>and ${fields.length - mostTogether} more` : '');
  const moves = table(
    [
      ['Changed', ...columns],
      ...rows.slice(0, mostRows).map(({ fields, parts }) => [label(fields), ...parts.map(figure)]),
    ],
    columns.map((_, index) => index + 1),
  );
  return [
    ...(rows.length === 0 ? [] : [moves + more(rows.length)]),
    ...(idle.length === 0 ? [] : [idleText(idle, rows.length > 0)]),
    ...(note === '' ? [] : [`<sub>${sentence(note)}</sub>`]),
  ].join('\n\n');
}

/** Settings that are named where they share a part. */
const mostTogether = 6;

function settingText({ path, before, after, writtenAs }: SetField): string {
  const written = (value: string | undefined) => (value === undefined ? 'absent' : code(value, 60));
  const own = writtenAs === undefined ? '' : ` (${code(writtenAs, 60)})`;
  return `${code(path, 80)}${own}: ${written(before)} →\u00a0${written(after)}`;
}

const idleText = (fields: readonly SetField[], others: boolean): string =>
  `${others ? 'Changed without moving any of this' : 'Changed'}: ${fields.slice(0, mostRows).map(settingText).join('; ')}${fields.length > mostRows ? ` and ${fields.length - mostRows} more` : ''}.`;

const more = (count: number) => (count > mostRows ? `\n\n… and ${count - mostRows} more.` : '');

/** Memory of the fullest GPU by component, old and new; where there is one side, that. */
export function memoryBreakdown(comparison: Comparison): string {
  const before = comparison.base?.estimate?.memory;
  const after = comparison.head?.estimate?.memory;
  const memory = after ?? before;
  if (memory === undefined) return '';
  const compared = before !== undefined && after !== undefined;
  const amounts = (take: (of: MemoryEstimate) => number) =>
    compared
      ? [gib(take(before)), gib(take(after)), difference(take(before), take(after), 'bytes') ?? '']
      : [gib(take(memory))];
  const rows = Object.entries(componentNames).map(([key, name]) => {
    const take = ({ components }: MemoryEstimate) => components[key as MemoryComponent];
    return [name, ...amounts(take), percent(take(memory) / memory.allocated)];
  });
  const totals = [
    ['**Allocated** (`max_memory_allocated`)', ...amounts(({ allocated }) => allocated), ''],
    ['**Reserved** (`max_memory_reserved`)', ...amounts(({ reserved }) => reserved), ''],
    ['**Device** (nvidia-smi)', ...amounts(({ device }) => device), ''],
  ];
  const heading = ['Component', ...(compared ? ['Before', 'After', 'Difference'] : ['Memory']), 'Share'];
  const peak = `The peak is at the ${{ forward: 'end of the forward pass', loss: 'loss', backward: 'backward pass of a layer', optimizer: 'optimizer step', rollout: 'rollout, while the engine generates' }[memory.phase]}${memory.stage === 0 ? '' : ` on pipeline stage ${memory.stage + 1}`}. Expect ±${percent(memory.band, 0)} (${memory.basis}).`;
  const savings = (after ?? memory).savings
    .slice(0, 3)
    .map(({ change, saves }) => `- \`${change}\` would save ${gib(saves)}`);
  return [
    table([heading, ...rows, ...totals], heading.map((_, index) => index).slice(1)),
    peak,
    ...(memory.roles === undefined ? [] : [rolesLine(memory.roles)]),
    ...(savings.length > 0 ? [savings.join('\n')] : []),
  ].join('\n\n');
}

/** What other models keep on the same GPU, and which moment of a step needs how much. */
export function rolesLine({ update, rollout, held }: NonNullable<MemoryEstimate['roles']>): string {
  const each = Object.entries(held).map(([role, amount]) => `${role.replaceAll('_', ' ')} ${gib(amount)}`);
  const models = each.length === 0 ? '' : `On the same GPU: ${each.join(', ')}. `;
  return `${models}The update needs ${gib(update)}${rollout === null ? '' : `, the rollout ${gib(rollout)}`}.`;
}

/** What nobody stated and was taken to be so, and what the config's reader noticed. */
export function assumptions(side: Side): string {
  const lines = [
    ...(side.estimate?.assumptions ?? []).map(
      ({ field, value, reason }) => `- ${code(field, 80)} = ${code(value, 60)}: ${sentence(reason)}`,
    ),
    ...side.reading.problems.map(
      ({ message, line }) => `- ${line === undefined ? '' : `line ${line}: `}${sentence(message)}`,
    ),
    ...(side.estimate?.problems ?? []).map(({ message }) => `- ${sentence(message)}`),
  ];
  const shown = lines.slice(0, 40);
  return shown.join('\n') + (lines.length > shown.length ? `\n- … and ${lines.length - shown.length} more` : '');
}

export function throughputLine(side: Side): string {
  const time = side.estimate?.throughput;
  if (time === undefined || time.mfu === null || time.range === null)
    return time === undefined ? '' : sentence(time.limit);
  return `${sentence(time.limit)} Projected MFU ${percent(time.mfu)} (${percent(time.range[0])} to ${percent(time.range[1])}; ${time.basis}).`;
}
