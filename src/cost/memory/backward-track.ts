import type { Activate, Linear, Normalize, Operation, Tensor } from '../../model/operation.ts';
import { isTarget } from '../count/lora.ts';
import { tokensOf } from '../placement.ts';
import { elementBytes, executionOf, tensorBytes, writesScores } from './activations.ts';
import { inputGradients, workspace } from './backward.ts';
import { type Kept, type Pass, readsWide } from './pass.ts';
import { tensorOf } from './tensors.ts';

/** Writes the backward pass of a list of operations. */
export class BackwardTrack {
  inputGradient: number;
  readonly weightGradients: number[] = [];
  /** gradients of tensors that wait for the operation that made the tensor */
  private readonly waiting = new Map<string, number>();
  /** what rotary position turned, whose gradient is laid out anew */
  private readonly turned: ReadonlySet<string>;
  /** operations whose turn came before */
  private readonly done = new Set<Operation>();
  private inputGone = false;
  private readonly pass: Pass;
  private readonly outputGradient: number;

  constructor(pass: Pass, outputGradient: number) {
    this.pass = pass;
    this.outputGradient = outputGradient;
    this.inputGradient = outputGradient;
    const last = pass.list.at(-1);
    if (!pass.residual && last !== undefined && 'output' in last) this.waiting.set(last.output.name, outputGradient);
    const rotary = pass.list.filter((one) => one.kind === 'rope');
    this.turned = new Set(rotary.flatMap(({ query, key }) => [query.name, key.name]));
  }

  /** The gradient of the last sum comes before anything is made again. */
  begin(): void {
    const last = this.pass.list.length - 1;
    if (this.pass.list[last]?.kind === 'add') this.narrow(this.pass.list[last - 1]);
  }

  go(kept: Kept): void {
    const { list } = this.pass;
    for (const [index, operation] of [...list.entries()].toReversed()) {
      if (this.done.has(operation)) continue;
      this.join(index);
      this.one(operation, index, kept);
    }
    this.finish();
  }

  private one(operation: Operation, index: number, kept: Kept): void {
    const { list } = this.pass;
    const own = kept.blocks.get(operation) ?? [];
    switch (operation.kind) {
      case 'linear':
        this.linear(operation, index, own);
        break;
      case 'norm':
        if (this.isWrittenOut(operation)) this.norm(operation, own);
        else this.plain(operation, own);
        break;
      case 'rope':
        this.rotate(operation);
        break;
      case 'activation':
        this.activation(operation, index, kept);
        break;
      case 'add':
        if (index < list.length - 1) this.narrow(list[index - 1]);
        break;
      default:
        this.plain(operation, own);
    }
  }

  /** Under autocast the gradient of an fp32 sum is made 16-bit for the product that was added. */
  private narrow(added: Operation | undefined): void {
    const { run, recorder } = this.pass;
    if (!executionOf(run).autocast || added === undefined || !('output' in added)) return;
    this.waiting.set(added.output.name, recorder.make((recorder.bytes[this.inputGradient] ?? 0) / 2));
  }

  private linear(operation: Linear, index: number, kept: readonly number[]): void {
    const { recorder, run, weightBytes } = this.pass;
    const { product, gradients } = weightBytes(operation);
    this.layOut(operation);
    const early = product > 0 ? [recorder.make(product)] : gradients.map((bytes) => recorder.make(bytes));
    recorder.product();
    const adapted = run.lora !== undefined && isTarget(operation, run.lora);
    const passing = adapted ? [recorder.make(workspace(operation, run))] : [];
    const views = tensorOf(operation);
    const counted = views !== undefined && views === tensorOf(this.pass.list[index + 1]);
    const parts = counted
      ? []
      : inputGradients(operation, run).map(([tensor, bytes]) => [tensor, recorder.make(bytes)] as const);
    recorder.free(...passing);
    this.arrived(operation.output);
    recorder.free(...kept);
    for (const [tensor, part] of parts) this.gradient(operation, tensor, this.widened(tensor, part));
    const late = product > 0 ? gradients.map((bytes) => recorder.make(bytes)) : early;
    if (product > 0) recorder.free(...early);
    this.stay(late);
  }

  private stay(gradients: readonly number[]): void {
    if (this.pass.adds) this.pass.recorder.free(...gradients);
    else this.weightGradients.push(...gradients);
  }

  /** The gradient of what was turned is copied for the product, whose rows are laid out by token. */
  private layOut({ output }: Linear): void {
    const before = this.waiting.get(output.name);
    if (before === undefined || !this.turned.has(output.name)) return;
    const { recorder } = this.pass;
    this.waiting.set(output.name, recorder.make(recorder.bytes[before] ?? 0));
    recorder.free(before);
  }

