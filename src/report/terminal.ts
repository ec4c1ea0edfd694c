import type { Evidence } from '../facts/evidence.ts';
import { metrics } from '../gate/metrics.ts';
import type { Comparison, Review, SetField, Side } from '../gate/review.ts';
import type { Estimate, FlopConvention } from '../model/estimate.ts';
import { sequencesAtOnce } from '../model/run.ts';
import { adviceText } from './advice.ts';
import { amountsOf } from './amounts.ts';
import { rolesLine } from './breakdown.ts';
import { aligned } from './columns.ts';
import {
  amountOfBytes,
  billions,
  difference,
  dollars,
  duration,
  exact,
  flopsText,
  gib,
  percent,
  quantity,
} from './format.ts';
import { gist } from './gist.ts';
import { plain } from './markdown.ts';
import { movedBy } from './moved.ts';
import { waiverText } from './overview.ts';
import { runLine } from './run-line.ts';
import { conventionNames, sources } from './sources.ts';

const rule = '─'.repeat(78);
const line = (label: string, value: string, note = '') =>
  `  ${label.padEnd(34)} ${value.padStart(18)}${note === '' ? '' : `  ${note}`}`;

const evidenceNames: Readonly<Record<Evidence, string>> = {
  'official-code': 'as its official code counts',
  'authors-code': "as its authors' code counts",
  published: 'by a published count',
  'by-rule': 'by rule',
  'by-keys': 'by its keys',
};

/** How a count is made, and what it rests on. */
const counted = ({ exact: isExact, restsOn }: Estimate['parameters']): string =>
  `${isExact ? 'exact' : 'approximate'}, ${evidenceNames[restsOn]}`;

/** Everything of one config, for a terminal. */
function textReport(path: string, side: Side): string {
  const { estimate, reading } = side;
  const name = plain(path, 120);
  if (estimate === undefined) return [rule, name, rule, ...problems(side), ''].join('\n');
  const family = reading.kind === 'read' ? plain(reading.family, 60) : '';
  return [
    rule,
    `${name}  (${family}, ${counted(estimate.parameters)})`,
    rule,
    ...gist(estimate).map(({ question, answer }) => `  ${question.padEnd(22)} ${plain(answer, 500)}`),
    '',
    ...parameterLines(estimate),
    ...flopLines(estimate),
    ...layerLines(estimate),
    ...growthLines(estimate),
    ...memoryLines(estimate),
    ...timeLines(estimate),
    ...inferenceLines(estimate),
    ...noteLines(side, estimate),
    'Sources',
    ...sources.map((source) => `  ${source}`),
    '',
  ].join('\n');
}

/** Where a report has more configs, each is a line of the table and no more. */
const mostWhole = 10;

/** Configs for a terminal: a table where there are several, and everything of each where they are few. */
export function textReports(comparisons: readonly Comparison[]): string {
  const table = comparisons.length > 1 ? [...configLines(comparisons), ''] : [];
  const read = comparisons.flatMap(({ path, head }) => (head?.estimate === undefined ? [] : [{ path, head }]));
  if (read.length <= mostWhole) return [...table, ...read.map(({ path, head }) => textReport(path, head))].join('\n');
  return [
    ...table,
    'note: Of so many configs each is one line here; report CONFIG shows all of one, --format json all of each.',
    '',
  ].join('\n');
}

function configLines(comparisons: readonly Comparison[]): readonly string[] {
  const shown = metrics.filter((metric) => metric.shown);
  const rows = comparisons.map(({ path, head }) => {
    const { estimate } = head ?? {};
    if (estimate === undefined) return [plain(path, 120), 'could not be read', ...shown.slice(1).map(() => '')];
    const cells = shown.map(({ take, unit }) => {
      const value = take(estimate);
      return value === undefined ? 'unknown' : quantity(value, unit);
    });
    return [`${plain(path, 120)}${estimate.parameters.exact ? '' : ' (approximate)'}`, ...cells];
  });
  return aligned([['Config', ...shown.map(({ label }) => label)], ...rows]);
}

function parameterLines({ parameters, routing }: Estimate): string[] {
  const rate = parameters.active / parameters.total;
  const components = Object.entries(parameters.components.lines).map(([name, amount]) =>
    line(name.replaceAll('_', ' '), exact(amount), percent(amount / parameters.total)),
  );
  return [
    'Parameters',
    line('total', exact(parameters.total), `(${billions(parameters.total)})`),
    ...(parameters.active === parameters.total
      ? []
      : [
          line(
            'active for a token',
            exact(parameters.active),
            `(${billions(parameters.active)}, ${percent(rate)} of total)`,
          ),
          line('  without the input table', exact(parameters.activeWithoutEmbedding)),
          line('  without both embeddings', exact(parameters.activeWithoutEmbeddings)),
        ]),
    ...(routing === undefined
      ? []
      : [line('active experts', `${routing.active} of ${routing.experts}`, percent(routing.active / routing.experts))]),
    ...(parameters.mtp === 0 ? [] : [line('multi-token prediction (apart)', exact(parameters.mtp))]),
    ...(parameters.trainable === parameters.total
      ? []
      : [line('trained', exact(parameters.trainable), percent(parameters.trainable / parameters.total, 3))]),
    ...components,
    line('checkpoint', amountOfBytes(parameters.checkpoint)),
    '',
  ];
}

