import type { AttentionCore, Normalize, Operation, Tensor } from '../../model/operation.ts';
import { isTarget } from '../count/lora.ts';
import { tokensOf } from '../placement.ts';
import { elementBytes, executionOf, isLayerNorm, type Saved, tensorBytes, writesScores } from './activations.ts';
import { readsOf } from './backward.ts';
import { type Kept, type Pass, readsWide } from './pass.ts';
import { streamBytes } from './recompute.ts';
import { tensorOf } from './tensors.ts';

/** `keeps` what the backward pass reads, `drops` it because it is made again, or makes it `again`, and no more than that. */
type Mode = 'keeps' | 'drops' | 'again';

type Result = Kept & {
  readonly output: number;
  readonly casts: readonly number[];
};

/** A tensor that is there, and how long: to its last reader, to the end of the block that reads it, or to a sum. */
type There = { readonly block: number; readonly until: 'read' | 'block' | 'sum' };

/** Writes the forward pass of a list of operations. */
export function forwardTrack(pass: Pass, mode: Mode): Result {
  const walk = new Walk(pass, mode);
  for (const [index, operation] of pass.list.entries()) {
    if (mode === 'again' && walk.isComplete()) break;
    walk.go(operation, index);
  }
  walk.finish();
  return walk;
}

class Walk implements Result {
  output: number;
  readonly blocks = new Map<Operation, number[]>();
  readonly named = new Map<string, number>();
  readonly casts: number[] = [];
  private stream = 'x';
  /** what attention reads, which its code names to its end */
  private readonly attended: ReadonlySet<string>;
  /** what passes of operations that have begun before their turn */
  private readonly passing = new Map<Operation, number[]>();
  /** what one product gives that was not made yet */
  private views: Tensor[] = [];
  private left: number;
  private readonly there = new Map<string, There>();
  private readonly savedNames: ReadonlyMap<string, Saved>;
  private readonly lastReader = new Map<string, number>();
  private readonly pass: Pass;
  private readonly mode: Mode;

  constructor(pass: Pass, mode: Mode) {
    this.pass = pass;
    this.mode = mode;
    this.savedNames = new Map(pass.saved.flatMap((one) => (one.tensor ? [[one.tensor.name, one] as const] : [])));
    for (const [index, operation] of pass.list.entries())
      for (const { name } of readsOf(operation)) this.lastReader.set(name, index);
    const cores = pass.list.filter((one) => one.kind === 'attention');
    this.attended = new Set(cores.flatMap(readsOf).map(({ name }) => name));
    this.output = pass.input;
    this.left = pass.saved.length - Number(this.savedNames.has('x'));
    this.there.set('x', { block: pass.input, until: pass.residual ? 'sum' : 'read' });
  }

  /** All that the backward pass reads is there. */
  isComplete(): boolean {
    return this.left <= 0;
  }

  go(operation: Operation, index: number): void {
    const { recorder, list } = this.pass;
    this.cast(operation);
    const passing = this.passing.get(operation) ?? [...this.ownOf(operation), ...this.stepsOf(operation)];
    if (operation.kind === 'rope') passing.push(...this.rotate(operation.query), ...this.rotate(operation.key));
    if ('output' in operation) this.result(operation, list[index + 1]);
    if (operation.kind === 'linear') recorder.product();
    recorder.free(...passing);
    this.sweep(operation, index);
    this.activate(operation, list[index + 1], list[index + 2]);
  }

  /** The gate of two matrices is activated before the other is multiplied with. */
  private activate(gate: Operation, up: Operation | undefined, activation: Operation | undefined): void {
    if (gate.kind !== 'linear' || up?.kind !== 'linear' || activation?.kind !== 'activation') return;
    if (activation.gate?.name !== up.output.name || tensorOf(gate) !== undefined) return;
    this.passing.set(activation, [...this.ownOf(activation), ...this.stepsOf(activation)]);
    const there = this.there.get(gate.output.name);
    if (there !== undefined && !this.isKept(gate.output.name)) this.drop(gate.output.name, there.block);
  }

  /** What is saved waits for its operation; all else goes, but for the result, and for the input, which the caller holds. */
  finish(): void {
    const waiting = new Map<number, Operation>();
    for (const [name, { block }] of this.there) {
      const by = this.isKept(name) ? this.savedNames.get(name)?.by : undefined;
      if (by === undefined) continue;
      waiting.set(block, this.earlier(waiting.get(block), by));
      this.named.set(name, block);
    }
    for (const [name, { block }] of this.there) {
      const stays = name === 'x' || (block === this.output && this.mode !== 'again');
      if (!stays && !waiting.has(block)) this.drop(name, block);
    }
    for (const [block, by] of waiting) this.keep(by, block);
  }

