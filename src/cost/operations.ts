import type {
  Architecture,
  Component,
  DenseFeedForward,
  Experts,
  GroupedAttention,
  LatentAttention,
  Layer,
  LinearPart,
  Norm,
  Part,
  StateSpace,
  VectorPart,
} from '../model/architecture.ts';
import type { Linear, Operation, Operations, Tensor } from '../model/operation.ts';

/**
 * A model written out as the operations that a token meets: THE file to read. Whatever is held, computed, kept or moved is
 * said here once, so it cannot be in the parameters and forgotten in the FLOPs or the memory.
 *
 * Letters: D width of the residual stream, H heads, K key/value heads, d head width, F feed-forward width, E experts,
 * k active experts, V vocabulary.
 */
export function expand(architecture: Architecture): Operations {
  const { hiddenSize: D } = architecture;
  const scope = (prefix: string, parts: readonly Part[], parallel = false) =>
    new Writer(prefix, D, parallel).write(parts);
  return {
    embedding: scope('', architecture.embedding),
    layers: architecture.layers.map((layer: Layer) => ({
      name: layer.name,
      operations: scope('layers.', layer.parts, layer.parallel),
    })),
    order: architecture.order,
    head: scope('', architecture.head),
    prediction: scope('prediction.', architecture.prediction),
    predictionDepth: architecture.predictionDepth,
    towers: architecture.towers,
  };
}

/** The data flow through one list of parts: `residual` is the stream, `stream` what the next block reads. */
class Writer {
  private readonly operations: Operation[] = [];
  private readonly prefix: string;
  private readonly width: number;
  private readonly parallel: boolean;
  private residual: Tensor;
  private stream: Tensor;
  /** A block's result that was not yet added to the residual. */
  private pending: Tensor | undefined;
  /** The last tensor of a mixer that is written as single parts (projections, scan, projection). */
  private inner: Tensor | undefined;
  private adds = 0;

  constructor(prefix: string, width: number, parallel: boolean) {
    this.prefix = prefix;
    this.width = width;
    this.parallel = parallel;
    this.residual = { name: 'x', elements: width, region: 'residual' };
    this.stream = this.residual;
  }

  write(parts: readonly Part[]): readonly Operation[] {
    for (const part of parts) this.part(part);
    this.add();
    return this.operations;
  }

  private part(part: Part) {
    switch (part.kind) {
      case 'norm':
        return this.blockNorm(part);
      case 'attention':
        return this.block(this.attention(part));
      case 'latent':
        return this.block(this.latent(part));
      case 'dense':
        return this.block(this.dense(part));
      case 'experts':
        return this.block(this.experts(part));
      case 'state_space':
        this.inner = this.scan(part);
        return;
      case 'linear':
        return this.single(part);
      case 'vector':
        this.hold(part);
        return;
      case 'table': {
        const output = { name: part.path, elements: part.columns * part.used, region: 'residual' } as const;
        this.push({
          kind: 'table',
          path: part.path,
          component: 'embedding',
          rows: part.rows,
          columns: part.columns,
          used: part.used,
          output,
        });
        return;
      }
      case 'output': {
        const logits = this.tensor('logits', part.columns, 'tensor');
        this.linear({
          path: 'output',
          rows: part.rows,
          columns: part.columns,
          bias: part.bias,
          component: this.prefix === '' ? 'output' : 'prediction',
          input: this.stream,
          output: logits,
          tied: part.tied,
        });
        this.push({ kind: 'loss', path: 'loss', component: 'output', vocabulary: part.columns, input: logits });
        return;
      }
    }
  }

  // --- blocks ---------------------------------------------------------------------------------------------------------