function flopLines({ flops, run }: Estimate): string[] {
  const pass = flops.forward.total * flops.sequenceLength * sequencesAtOnce(run.run);
  const conventions = (Object.keys(conventionNames) as FlopConvention[]).map((key) =>
    line(`  ${conventionNames[key]}`, flopsText(flops.conventions[key])),
  );
  return [
    `FLOPs (sequence of ${exact(flops.sequenceLength)} tokens)`,
    line(
      'forward pass',
      flopsText(pass),
      `micro-batch of ${sequencesAtOnce(run.run)} x ${exact(flops.sequenceLength)} tokens`,
    ),
    line('forward per token', flopsText(flops.forward.total)),
    line('training per token', flopsText(flops.training)),
    ...(flops.hardware === flops.training ? [] : [line('executed per token (recompute)', flopsText(flops.hardware))]),
    line(`training, ${billions(run.run.tokens)} tokens`, flopsText(flops.budget)),
    '  training per token, by convention',
    ...conventions,
    '  forward per token, by component',
    ...Object.entries(flops.forward.lines).map(([name, amount]) =>
      line(`  ${name.replaceAll('_', ' ')}`, flopsText(amount), percent(amount / flops.forward.total)),
    ),
    '',
  ];
}

function layerLines({ flops }: Estimate): string[] {
  return flops.layers.flatMap((layer) => {
    const all = layer.attention + layer.feedForward + layer.router + layer.other;
    const share = (amount: number) => (all === 0 ? '' : percent(amount / all));
    return [
      `Layer "${plain(layer.name, 60)}" (${layer.count} of them), forward FLOPs per token`,
      line('attention', flopsText(layer.attention), share(layer.attention)),
      line('feed-forward', flopsText(layer.feedForward), share(layer.feedForward)),
      ...(layer.router === 0 ? [] : [line('router', flopsText(layer.router), share(layer.router))]),
      ...(layer.feedForward === 0
        ? []
        : [line('attention / feed-forward', `${(layer.attention / layer.feedForward).toFixed(2)} : 1`)]),
      '',
    ];
  });
}

function growthLines({ flops }: Estimate): string[] {
  return [
    "How attention's cost grows with the sequence (forward FLOPs per token)",
    ...flops.growth.map(({ sequenceLength, attention, total }) =>
      line(
        `${exact(sequenceLength)} tokens`,
        flopsText(total),
        `attention scores ${percent(attention / total)}; ${flopsText(total * sequenceLength)} for the sequence`,
      ),
    ),
    '',
  ];
}

function memoryLines({ memory, run }: Estimate): string[] {
  const share =
    memory.capacity === null ? '' : `${percent(memory.device / memory.capacity)} of ${gib(memory.capacity)} usable`;
  return [
    `Memory of the fullest GPU (${plain(run.run.accelerator, 40)}, ${run.run.gpus} GPUs, ${run.run.framework})`,
    ...Object.entries(memory.components).map(([name, amount]) =>
      line(name.replaceAll('_', ' '), gib(amount), percent(amount / memory.allocated)),
    ),
    line(
      'peak, allocated',
      gib(memory.allocated),
      `at the ${memory.phase}${memory.stage === 0 ? '' : `, pipeline stage ${memory.stage + 1}`}`,
    ),
    line('peak, reserved', gib(memory.reserved)),
    line('peak, device', gib(memory.device), share),
    `  expect ±${percent(memory.band, 0)}: ${memory.basis}`,
    ...(memory.roles === undefined ? [] : [`  ${rolesLine(memory.roles)}`]),
    ...(memory.savings.length === 0
      ? []
      : [
          '  Where memory could be saved',
          ...memory.savings.map(({ change, saves }) => line(`  ${change}`, `-${gib(saves)}`)),
        ]),
    '',
  ];
}