  /** Of two operations that read a tensor in the backward pass, the one that does so last. */
  private earlier(one: Operation | undefined, other: Operation): Operation {
    const { list } = this.pass;
    return one !== undefined && list.indexOf(one) < list.indexOf(other) ? one : other;
  }

  /** Takes back a tensor, unless it is a view of one that is still there. */
  private drop(name: string, block: number): void {
    this.there.delete(name);
    if (![...this.there.values()].some((other) => other.block === block)) this.pass.recorder.free(block);
  }

  private keep(by: Operation, block: number): void {
    this.blocks.set(by, [...(this.blocks.get(by) ?? []), block]);
  }

  private isKept(name: string): boolean {
    return this.mode !== 'drops' && this.savedNames.has(name);
  }

  /** Autocast's copy of a weight stays as long as its own cache, or to the backward pass that reads it. */
  private cast(operation: Operation): void {
    const { cast } = this.pass.weightBytes(operation);
    if (cast === 0) return;
    const block = this.pass.recorder.make(cast);
    if (this.mode === 'drops') this.casts.push(block);
    else this.keep(operation, block);
  }

  /** What an operation saves of its own. @returns what passes instead, where it is made again later */
  private ownOf(operation: Operation): readonly number[] {
    if (operation.kind === 'norm' && this.isWrittenOut(operation)) return this.normOf(operation);
    const passing: number[] = [];
    for (const one of this.pass.saved) {
      if (one.by !== operation || one.tensor !== undefined) continue;
      this.left -= 1;
      for (const bytes of this.blocksOf(one)) {
        const block = this.pass.recorder.make(bytes);
        // Each step of a function that is written out needs the one before alone.
        if (operation.kind === 'activation' && this.mode === 'drops') this.pass.recorder.free(passing.pop());
        if (this.mode === 'drops') passing.push(block);
        else this.keep(operation, block);
      }
    }
    return passing;
  }

  private isWrittenOut({ style }: Normalize): boolean {
    return executionOf(this.pass.run).normsWrittenOut && style === 'rms';
  }

  /** RMSNorm in elementary operations: x in fp32, its square, x over its root, and that in 16 bits or times the weight. */
  private normOf(norm: Normalize): readonly number[] {
    const { recorder, saved, run } = this.pass;
    const own = saved.filter(({ by, tensor }) => by === norm && tensor === undefined);
    this.left -= own.length;
    const passing: number[] = [];
    const step = (what: string, bytes: number) => {
      const block = recorder.make(bytes);
      if (this.mode !== 'drops' && own.some((one) => one.what === what)) this.keep(norm, block);
      else passing.push(block);
    };
    const wide = tensorBytes(norm.input, 4, tokensOf(run), 1);
    const fp32 = readsWide(norm, run);
    if (!fp32) step('fp32 copy', wide);
    recorder.free(recorder.make(wide));
    const late = norm.upcast === 'weight' || fp32;
    step(late ? 'normalised' : 'quotient', wide);
    // The model's own code gives the name of x to its quotient.
    if (!fp32 && this.mode === 'drops') recorder.free(passing.shift());
    if (norm.upcast === 'weight') step('product', wide);
    else if (!fp32) step('normalised', wide / 2);
    return passing;
  }

  /** Scores are kept in fp32 and 16 bits, steps of a written-out function one by one. */
  private blocksOf({ bytes, by }: Saved): readonly number[] {
    const { run } = this.pass;
    if (by.kind === 'attention' && writesScores(by, run)) {
      const each = scores(by, this.pass);
      return pieces(bytes, [4 * each, 2 * each, 2 * each, 2 * each]);
    }
    if (by.kind !== 'activation') return [bytes];
    const unit = by.input.elements * tokensOf(run).tensor * (this.widens(by) ? 4 : elementBytes(run));
    return pieces(
      bytes,
      Array.from({ length: Math.floor(bytes / unit) }, () => unit),
    );
  }

  private widens({ function: name }: Extract<Operation, { kind: 'activation' }>): boolean {
    return name === 'gelu_new' && executionOf(this.pass.run).widens;
  }

  /** Steps between what an operation reads and what it gives, as far as they are large. @returns what is there until it has given that */
  private stepsOf(operation: Operation): readonly number[] {
    const { recorder, run } = this.pass;
    switch (operation.kind) {
      case 'attention':
        return writesScores(operation, run) ? [recorder.make(elementBytes(run) * scores(operation, this.pass))] : [];
      case 'activation':
        if (operation.function === 'relu2') return [recorder.make(this.sizeOf(operation.input, elementBytes(run)))];
        return this.widens(operation) ? [recorder.make(tensorBytes(operation.input, 4, tokensOf(run), 1))] : [];
      case 'linear': {
        // The base's product, the adapter's and the adapter's scaled, of which the sum is given.
        const bytes = this.sizeOf(operation.output, elementBytes(run));
        const adapted = run.lora !== undefined && isTarget(operation, run.lora);
        return adapted ? [recorder.make(bytes), recorder.make(bytes), recorder.make(bytes)] : [];
      }
      default:
        return [];
    }
  }

