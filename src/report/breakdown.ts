import type { ChangedField, Comparison, Side } from '../gate/review.ts';
import type { MemoryEstimate } from '../model/estimate.ts';
import { difference, exact, flopsText, gib, percent } from './format.ts';
import { code, sentence, table } from './markdown.ts';

const mostRows = 12;

/** Which parts of the model and which fields of the config moved. Empty where nothing did. */
export function origins(comparison: Comparison): string {
  const sections: string[] = [];
  const { fields, parts } = comparison;
  for (const origin of ['architecture', 'run'] as const) {
    const changed = fields.filter((field) => field.origin === origin);
    if (changed.length > 0) sections.push(fieldTable(origin === 'run' ? 'Training run' : 'Field', changed));
  }
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

function fieldTable(heading: string, fields: readonly ChangedField[]): string {
  const written = (value: string | undefined) => (value === undefined ? 'absent' : code(value, 60));
  const rows = fields
    .slice(0, mostRows)
    .map(({ path, before, after }) => [code(path, 80), written(before), written(after)]);
  return table([[heading, 'Before', 'After'], ...rows]) + more(fields.length);
}

const more = (count: number) => (count > mostRows ? `\n\n… and ${count - mostRows} more.` : '');

const componentNames: Readonly<Record<string, string>> = {
  weights: 'Weights',
  gradients: 'Gradients',
  optimizer_states: 'Optimizer states',
  activations: 'Activations',
  temporary: 'Temporary buffers',
};

/** Memory of the fullest GPU by component, old and new. */
export function memoryBreakdown(comparison: Comparison): string {
  const before = comparison.base?.estimate?.memory;
  const after = comparison.head?.estimate?.memory;
  const memory = after ?? before;
  if (memory === undefined) return '';
  const write = (value: number | undefined) => (value === undefined ? '–' : gib(value));
  const rows = Object.keys(componentNames).map((key) => {
    const component = key as keyof typeof memory.components;
    const [old, now] = [before?.components[component], after?.components[component]];
    return [
      componentNames[key] ?? key,
      write(old),
      write(now),
      old !== undefined && now !== undefined ? (difference(old, now, 'bytes') ?? '') : '',
      percent((now ?? old ?? 0) / memory.allocated),
    ];
  });
  const totals = (['allocated', 'reserved', 'device'] as const).map((key) => {
    const label = {
      allocated: '**Allocated** (`max_memory_allocated`)',
      reserved: '**Reserved** (`max_memory_reserved`)',
      device: '**Device** (nvidia-smi)',
    }[key];
    const [old, now] = [before?.[key], after?.[key]];
    return [
      label,
      write(old),
      write(now),
      old !== undefined && now !== undefined ? (difference(old, now, 'bytes') ?? '') : '',
      '',
    ];
  });
  const peak = `The peak is at the ${{ forward: 'end of the forward pass', loss: 'loss', backward: 'backward pass of a layer', optimizer: 'optimizer step', rollout: 'rollout, while the engine generates' }[memory.phase]}${memory.stage === 0 ? '' : ` on pipeline stage ${memory.stage + 1}`}. Expect ±${percent(memory.band, 0)} (${memory.basis}).`;
  const savings = (after ?? memory).savings
    .slice(0, 3)
    .map(({ change, saves }) => `- \`${change}\` would save ${gib(saves)}`);
  return [
    table([['Component', 'Before', 'After', 'Difference', 'Share'], ...rows, ...totals], [1, 2, 3, 4]),
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