function timeLines({ throughput, run }: Estimate): string[] {
  const { mfu, hfu, range, stepTime, tokensPerSecondPerGpu, training } = throughput;
  if (mfu === null || hfu === null || range === null || stepTime === null || tokensPerSecondPerGpu === null)
    return ['Throughput', `  ${throughput.limit}`, ''];
  const times = Math.exp(throughput.band);
  return [
    'Throughput (projected)',
    line('MFU', percent(mfu), `${percent(range[0])} to ${percent(range[1])}; ${throughput.basis}`),
    line('HFU', percent(hfu)),
    line(
      'tokens per second and GPU',
      exact(Math.round(tokensPerSecondPerGpu)),
      `give or take a factor of ${times.toFixed(2)}, as all times and costs below`,
    ),
    line('tokens per second', exact(Math.round(tokensPerSecondPerGpu * run.run.gpus))),
    line('step time', duration(stepTime), `${exact(run.run.globalBatchSize)} sequences`),
    ...Object.entries(throughput.parts)
      .filter(([, amount]) => amount > 0)
      .map(([name, amount]) => line(`  ${name.replaceAll('_', ' ')}`, duration(amount), percent(amount / stepTime))),
    `  ${throughput.limit}`,
    ...(training === null
      ? []
      : [
          line(
            `${billions(run.run.tokens)} tokens take`,
            duration(training.time),
            `${exact(Math.round(training.gpuHours))} GPU hours`,
          ),
          ...(training.energyKilowattHours === null
            ? []
            : [line('energy (GPUs at full power)', `${exact(Math.round(training.energyKilowattHours))} kWh`)]),
          ...(training.costUsd === null
            ? []
            : [
                line(
                  'cost',
                  dollars(training.costUsd),
                  `at ${dollars(training.pricePerGpuHour ?? 0)} per GPU hour, ${training.priceDate === null ? 'as stated' : `indicative, ${training.priceDate}`}`,
                ),
              ]),
        ]),
    '',
  ];
}

function inferenceLines({ inference, flops }: Estimate): string[] {
  return [
    'Inference (16-bit cache)',
    line('cache per token', amountOfBytes(inference.cachePerToken)),
    line(`cache of ${exact(flops.sequenceLength)} tokens`, amountOfBytes(inference.cachePerSequence)),
    line('weights as stored', amountOfBytes(inference.weights)),
    line(
      'largest batch',
      inference.largestBatch === null ? 'unknown' : exact(inference.largestBatch),
      'sequences beside the weights on one tensor-parallel group',
    ),
    '',
  ];
}

function noteLines(side: Side, estimate: Estimate): string[] {
  const assumed = estimate.assumptions.map(
    ({ field, value, reason }) => `  ${plain(field, 80)} = ${plain(value, 60)}: ${plain(reason)}`,
  );
  return [...(assumed.length === 0 ? [] : ['Assumptions', ...assumed, '']), ...problems(side)];
}

function problems(side: Side): string[] {
  const all = [...side.reading.problems, ...(side.estimate?.problems ?? [])];
  if (all.length === 0) return [];
  return [
    'Problems',
    ...all.map(
      ({ severity, message, line: at }) => `  ${severity}${at === undefined ? '' : ` (line ${at})`}: ${plain(message)}`,
    ),
    '',
  ];
}

/** A comparison for a terminal. */
export const textDiff = (review: Review): string =>
  [...review.comparisons.flatMap(comparisonLines), ...review.notes.map(noteText), textFindings(review)].join('\n');

/** A sentence about the run as a whole. */
export const noteText = (note: string): string => `note: ${plain(note, 500)}`;

/** The verdict, and what it rests on. */
export function textFindings({ comparisons, verdict, settings }: Review): string {
  const findings = verdict.findings.map((finding) => {
    const { severity, path, line: at, message } = finding;
    const { before, after, limit } = amountsOf(finding);
    const move = [before, after].filter((one) => one !== undefined).join(' -> ');
    const bound = limit === undefined ? '' : `, limit ${limit}`;
    const place = at === undefined ? '' : `:${at}`;
    return `${severity.toUpperCase().padEnd(6)} ${plain(path, 120)}${place}: ${plain(message)}${move === '' ? '' : `  (${move}${bound})`}${finding.waiver === undefined ? '' : `  ${plain(waiverText(finding))}`}`;
  });
  const policy = settings.find(({ name }) => name === 'policy')?.value;
  const by = policy === undefined ? '' : ` (by ${plain(policy, 120)})`;
  const advice = comparisons.flatMap(({ path, advice: one }) =>
    one === undefined ? [] : [`advice ${plain(path, 120)}: ${plain(adviceText(one))}`],
  );
  return [...findings, ...advice, `verdict: ${verdict.outcome}${by}`, ''].join('\n');
}

