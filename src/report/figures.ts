import type { Estimate, FlopConvention } from '../model/estimate.ts';
import { amountOfBytes, exact, flopsText, percent, shortCount } from './format.ts';
import { code, table } from './markdown.ts';
import { conventionNames, sources } from './sources.ts';

/** The figures that a full report has beyond a comment, each part under its title; foreign text is escaped. */
export function figures(estimate: Estimate): readonly { readonly title: string; readonly body: string }[] {
  return [
    { title: 'Parameters', body: parameters(estimate) },
    { title: 'FLOPs', body: flops(estimate) },
    { title: 'Training FLOPs per token, by convention', body: conventions(estimate) },
    { title: 'One layer of each kind, forward FLOPs per token', body: layers(estimate) },
    { title: "How attention's cost grows with the sequence", body: growth(estimate) },
    { title: 'Inference (16-bit cache)', body: inference(estimate) },
    { title: 'Sources', body: sources.map((line) => `- ${line.trim()}`).join('\n') },
  ];
}

type Row = readonly [label: string, value: string, note?: string];

/** Rows of a name, a figure and what it is of. */
const listed = (heading: string, rows: readonly Row[]): string =>
  table([[heading, 'Value', 'Share'], ...rows.map(([label, value, note = '']) => [label, value, note])], [1, 2]);

const named = (ledger: Readonly<Record<string, number>>, total: number, write: (amount: number) => string): Row[] =>
  Object.entries(ledger).map(([name, amount]) => [
    name.replaceAll('_', ' '),
    write(amount),
    total === 0 ? '' : percent(amount / total),
  ]);

function parameters({ parameters: count, routing }: Estimate): string {
  return listed('Parameters', [
    ['**Total**', exact(count.total)],
    ...named(count.components.lines, count.total, exact),
    ...(count.active === count.total
      ? []
      : [['Active for a token', exact(count.active), percent(count.active / count.total)] as Row]),
    ...(routing === undefined
      ? []
      : [
          [
            'Active experts',
            `${routing.active} of ${routing.experts}`,
            percent(routing.active / routing.experts),
          ] as Row,
        ]),
    ...(count.mtp === 0 ? [] : [['Multi-token prediction (apart)', exact(count.mtp)] as Row]),
    ...(count.trainable === count.total
      ? []
      : [['Trained', exact(count.trainable), percent(count.trainable / count.total, 3)] as Row]),
    ['Checkpoint', amountOfBytes(count.checkpoint)],
  ]);
}

function flops({ flops: count, run: { run } }: Estimate): string {
  const pass = count.forward.total * count.sequenceLength * run.microBatchSize;
  return listed('FLOPs', [
    [`Forward pass of ${exact(run.microBatchSize)} x ${exact(count.sequenceLength)} tokens`, flopsText(pass)],
    ['**Forward per token**', flopsText(count.forward.total)],
    ...named(count.forward.lines, count.forward.total, flopsText),
    ['Training per token', flopsText(count.training)],
    ...(count.hardware === count.training
      ? []
      : [['Executed per token, recompute included', flopsText(count.hardware)] as Row]),
    [`Training on ${shortCount(run.tokens)} tokens`, flopsText(count.budget)],
  ]);
}

const conventions = ({ flops: count }: Estimate): string =>
  table(
    [
      ['Convention', 'FLOPs'],
      ...(Object.keys(conventionNames) as FlopConvention[]).map((key) => [
        conventionNames[key],
        flopsText(count.conventions[key]),
      ]),
    ],
    [1],
  );

function layers({ flops: count }: Estimate): string {
  if (count.layers.length === 0) return '';
  const rows = count.layers.map((layer) => {
    const all = layer.attention + layer.feedForward + layer.router + layer.other;
    const part = (amount: number) => (amount === 0 ? '0' : `${flopsText(amount)} (${percent(amount / all)})`);
    return [
      code(layer.name, 60),
      exact(layer.count),
      part(layer.attention),
      part(layer.feedForward),
      part(layer.router),
      part(layer.other),
      layer.feedForward === 0 ? '–' : `${(layer.attention / layer.feedForward).toFixed(2)} : 1`,
    ];
  });
  const heading = ['Layer', 'Layers', 'Attention', 'Feed-forward', 'Router', 'Other', 'Attention / feed-forward'];
  return table([heading, ...rows], [1, 2, 3, 4, 5, 6]);
}

const growth = ({ flops: count }: Estimate): string =>
  count.growth.length === 0
    ? ''
    : table(
        [
          ['Tokens', 'Forward FLOPs per token', 'Attention scores', 'Forward FLOPs of the sequence'],
          ...count.growth.map(({ sequenceLength, attention, total }) => [
            exact(sequenceLength),
            flopsText(total),
            percent(attention / total),
            flopsText(total * sequenceLength),
          ]),
        ],
        [0, 1, 2, 3],
      );

const inference = ({ inference: of, flops: count }: Estimate): string =>
  table(
    [
      ['Inference', 'Value'],
      ['Cache per token', amountOfBytes(of.cachePerToken)],
      [`Cache of ${exact(count.sequenceLength)} tokens`, amountOfBytes(of.cachePerSequence)],
      ['Weights as stored', amountOfBytes(of.weights)],
      ['Largest batch beside the weights, sequences', of.largestBatch === null ? 'unknown' : exact(of.largestBatch)],
    ],
    [1],
  );