  /** softmax(Q K^T) V with H query and K key/value heads (Vaswani et al. 2017; grouped: Ainslie et al. 2023). */
  private attention(part: GroupedAttention): Tensor {
    const { heads: H, keyValueHeads: K, headDim: d, inputWidth } = part;
    const dv = part.valueHeadDim ?? d;
    const component = 'attention';
    const input = this.read(inputWidth);
    const project = (name: string, columns: number, bias: boolean, fusedWith?: string) => {
      const output = this.tensor(name, columns, 'tensor');
      this.linear({
        path: `attention.${name}`,
        rows: inputWidth,
        columns,
        bias,
        component,
        input,
        output,
        fusedWith,
        storedFused: part.fused,
      });
      return output;
    };
    let query = project('query', H * d, part.bias.query, 'query_key_value');
    if (part.outputGate === 'element') project('gate', H * dv, part.bias.query, 'query_key_value');
    if (part.outputGate === 'head') project('gate', H, part.bias.query, 'query_key_value');
    let key = this.tensor('key', K * d, 'tensor');
    let value = this.tensor('value', K * dv, 'tensor');
    if (!part.sharedKeyValue) {
      key = project('key', K * d, part.bias.key, 'query_key_value');
      value = part.valueIsKey ? key : project('value', K * dv, part.bias.value, 'query_key_value');
    }
    for (const extra of part.extra ?? []) this.extra(extra, component);
    const norm = part.queryKeyNorm;
    if (norm) {
      const normalize = (tensor: Tensor, heads: number, width: number, weight: boolean) => {
        const over = norm.over === 'head' ? width : heads * width;
        const sets = norm.over === 'head' && norm.perHead ? heads : 1;
        const output = this.tensor(`${tensor.name}_norm`, tensor.elements, 'tensor');
        const parameters = sets * over * (Number(weight && norm.weight) + Number(weight && norm.bias));
        this.push({
          kind: 'norm',
          path: `attention.${tensor.name}_norm`,
          component: 'norm',
          style: norm.style,
          ...(norm.upcast === undefined ? {} : { upcast: norm.upcast }),
          width: over,
          parameters,
          input: tensor,
          output,
        });
        return output;
      };
      query = normalize(query, H, d, true);
      if (!part.sharedKeyValue) {
        if (norm.value) value = normalize(value, K, dv, false);
        key = normalize(key, K, d, true);
      }
    }
    if (part.rotary) this.push({ kind: 'rope', path: 'attention.rope', component, query, key });
    const core = this.tensor('core', H * dv, 'tensor');
    this.push({
      kind: 'attention',
      path: 'attention.core',
      component,
      heads: H,
      keyValueHeads: K,
      queryKeyDim: d,
      valueDim: dv,
      span: part.span,
      causal: part.causal,
      parameters: part.sinks ? H : 0,
      query,
      key,
      value,
      output: core,
      cacheElements: part.sharedKeyValue ? 0 : K * (d + dv),
      cacheSharded: true,
    });
    return this.project('attention.output', core, H * dv, part.outputWidth ?? inputWidth, part.bias.output, component);
  }

  /** Queries, keys and values through low-rank pairs (DeepSeek-V2, arXiv:2405.04434, 2.1.2), as trained: decompressed. */
  private latent(part: LatentAttention): Tensor {
    const { heads: H, inputWidth, queryRank, keyValueRank, nopeDim, ropeDim, valueDim } = part;
    const d = nopeDim + ropeDim;
    const component = 'attention';
    const input = this.read(inputWidth);
    const query = this.tensor('query', H * d, 'tensor');
    let compressed = input;
    if (queryRank !== undefined) {
      const down = this.tensor('query_down', queryRank, 'residual');
      this.linear({
        path: 'attention.query_down',
        rows: inputWidth,
        columns: queryRank,
        bias: part.bias.down,
        component,
        input,
        output: down,
        sharding: 'replicated',
      });
      compressed = this.normalize('attention.query_down_norm', down, queryRank);
    }
    this.linear({
      path: 'attention.query_up',
      rows: compressed.elements,
      columns: H * d,
      bias: false,
      component,
      input: compressed,
      output: query,
    });
    const down = this.tensor('key_value_down', keyValueRank + ropeDim, 'residual');
    this.linear({
      path: 'attention.key_value_down',
      rows: inputWidth,
      columns: keyValueRank + ropeDim,
      bias: part.bias.down,
      component,
      input,
      output: down,
      sharding: 'replicated',
    });
    const latent = this.normalize(
      'attention.key_value_down_norm',
      { ...down, elements: keyValueRank },
      keyValueRank,
      down,
    );
    // Keys without position and values are one product; the value is a view of it, so its storage is the whole of it.
    const value = this.tensor('key_value', H * (nopeDim + valueDim), 'tensor');
    this.linear({
      path: 'attention.key_value_up',
      rows: keyValueRank,
      columns: H * (nopeDim + valueDim),
      bias: false,
      component,
      input: latent,
      output: value,
    });
    const key = this.tensor('key', H * d, 'tensor');
    this.push({ kind: 'rope', path: 'attention.rope', component, query, key });
    if (part.indexer) this.indexer(part.indexer, input, compressed);
    for (const extra of part.extra ?? []) this.extra(extra, component);
    const core = this.tensor('core', H * valueDim, 'tensor');
    this.push({
      kind: 'attention',
      path: 'attention.core',
      component,
      heads: H,
      keyValueHeads: H,
      queryKeyDim: d,
      valueDim,
      span: part.span,
      causal: true,
      parameters: 0,
      query,
      key,
      value,
      output: core,
      cacheElements: keyValueRank + ropeDim,
      cacheSharded: false,
    });
    return this.project('attention.output', core, H * valueDim, inputWidth, part.bias.output, component);
  }