function comparisonLines(comparison: Comparison): string[] {
  const renamed = comparison.previousPath === undefined ? '' : ` (was ${plain(comparison.previousPath, 120)})`;
  const rows = metrics.flatMap(({ id, label, unit }) => {
    const change = comparison.changes.find(({ metric }) => metric === id);
    if (change?.before === undefined && change?.after === undefined) return [];
    const { before, after } = change;
    const moved = before === undefined || after === undefined ? '' : (difference(before, after, unit) ?? 'unchanged');
    return [
      `  ${label.padEnd(28)} ${(before === undefined ? '' : quantity(before, unit)).padStart(18)} ${(after === undefined ? '' : quantity(after, unit)).padStart(18)}  ${moved}`,
    ];
  });
  return [
    `${plain(comparison.path, 120)}${renamed}: ${comparison.status}${comparison.status !== 'unreadable' && isApproximate(comparison) ? ' (approximate)' : ''}`,
    ...runLines(comparison),
    ...rows,
    ...changeLines(comparison),
    ...movedLines(comparison, 'parameters'),
    ...movedLines(comparison, 'flops'),
    ...warningLines(comparison.head),
    '',
  ];
}

const isApproximate = ({ base, head }: Comparison): boolean =>
  [base, head].some((side) => side?.estimate?.parameters.exact === false);

/** The parts that moved most, of parameters or of FLOPs. */
function movedLines({ parts }: Comparison, quantity: Comparison['parts'][number]['quantity']): readonly string[] {
  const all = parts.filter((part) => part.quantity === quantity);
  const written = quantity === 'flops' ? flopsText : exact;
  const lines = all.slice(0, mostParts).map(({ part, before, after }) => {
    const moved = `${after < before ? '-' : '+'}${written(Math.abs(after - before))}`;
    return `    ${plain(part, 60).padEnd(36)} ${moved.padStart(20)}  ${written(before)} -> ${written(after)}`;
  });
  if (lines.length === 0) return [];
  const title = quantity === 'flops' ? '  where FLOPs per token moved' : '  where parameters moved';
  return [title, ...lines, ...(all.length > mostParts ? [`    and ${all.length - mostParts} more`] : [])];
}

const mostParts = 12;

/** What is odd about the new side, each once. */
function warningLines(side: Side | undefined): readonly string[] {
  if (side?.estimate === undefined) return [];
  const lines = new Set(
    [...side.reading.problems, ...side.estimate.problems].map(
      ({ severity, message, line: at }) => `  ${severity}${at === undefined ? '' : ` (line ${at})`}: ${plain(message)}`,
    ),
  );
  return [...lines]
    .slice(0, mostFields)
    .concat(lines.size > mostFields ? [`  and ${lines.size - mostFields} more`] : []);
}

/** The run of each side, once where it is the same. */
function runLines({ base, head }: Comparison): readonly string[] {
  const [before, after] = [base, head].map((side) => side?.estimate && runLine(side.estimate.run.run));
  if (before === undefined || after === undefined || before === after) {
    const line = after ?? before;
    return line === undefined ? [] : [`  run    ${line}`];
  }
  return [`  before ${before}`, `  after  ${after}`];
}

const mostFields = 20;

/** What was changed, and what each change moved. */
function changeLines(comparison: Comparison): readonly string[] {
  const moved = movedBy(comparison);
  if (moved === undefined) return [];
  const { columns, rows, idle, note } = moved;
  const heading = rows.length === 0 ? [] : [changeLine('what changed, and what it moved', columns, '  ')];
  return [
    ...heading,
    ...rows.map(({ fields, parts }) =>
      changeLine(fields.slice(0, mostTogether).map(fieldText).join('; ') + more(fields.length), parts),
    ),
    ...(note === '' ? [] : [`    (${plain(note)})`]),
    ...(idle.length === 0 ? [] : [rows.length === 0 ? '  what changed' : '  changed, and moves none of this']),
    ...idle.slice(0, mostFields).map((field) => `    ${fieldText(field)}`),
    ...(idle.length > mostFields ? [`    and ${idle.length - mostFields} more`] : []),
  ];
}

/** Fields that are named where they share a part. */
const mostTogether = 6;
const more = (count: number) => (count > mostTogether ? ` and ${count - mostTogether} more` : '');

const changeLine = (label: string, parts: readonly string[], indent = '    '): string =>
  `${`${indent}${label}`.padEnd(50)} ${parts.map((part) => part.padStart(16)).join(' ')}`.trimEnd();

function fieldText({ path, before, after, writtenAs }: SetField): string {
  const written = (value: string | undefined) => (value === undefined ? 'absent' : plain(value, 60));
  const own = writtenAs === undefined ? '' : ` (${plain(writtenAs, 60)})`;
  return `${plain(path, 60)}${own} ${written(before)} -> ${written(after)}`;
}