  /** Under autocast the gradient of what a norm gave is made fp32 again. */
  private widened(tensor: Tensor, part: number): number {
    const { list, recorder, run } = this.pass;
    const norm = list.find((one) => one.kind === 'norm' && one.output.name === tensor.name);
    if (norm === undefined || !executionOf(run).autocast) return part;
    const wide = recorder.make(2 * (recorder.bytes[part] ?? 0));
    recorder.free(part);
    return wide;
  }

  private isWrittenOut({ style }: Normalize): boolean {
    return executionOf(this.pass.run).normsWrittenOut && style === 'rms';
  }

  /** RMSNorm in elementary operations, from its output back to x. */
  private norm(norm: Normalize, kept: readonly number[]): void {
    const { recorder, run } = this.pass;
    const wide = tensorBytes(norm.input, 4, tokensOf(run), 1);
    const fp32 = readsWide(norm, run);
    const trained = run.lora === undefined && norm.parameters > 0;
    const normalised = trained ? kept[fp32 ? 0 : 1] : undefined;
    const make = () => recorder.make(wide);
    const scaled = this.scaled(norm, fp32, trained, normalised, wide);
    const [ofRoot, ofX] = [make(), make()];
    recorder.free(ofRoot, scaled);
    const early = fp32 && norm.input.stream !== undefined && this.pass.residual;
    if (early) this.gradient(norm, norm.input, ofX);
    const steps = [make(), make(), make()];
    const ofSquare = make();
    recorder.free(...steps, ...kept.filter((block) => block !== normalised), ...this.inputOf(norm));
    if (early) this.gradient(norm, norm.input, ofSquare);
    else this.gradient(norm, norm.input, this.together(ofX, ofSquare, fp32));
    this.stay(this.pass.weightBytes(norm).gradients.map((bytes) => recorder.make(bytes)));
  }

  /** The output's gradient times the weight, in fp32. */
  private scaled(
    norm: Normalize,
    fp32: boolean,
    trained: boolean,
    normalised: number | undefined,
    wide: number,
  ): number {
    const { recorder } = this.pass;
    const late = fp32 || norm.upcast === 'weight';
    const make = () => recorder.make(late ? wide : wide / 2);
    if (late && !fp32) {
      const copy = make();
      this.arrived(norm.output);
      this.waiting.set(norm.output.name, copy);
    }
    const scaled = make();
    if (trained) recorder.free(make());
    this.arrived(norm.output);
    recorder.free(normalised);
    if (late) return scaled;
    const copy = recorder.make(wide);
    recorder.free(scaled);
    return copy;
  }

  /** Both gradients of x, and their sum in its dtype. */
  private together(ofX: number, ofSquare: number, fp32: boolean): number {
    const { recorder } = this.pass;
    const sum = recorder.make(recorder.bytes[ofX] ?? 0);
    recorder.free(ofX, ofSquare);
    if (fp32) return sum;
    const narrow = recorder.make((recorder.bytes[ofX] ?? 0) / 2);
    recorder.free(sum);
    return narrow;
  }

  private rotate({ query, key }: Extract<Operation, { kind: 'rope' }>): void {
    const { recorder, run } = this.pass;
    const wider = executionOf(run).autocast ? 2 : 1;
    for (const { name } of [key, query]) {
      const given = this.waiting.get(name);
      if (given === undefined) continue;
      const bytes = wider * (recorder.bytes[given] ?? 0);
      const wide = wider > 1 ? recorder.make(bytes) : given;
      if (wider > 1) recorder.free(given);
      const sine = recorder.make(bytes);
      const half = recorder.make(bytes / 2);
      const first = recorder.make(bytes);
      recorder.free(half);
      const second = recorder.make(bytes);
      recorder.free(sine);
      const joined = recorder.make(bytes);
      recorder.free(first, second);
      const cosine = recorder.make(bytes);
      recorder.free(wide);
      const sum = recorder.make(bytes);
      recorder.free(joined, cosine);
      const turned = wider > 1 ? recorder.make(bytes / wider) : sum;
      if (wider > 1) recorder.free(sum);
      this.waiting.set(name, turned);
    }
  }