  /** The lightning indexer (DeepSeek-V3.2): one cheap key, a few query heads, one weight for each of them. */
  private indexer({ heads, headDim }: { heads: number; headDim: number }, input: Tensor, compressed: Tensor) {
    const component = 'attention';
    const query = this.tensor('indexer_query', heads * headDim, 'residual');
    const key = this.tensor('indexer_key', headDim, 'residual');
    const weights = this.tensor('indexer_weights', heads, 'residual');
    const sharding = 'replicated' as const;
    this.linear({
      path: 'attention.indexer_query',
      rows: compressed.elements,
      columns: heads * headDim,
      bias: false,
      component,
      input: compressed,
      output: query,
      sharding,
    });
    this.linear({
      path: 'attention.indexer_key',
      rows: input.elements,
      columns: headDim,
      bias: false,
      component,
      input,
      output: key,
      sharding,
    });
    const normal = this.tensor('indexer_key_norm', headDim, 'residual');
    this.push({
      kind: 'norm',
      path: 'attention.indexer_key_norm',
      component: 'norm',
      style: 'layer',
      width: headDim,
      parameters: 2 * headDim,
      input: key,
      output: normal,
    });
    this.linear({
      path: 'attention.indexer_weights',
      rows: input.elements,
      columns: heads,
      bias: false,
      component,
      input,
      output: weights,
      sharding,
    });
    this.push({
      kind: 'attention',
      path: 'attention.indexer_core',
      component,
      heads,
      keyValueHeads: 1,
      queryKeyDim: headDim,
      valueDim: 0,
      span: { kind: 'full' },
      causal: true,
      parameters: 0,
      query,
      key: normal,
      value: normal,
      output: this.tensor('indexer_scores', 0, 'residual'),
      cacheElements: headDim,
      cacheSharded: false,
    });
  }

  private dense(part: DenseFeedForward): Tensor {
    const component = part.component ?? 'feed_forward';
    return this.feedForward(component, this.read(part.inputWidth), part);
  }

  /** down(act(gate x) * up x), or down(act(up x)) without a gate (Shazeer 2020). */
  private feedForward(
    component: Component,
    input: Tensor,
    part: Pick<DenseFeedForward, 'inputWidth' | 'width' | 'gated' | 'activation' | 'bias' | 'fused'>,
  ): Tensor {
    const { inputWidth: D, width: F, gated } = part;
    const name = component === 'feed_forward' ? '' : `${component}_`;
    const up = this.tensor(`${name}up`, F, 'tensor');
    const gate = gated ? this.tensor(`${name}gate`, F, 'tensor') : undefined;
    const fusedWith = gated ? `${name}gate_up` : undefined;
    const common = { rows: D, columns: F, bias: part.bias.up, component, input, fusedWith, storedFused: part.fused };
    if (gate) this.linear({ ...common, path: `${component}.gate`, output: gate });
    this.linear({ ...common, path: `${component}.up`, output: up });
    const act = this.tensor(`${name}act`, F, 'tensor');
    this.push({
      kind: 'activation',
      path: `${component}.activation`,
      component,
      function: part.activation,
      gated,
      input: gate ?? up,
      ...(gate ? { gate: up } : {}),
      output: act,
    });
    return this.project(`${component}.down`, act, F, D, part.bias.down, component);
  }

