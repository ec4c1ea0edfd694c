import type {
  Architecture,
  Layer,
  LinearPart,
  Norm,
  Output,
  Part,
  ResidualStreams,
  SharedBlock,
  Tower,
} from '../../model/architecture.ts';
import { isExact, restsOn } from '../../model/evidence.ts';
import { freezableOf } from '../../model/freezable.ts';
import { given } from '../../model/given.ts';
import { blockOf, type Operation, type Operations, type Tensor, type TowerOperations } from '../../model/operation.ts';
import { attention } from './attention.ts';
import { compressed } from './compressed.ts';
import { dense, experts } from './feed-forward.ts';
import { latent } from './latent.ts';
import { activate, type Block, linear, normalize, read, tensor } from './pieces.ts';
import { recurrence } from './recurrence.ts';

/**
 * A model written out as the operations that a token meets: THE file to read. Whatever is held, computed, kept or moved is
 * said here once, so it cannot be in the parameters and forgotten in the FLOPs or the memory.
 *
 * A part of a layer becomes operations in `part`, and the files beside this one write the larger ones: attention, feed-forward, recurrence. Each is
 * a generator: it yields operations in order, and returns the tensor that comes out.
 *
 * Letters: D width of the residual stream, H heads, K key/value heads, d head width, F feed-forward width, E experts,
 * k active experts, V vocabulary.
 */
export function expand(architecture: Architecture): Operations {
  const { hiddenSize: D } = architecture;
  return {
    embedding: [...write(architecture.embedding, D)],
    layers: architecture.layers.map((layer: Layer) => ({
      name: layer.name,
      operations: [...write(layer.parts, D, layer.parallel)].map((one) => ({ ...one, path: `layers.${one.path}` })),
    })),
    order: architecture.order,
    head: [...write(architecture.head, D)],
    prediction: [...write(architecture.prediction, D)].map((one) => ({
      ...one,
      path: `prediction.${one.path}`,
      component: 'prediction',
      block: blockOf(one),
    })),
    predictionDepth: architecture.predictionDepth,
    towers: architecture.towers.map(tower),
    ...given({
      generates: architecture.generates,
      approximate: isExact(architecture) ? undefined : restsOn(architecture),
    }),
  };
}

/** An encoder, or what joins it to the text: the parameters that it holds, and the operations of its stages. */
const tower = ({ name, parameters, computes }: Tower): TowerOperations => ({
  kind: 'vector',
  path: `towers.${name}`,
  component: 'towers',
  freezable: freezableOf(name),
  elements: parameters,
  flopsPerToken: 0,
  ...(computes === undefined
    ? {}
    : {
        computes: {
          reads: computes.reads,
          stages: computes.stages.map(({ parts, ...stage }) => ({
            ...stage,
            operations: [...write(parts, stage.width)].map((one) => ({
              ...one,
              path: `towers.${name}.${one.path}`,
              component: 'towers' as const,
              block: blockOf(one),
              heldElsewhere: true,
            })),
          })),
        },
      }),
});

/** Where the data stands between two parts of one list. */
type Flow = {
  /** D */
  readonly width: number;
  /** Branches read the same residual and are added together. */
  readonly parallel: boolean;
  readonly residual: Tensor;
  /** What the next block reads: the residual, or its norm. */
  readonly stream: Tensor;
  /** A block's result that was not yet added to the residual. */
  readonly pending?: Tensor | undefined;
  /** The last tensor of a mixer that is written as single parts (projections, scan, projection). */
  readonly inner?: Tensor | undefined;
  /** The sum of several residual streams that the next block reads. */
  readonly joined?: Tensor | undefined;
  readonly additions: number;
};

type Step = Generator<Operation, Flow>;

function* write(parts: readonly Part[], D: number, parallel = false): Generator<Operation> {
  const x = { ...tensor('x', D, 'residual'), stream: 'input' } as const;
  let flow: Flow = { width: D, parallel, residual: x, stream: x, additions: 0 };
  for (const one of parts) flow = yield* part(one, flow);
  yield* addPending(flow);
}

function* part(one: Part, flow: Flow): Step {
  const { width, stream } = flow;
  switch (one.kind) {
    case 'norm':
      return yield* blockNorm(one, flow);
    case 'attention':
      return yield* block((stream) => attention(one, stream), flow);
    case 'latent':
      return yield* block((stream) => latent(one, stream), flow);
    case 'compressed':
      return yield* block((stream) => compressed(one, stream), flow);
    case 'dense':
      return yield* block((stream) => dense(one, stream), flow);
    case 'experts':
      return yield* block((stream) => experts(one, stream, width), flow);
    case 'state_space':
      return { ...flow, inner: yield* recurrence(one, flow.inner ?? stream) };
    case 'shared':
      return yield* shared(one, flow);
    case 'linear':
      return yield* single(one, flow);
    case 'activation': {
      if (flow.inner === undefined && flow.pending !== undefined) {
        const output = tensor(`${one.path}_out`, one.width, 'residual');
        const pending = yield* activate(one.path, 'other', one, { up: flow.pending, gate: undefined, output });
        return { ...flow, pending };
      }
      const up = flow.inner ?? read(stream, one.width);
      const output = tensor(`${one.path}_out`, one.width, 'tensor');
      const inner = yield* activate(one.path, 'other', one, { up, gate: undefined, output });
      return { ...flow, inner, pending: undefined };
    }
    case 'vector':
      yield { ...one, flopsPerToken: one.flopsPerToken ?? 0 };
      return flow;
    case 'table':
      yield {
        ...one,
        component: 'embedding',
        output: tensor(one.path, one.columns * one.used, 'residual'),
      };
      return flow;
    case 'streams':
      return yield* streams(one, flow);
    case 'output':
      yield* output(one, stream);
      return flow;
  }
}