  /** x cos + rotate_half(x) sin, in fp32 under autocast. @returns x and what is wider, which go when queries and keys are both rotated */
  private rotate(tensor: Tensor): readonly number[] {
    const { recorder, run } = this.pass;
    const narrow = this.sizeOf(tensor, elementBytes(run));
    const bytes = executionOf(run).autocast ? 2 * narrow : narrow;
    const before = this.there.get(tensor.name);
    const cosine = recorder.make(bytes);
    const half = recorder.make(narrow / 2);
    const joined = recorder.make(narrow);
    recorder.free(half);
    const sine = recorder.make(bytes);
    recorder.free(joined);
    const sum = recorder.make(bytes);
    recorder.free(cosine, sine);
    const block = bytes > narrow ? recorder.make(narrow) : sum;
    this.there.set(tensor.name, { block, until: 'block' });
    if (block !== sum) this.there.set(`${tensor.name}, wide`, { block: sum, until: 'block' });
    const viewed = [...this.there.values()].some((other) => other.block === before?.block);
    return before === undefined || viewed ? [] : [before.block];
  }

  private result(operation: Extract<Operation, { readonly output: Tensor }>, next: Operation | undefined): void {
    const { output: tensor } = operation;
    if (this.savedNames.has(tensor.name)) this.left -= 1;
    const product = tensorOf(operation);
    if (product !== undefined) this.views.push(tensor);
    if (product !== undefined && product === tensorOf(next)) return;
    const { views } = this;
    this.views = [];
    const block = this.pass.recorder.make(this.bytesOf(operation, views));
    for (const { name } of views.length > 0 ? views : [tensor]) {
      const before = this.there.get(name);
      // The sum of parallel branches has the name of one.
      if (before !== undefined) this.drop(name, before.block);
      this.there.set(name, { block, until: this.untilOf(operation) });
    }
    this.output = block;
  }

  /** Of what an operation gives, and the others whose product is the same. */
  private bytesOf(operation: Extract<Operation, { readonly output: Tensor }>, views: readonly Tensor[]): number {
    const { run } = this.pass;
    if (views.length < 2) return this.sizeOf(operation.output, this.elementOf(operation));
    return views.reduce((sum, view) => sum + tensorBytes(view, elementBytes(run), tokensOf(run), 1), 0);
  }

  private untilOf(operation: Extract<Operation, { readonly output: Tensor }>): There['until'] {
    if (operation.kind === 'norm' || this.attended.has(operation.output.name)) return 'block';
    const waits = operation.kind === 'add' || !this.lastReader.has(operation.output.name);
    return waits && this.pass.residual ? 'sum' : 'read';
  }

  /** Bytes of an element of what an operation gives. */
  private elementOf(operation: Operation): number {
    const { run } = this.pass;
    if (operation.kind === 'add') return streamBytes(run);
    const { autocast, widens } = executionOf(run);
    return operation.kind === 'norm' && (autocast || (widens && isLayerNorm(operation))) ? 4 : elementBytes(run);
  }

  private sizeOf(tensor: Tensor, bytesEach: number): number {
    return this.savedNames.get(tensor.name)?.bytes ?? tensorBytes(tensor, bytesEach, tokensOf(this.pass.run), 1);
  }

  /** Takes back what nothing reads any more. */
  private sweep(operation: Operation, index: number): void {
    const gives = 'output' in operation ? operation.output : undefined;
    for (const [name, { block, until }] of this.there) {
      if (block === this.output || this.isKept(name) || (this.lastReader.get(name) ?? index) > index) continue;
      if (until === 'sum' && !(operation.kind === 'add' && this.isSummed(name, gives))) continue;
      if (until === 'block' && gives?.region !== 'residual') continue;
      if (name === 'x') continue;
      this.drop(name, block);
    }
    if (gives?.stream === 'sum') this.stream = gives.name;
  }

  /** The stream as it was goes with the next sum that is the stream; a block's result goes with any. */
  private isSummed(name: string, sum: Tensor | undefined): boolean {
    return name === this.stream ? sum?.stream === 'sum' : true;
  }
}

/** One for each pair of a query and a key, over all heads. */
const scores = ({ heads }: AttentionCore, { run }: Pass): number => heads * run.sequenceLength * tokensOf(run).tensor;

/** Of so many bytes, pieces of these sizes as far as they go, and the rest. */
function pieces(bytes: number, sizes: readonly number[]): readonly number[] {
  let left = bytes;
  const taken = sizes.filter((size) => {
    if (size > left) return false;
    left -= size;
    return true;
  });
  return left > 0 ? [...taken, left] : taken;
}