  /** k of E experts for each token, and the shared ones for all (Shazeer et al. 2017; DeepSeekMoE, arXiv:2401.06066). */
  private experts(part: Experts): Tensor {
    const { inputWidth: D, experts: E, active: k, width: F, gated } = part;
    const component = 'experts';
    const routerWidth = part.routerWidth ?? this.width;
    const choices = E + (part.zeroExperts ?? 0);
    const routed = this.read(routerWidth);
    const input = D === routerWidth ? routed : this.tensor('latent', D, 'residual');
    const logits = this.tensor('router_logits', choices, 'residual');
    this.linear({
      path: 'router',
      rows: routerWidth,
      columns: choices,
      bias: part.bias.router,
      component: 'router',
      input: routed,
      output: logits,
      sharding: 'replicated',
    });
    this.push({
      kind: 'route',
      path: 'router.choice',
      component: 'router',
      experts: choices,
      active: k,
      parameters: part.correctionBias ? choices : 0,
      input: logits,
    });
    const copies = { copies: E, used: k, sharding: 'expert' as const, component: component as Component };
    const sent = this.tensor('permuted', k * D, 'routed');
    this.push({
      kind: 'dispatch',
      path: 'experts.dispatch',
      component,
      width: D,
      experts: E,
      active: k,
      input,
      output: sent,
    });
    const up = this.tensor('expert_up', k * F, 'routed');
    const gate = gated ? this.tensor('expert_gate', k * F, 'routed') : undefined;
    const fusedWith = gated ? 'expert_gate_up' : undefined;
    const common = { ...copies, rows: D, columns: F, bias: part.bias.up, input: sent, fusedWith, storedFused: true };
    if (gate) this.linear({ ...common, path: 'experts.gate', output: gate });
    this.linear({ ...common, path: 'experts.up', output: up });
    const act = this.tensor('expert_act', k * F, 'routed');
    this.push({
      kind: 'activation',
      path: 'experts.activation',
      component,
      function: part.activation,
      gated,
      input: gate ?? up,
      ...(gate ? { gate: up } : {}),
      output: act,
    });
    const out = this.tensor('expert_out', k * D, 'routed');
    this.linear({
      ...copies,
      path: 'experts.down',
      rows: F,
      columns: D,
      bias: part.bias.down,
      input: act,
      output: out,
    });
    const combined = this.tensor('experts_out', D, 'residual');
    this.push({
      kind: 'combine',
      path: 'experts.combine',
      component,
      width: D,
      experts: E,
      active: k,
      input: out,
      output: combined,
    });
    const { shared } = part;
    if (shared) {
      const read = shared.inputWidth === D && D !== routerWidth ? input : routed;
      this.feedForward('shared_experts', read, {
        inputWidth: shared.inputWidth ?? routerWidth,
        width: shared.width,
        gated,
        activation: part.activation,
        bias: { up: part.bias.up, down: part.bias.down },
      });
      if (shared.gate) {
        const output = this.tensor('shared_scale', 1, 'residual');
        this.linear({
          path: 'shared_experts.scale',
          rows: routerWidth,
          columns: 1,
          bias: false,
          component: 'shared_experts',
          input: routed,
          output,
          sharding: 'replicated',
        });
      }
    }
    return combined;
  }

  private scan(part: StateSpace): Tensor {
    const input = this.inner ?? this.stream;
    const output = this.tensor(`${part.path}_out`, part.outputElements, 'tensor');
    this.push({
      kind: 'scan',
      path: part.path,
      component: 'state_space',
      style: part.style,
      parameters: part.parameters,
      flopsPerToken: part.flopsPerToken,
      stateElements: part.stateElements,
      convolutionState: part.convolutionState,
      input: { ...input, elements: part.inputElements },
      output,
    });
    return output;
  }

  // --- single parts ---------------------------------------------------------------------------------------------------

  /** A matrix of a mixer that is written part by part: reads the stream until something stands between. */
  private single(part: LinearPart) {
    const fromStream = part.rows === this.stream.elements && this.inner?.region !== 'tensor';
    const input = fromStream ? this.stream : (this.inner ?? this.stream);
    const output = this.tensor(part.path, part.columns, part.columns === this.width ? 'residual' : 'tensor');
    this.matrix(part, part.component, input, output);
    this.inner = output;
    if (part.columns === this.width) this.pending = output;
  }