/** Logits over the vocabulary and their loss. */
function* output({ rows, columns, bias, tied, softcapped }: Output, input: Tensor): Generator<Operation> {
  const common = { path: 'output', component: 'output', role: 'unembedding' } as const;
  const logits = yield* linear({
    ...common,
    rows,
    columns,
    bias,
    tied,
    input,
    output: tensor('logits', columns, 'tensor'),
  });
  const vocabulary = columns;
  yield { kind: 'loss', path: 'loss', component: 'output', vocabulary, input: logits, ...given({ softcapped }) };
}

/** A block's result waits to be added, since a norm may stand between. Parallel branches end in one sum. */
function* block(make: (stream: Tensor) => Block, flow: Flow): Step {
  if (!flow.parallel) {
    const added = yield* addPending(flow);
    return { ...added, pending: yield* make(added.stream) };
  }
  const pending = yield* make(flow.stream);
  if (flow.pending) yield { kind: 'add', path: 'residual', component: 'other', output: flow.pending };
  return { ...flow, pending };
}

function* addPending(flow: Flow): Step {
  if (!flow.pending) return flow;
  const additions = flow.additions + 1;
  const name = `residual_${additions}`;
  const residual = { ...tensor(name, flow.residual.elements, 'residual'), stream: 'sum' } as const;
  yield { kind: 'add', path: 'residual', component: 'other', output: residual };
  // A block without a norm in front of it reads the residual itself.
  const stream = flow.stream === flow.residual ? residual : flow.stream;
  return { ...flow, pending: undefined, additions, residual, stream };
}

/** A norm in front of a block reads the residual; one behind it reads what the block gives back. */
function* blockNorm(norm: Norm, flow: Flow): Step {
  const { path, width } = norm;
  if (norm.place === 'output' && flow.pending) {
    return { ...flow, pending: yield* normalize(path, flow.pending, width, norm) };
  }
  const elements = width * (norm.repeat ?? 1);
  if (elements !== flow.width && flow.inner) {
    return { ...flow, inner: yield* normalize(path, { ...flow.inner, elements }, width, norm) };
  }
  const added = flow.parallel ? flow : yield* addPending(flow);
  // A norm wider than the stream reads it beside another tensor (Zamba: the embeddings).
  const wider = norm.repeat === undefined && width > flow.width;
  const input = wider ? tensor(`${path}_in`, width, 'residual') : (added.joined ?? added.residual);
  return { ...added, inner: undefined, joined: undefined, stream: yield* normalize(path, input, width, norm) };
}

/** A block whose weights an earlier layer may hold: it computes all the same. */
function* shared(block: SharedBlock, flow: Flow): Step {
  let inside = flow;
  for (const one of block.parts) {
    const operations = part(one, inside);
    let next = operations.next();
    for (; !next.done; next = operations.next())
      yield block.holds ? next.value : { ...next.value, heldElsewhere: true };
    inside = next.value;
  }
  return inside;
}

/** n streams of D: matrices read them all and say how they are summed, and how the result is written back. */
function* streams({ path, streams: n, back, rank }: ResidualStreams, flow: Flow): Step {
  const { width: D } = flow;
  const added = yield* addPending(flow);
  const residual = { ...added.residual, elements: n * D };
  const joined = tensor(`${path}_sum`, D, 'residual');
  const common = { component: 'other', sharding: 'replicated' } as const;
  if (rank === undefined) {
    // Hyper-connections: n weights to read, n to write, n x n to mix; a bias for each and a scale for each kind.
    const columns = n + (back === 'joined' ? 0 : n) + (back === 'mixed' ? n * n : 0);
    const output = tensor(path, columns, 'residual');
    yield* linear({ ...common, path, rows: n * D, columns, bias: true, input: residual, output });
    const elements = { joined: 1, added: 2, mixed: 3 }[back];
    const flopsPerToken = back === 'mixed' ? 2 * n * n * D : 0;
    yield { kind: 'vector', component: 'other', path: `${path}_scale`, elements, flopsPerToken };
    return { ...added, residual, joined, stream: joined };
  }
  const norm = { kind: 'norm', path, width: n * D, style: 'rms', weight: true, bias: false } as const;
  const input = yield* normalize(`${path}_norm`, residual, n * D, norm);
  const of = (name: string, from: Tensor, columns: number) =>
    linear({
      ...common,
      path: `${path}_${name}`,
      rows: from.elements,
      columns,
      bias: false,
      input: from,
      output: tensor(`${path}_${name}`, columns, 'residual'),
    });
  yield* of('up', yield* of('down', input, rank), n * D);
  if (back !== 'joined') yield* of('inject', input, n);
  return { ...added, residual, joined, stream: joined };
}

/** A matrix of a mixer that is written part by part: reads the stream until something stands between. */
function* single({ reads, ...one }: LinearPart, flow: Flow): Step {
  const { stream, inner, width } = flow;
  if (reads === 'stream') {
    const output = tensor(one.path, one.columns, 'tensor');
    return { ...flow, inner: yield* linear({ ...one, input: read(stream, one.rows), output }) };
  }
  const fromStream = one.rows === stream.elements && inner?.region !== 'tensor';
  const onResidual = one.columns === width;
  const output = tensor(one.path, one.columns, onResidual ? 'residual' : 'tensor');
  const result = yield* linear({ ...one, input: fromStream ? stream : (inner ?? stream), output });
  return { ...flow, inner: result, pending: onResidual ? result : flow.pending };
}