  /** Of two matrices: the gradients of the second and of the activated gate, the second's product, then the gate's own gradient. */
  private activation(operation: Activate, index: number, kept: Kept): void {
    const { recorder, run, list } = this.pass;
    const up = list[index - 1];
    const own = kept.blocks.get(operation) ?? [];
    if (operation.gate === undefined || up?.kind !== 'linear' || tensorOf(up) !== undefined) {
      this.plain(operation, own);
      return;
    }
    const bytes = tensorBytes(operation.output, elementBytes(run), tokensOf(run), 1);
    const [ofUp, ofGate] = [recorder.make(bytes), recorder.make(bytes)];
    this.arrived(operation.output);
    const gate = kept.named.get(operation.input.name);
    recorder.free(...own.filter((block) => block !== gate));
    this.waiting.set(operation.gate.name, ofUp);
    this.linear(up, index - 1, kept.blocks.get(up) ?? []);
    this.done.add(up);
    this.waiting.set(operation.input.name, recorder.make(bytes));
    recorder.free(gate, ofGate);
  }

  /** Any other operation: its workspace, the gradients of what it reads, and then what it had waits no more. */
  private plain(operation: Operation, kept: readonly number[]): void {
    const { recorder, run, weightBytes } = this.pass;
    const passing = this.workspaceOf(operation).map((bytes) => recorder.make(bytes));
    for (const [tensor, bytes] of inputGradients(operation, run))
      this.gradient(operation, tensor, recorder.make(bytes));
    recorder.free(...passing);
    if ('output' in operation) this.arrived(operation.output);
    recorder.free(...kept);
    this.stay(weightBytes(operation).gradients.map((bytes) => recorder.make(bytes)));
  }

  /** Fused attention has what it needs in its kernel; steps of an activation are no larger than an fp32 tensor of what it reads. */
  private workspaceOf(operation: Operation): readonly number[] {
    const { run } = this.pass;
    if (operation.kind === 'attention' && !writesScores(operation, run)) return [];
    const bytes = workspace(operation, run);
    if (operation.kind !== 'activation') return [bytes];
    const unit = 4 * operation.input.elements * tokensOf(run).tensor;
    const whole = Math.floor(bytes / unit);
    return [...Array.from({ length: whole }, () => unit), bytes - whole * unit];
  }

  /** Gradients of what one product gave are joined before its backward pass. */
  private join(index: number): void {
    const { list, recorder } = this.pass;
    const product = tensorOf(list[index]);
    if (product === undefined || product === tensorOf(list[index + 1])) return;
    const first = list.findIndex((one) => tensorOf(one) === product);
    const names = list.slice(first, index + 1).flatMap((one) => ('output' in one ? [one.output.name] : []));
    const parts = names.map((name) => this.waiting.get(name)).filter((part) => part !== undefined);
    if (parts.length < 2) return;
    const whole = recorder.make(parts.reduce((sum, part) => sum + (recorder.bytes[part] ?? 0), 0));
    recorder.free(...parts);
    for (const name of names) this.waiting.delete(name);
    this.waiting.set(names.at(-1) ?? '', whole);
  }

  /** A gradient of the residual stream is added to the stream's, another to one that waits. */
  private gradient(operation: Operation, tensor: Tensor, part: number): void {
    const { residual, list } = this.pass;
    if (tensor.stream !== undefined || (!residual && operation === list[0])) {
      const apart = !residual && this.inputGradient === this.outputGradient;
      this.inputGradient = apart ? part : this.sum(this.inputGradient, part);
      return;
    }
    const before = this.waiting.get(tensor.name);
    this.waiting.set(tensor.name, before === undefined ? part : this.sum(before, part));
  }

  /** PyTorch adds two gradients into a third. */
  private sum(a: number, b: number): number {
    const { recorder } = this.pass;
    const sum = recorder.make(recorder.bytes[a] ?? 0);
    recorder.free(a, b);
    return sum;
  }

  /** The operation that made a tensor has read its gradient. */
  private arrived({ name }: Tensor): void {
    this.pass.recorder.free(this.waiting.get(name));
    this.waiting.delete(name);
  }

  /** The layer's input goes with the first norm that reads it where recompute alone kept it, or else last. */
  private inputOf(norm: Normalize): readonly number[] {
    const { recomputed, saved, input } = this.pass;
    const goes = recomputed && norm.input.name === 'x' && !saved.some(({ tensor }) => tensor?.name === 'x');
    if (!goes || this.inputGone) return [];
    this.inputGone = true;
    return [input];
  }

  private finish(): void {
    const { recorder, recomputed, saved, input } = this.pass;
    recorder.free(...this.waiting.values());
    if (recomputed && !this.inputGone && !saved.some(({ tensor }) => tensor?.name === 'x')) recorder.free(input);
  }
}