  private extra(part: LinearPart | VectorPart | Norm, component: Component) {
    if (part.kind === 'vector') return this.hold(part);
    if (part.kind === 'norm') {
      this.normalize(
        part.path,
        this.tensor(part.path, part.width * (part.repeat ?? 1), 'residual'),
        part.width,
        undefined,
        part,
      );
      return;
    }
    const input =
      part.rows === this.stream.elements ? this.stream : this.tensor(`${part.path}_in`, part.rows, 'residual');
    this.matrix(part, part.component ?? component, input, this.tensor(part.path, part.columns, 'residual'));
  }

  private matrix(part: LinearPart, component: Component, input: Tensor, output: Tensor) {
    const { path, rows, columns, bias, copies, used, sharding, tied } = part;
    this.linear({ path, rows, columns, bias, component, input, output, copies, used, sharding, tied });
  }

  private hold(part: VectorPart) {
    this.push({
      kind: 'vector',
      path: part.path,
      component: part.component,
      elements: part.elements,
      flopsPerToken: part.flopsPerToken ?? 0,
    });
  }

  // --- plumbing -------------------------------------------------------------------------------------------------------

  /** A norm in front of a block reads the residual; one behind it reads what the block gives back. */
  private blockNorm(part: Norm) {
    const elements = part.width * (part.repeat ?? 1);
    if (part.place === 'output' && this.pending) {
      this.pending = this.normalize(part.path, this.pending, part.width, undefined, part);
      return;
    }
    if (elements !== this.width && this.inner) {
      this.inner = this.normalize(part.path, { ...this.inner, elements }, part.width, undefined, part);
      return;
    }
    if (!this.parallel) this.add();
    this.inner = undefined;
    this.stream = this.normalize(part.path, this.residual, part.width, undefined, part);
  }

  private normalize(path: string, input: Tensor, width: number, stored: Tensor = input, norm?: Norm): Tensor {
    const output = this.tensor(`${path}_out`, input.elements, input.region);
    const parameters = width * (norm ? Number(norm.weight) + Number(norm.bias) : 1);
    this.push({
      kind: 'norm',
      path,
      component: 'norm',
      style: norm?.style ?? 'rms',
      ...(norm?.upcast === undefined ? {} : { upcast: norm.upcast }),
      width,
      parameters,
      input: stored,
      output,
    });
    return output;
  }

  private project(
    path: string,
    input: Tensor,
    rows: number,
    columns: number,
    bias: boolean,
    component: Component,
  ): Tensor {
    const output = this.tensor(`${path}_out`, columns, 'residual');
    this.linear({ path, rows, columns, bias, component, input, output, sharding: 'row' });
    return output;
  }

  /** What a block reads: the stream, or a tensor of its own width where the block does not stand on the stream. */
  private read(width: number): Tensor {
    return width === this.stream.elements ? this.stream : { name: 'block_input', elements: width, region: 'residual' };
  }

  private block(output: Tensor) {
    if (this.parallel && this.pending) {
      // Both branches end in one sum: the first result is added with the second.
      this.push({ kind: 'add', path: 'residual', component: 'other', output: this.pending });
    } else if (this.pending) this.add();
    this.pending = output;
  }

  private add() {
    if (!this.pending) return;
    this.pending = undefined;
    this.adds += 1;
    this.residual = this.tensor(`residual_${this.adds}`, this.width, 'residual');
    this.push({ kind: 'add', path: 'residual', component: 'other', output: this.residual });
  }

  private linear(
    part: Pick<Linear, 'path' | 'rows' | 'columns' | 'bias' | 'component' | 'input' | 'output'> & {
      [Key in 'copies' | 'used' | 'sharding' | 'fusedWith' | 'tied' | 'storedFused']?: Linear[Key] | undefined;
    },
  ) {
    const {
      copies = 1,
      used = copies === 1 ? 1 : copies,
      sharding = 'column',
      tied = false,
      fusedWith,
      storedFused,
      ...rest
    } = part;
    this.push({
      kind: 'linear',
      ...rest,
      copies,
      used,
      sharding,
      tied,
      ...(fusedWith === undefined ? {} : { fusedWith }),
      ...(storedFused === undefined ? {} : { storedFused }),
    });
  }

  private tensor(name: string, elements: number, region: Tensor['region']): Tensor {
    return { name, elements, region };
  }

  private push(operation: Operation) {
    const component = this.prefix === 'prediction.' ? 'prediction' : operation.component;
    this.operations.push({ ...operation, path: this.prefix + operation.path, component });
  }
}
