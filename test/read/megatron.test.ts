import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import { layoutOf } from '../../src/read/formats/megatron-pipeline.ts';
import { readSide } from '../../src/run.ts';
import { runAsWritten } from '../../src/setup/description.ts';
import { listOf } from '../../src/text/list-expression.ts';

/** A small model of Megatron's, every argument of which a test may change. */
const small = {
  'num-layers': 2,
  'hidden-size': 64,
  'num-attention-heads': 4,
  'seq-length': 128,
  'max-position-embeddings': 128,
  'vocab-size': 1000,
  'position-embedding-type': 'rope',
  'disable-bias-linear': true,
  normalization: 'RMSNorm',
  'untie-embeddings-and-output-weights': true,
  'ffn-hidden-size': 256,
} as const;

function read(changes: Readonly<Record<string, unknown>>) {
  const given = Object.entries({ ...small, ...changes }).filter(([, value]) => value !== undefined);
  const text = ['MODEL_ARGS:', ...given.map(([name, value]) => `  --${name}: ${JSON.stringify(value)}`)].join('\n');
  const side = readSide({ kind: 'bytes', bytes: Buffer.from(text) }, 'model_config.yaml', settingsOf({}));
  return { total: side.estimate?.parameters.total, run: side.estimate && runAsWritten(side.estimate.run.run), ...side };
}

const totalOf = (changes: Readonly<Record<string, unknown>> = {}): number => {
  const { total, reading } = read(changes);
  if (total === undefined) throw new Error(JSON.stringify(reading.problems));
  return total;
};

const D = 64;
const F = 256;
const rows = (tensor = 1, multiple = 128) => Math.ceil(1000 / (multiple * tensor)) * multiple * tensor;
/** Two layers of four square matrices, two of the feed-forward and two norms; tables, and a norm. */
const plain = 2 * (4 * D * D + 2 * D * F + 2 * D) + 2 * rows() * D + D;

describe('the parameters of Megatron’s arguments', () => {
  it('are counted as its layers are built', () => {
    expect(totalOf()).toBe(plain);
  });

  it('follow its defaults: tied, biased, learned positions, LayerNorm', () => {
    expect(totalOf({ 'untie-embeddings-and-output-weights': undefined })).toBe(plain - rows() * D);
    const biases = 2 * (4 * D + F + D);
    expect(totalOf({ 'disable-bias-linear': undefined })).toBe(plain + biases);
    expect(totalOf({ 'add-qkv-bias': true })).toBe(plain + 2 * 3 * D);
    expect(totalOf({ 'position-embedding-type': undefined })).toBe(plain + 128 * D);
    expect(totalOf({ normalization: undefined })).toBe(plain + 5 * D);
  });

  it('are GPT-3’s with its sizes: the count of the paper on Megatron', () => {
    const [layers, hidden, sequence, vocabulary] = [96, 12288, 2048, 51200];
    const total = totalOf({
      'num-layers': layers,
      'hidden-size': hidden,
      'num-attention-heads': 96,
      'ffn-hidden-size': undefined,
      'seq-length': sequence,
      'max-position-embeddings': sequence,
      'vocab-size': undefined,
      'position-embedding-type': undefined,
      'disable-bias-linear': undefined,
      normalization: undefined,
      'untie-embeddings-and-output-weights': undefined,
      'tensor-model-parallel-size': 8,
    });
    // 12 l h² (1 + 13/(12h) + (V+s)/(12lh)) of arXiv:2104.04473, and the last norm, which it leaves out.
    expect(total).toBe(
      12 * layers * hidden ** 2 + 13 * layers * hidden + (vocabulary + sequence) * hidden + 2 * hidden,
    );
    expect(total).toBeCloseTo(174.6e9, -9);
  });

  it('take a feed-forward of four times the width, or two thirds of it rounded down where it is gated', () => {
    expect(totalOf({ 'ffn-hidden-size': undefined })).toBe(plain);
    const gated = Math.floor((4 * D * 2) / 3 / 64) * 64;
    expect(totalOf({ 'ffn-hidden-size': undefined, swiglu: true })).toBe(plain - 2 * 2 * D * F + 2 * 3 * D * gated);
  });

  it('pad the vocabulary by tensor parallelism', () => {
    expect(totalOf({ 'tensor-model-parallel-size': 4 })).toBe(plain + 2 * (rows(4) - rows()) * D);
    expect(totalOf({ 'make-vocab-size-divisible-by': 1000 })).toBe(plain + 2 * (1000 - rows()) * D);
    expect(totalOf({ 'padded-vocab-size': 1001 })).toBe(plain + 2 * (1001 - rows()) * D);
    expect(totalOf({ 'vocab-size': 1024, 'tokenizer-type': 'NullTokenizer' })).toBe(plain + 2 * 128 * D);
  });

  it('know a tokenizer by its name, and a model by its sizes where the tokenizer is a path', () => {
    const problems = (changes: Readonly<Record<string, unknown>>) =>
      read({ 'vocab-size': undefined, ...changes }).reading;
    const vocabulary = (changes: Readonly<Record<string, unknown>>) => {
      const reading = problems(changes);
      return reading.kind === 'read' ? Number(/\d+$/.exec(assumed(reading))?.[0]) : undefined;
    };
    const assumed = ({ assumptions }: { readonly assumptions: readonly { field: string; value: string }[] }) =>
      assumptions
        .filter(({ field }) => field === 'vocab_size')
        .map(({ value }) => value)
        .join();
    expect(vocabulary({ 'tokenizer-type': 'GPT2BPETokenizer' })).toBe(50304);
    expect(vocabulary({ 'tokenizer-type': 'HuggingFaceTokenizer', 'tokenizer-model': 'deepseek-ai/DeepSeek-V3' })).toBe(
      128896,
    );
    const llama = {
      'num-layers': 32,
      'hidden-size': 4096,
      'num-attention-heads': 32,
      'ffn-hidden-size': 11008,
      swiglu: true,
      'tokenizer-type': 'GPTSentencePieceTokenizer',
    };
    expect(vocabulary({ ...llama, 'tokenizer-model': '/data/llama/own.model' })).toBe(32000);
    expect(problems({ ...llama, 'tokenizer-model': '/data/llama/own.model' }).problems[0]?.message).toContain(
      '32000 is assumed',
    );
  });

  it('read groups of queries only where they are asked for', () => {
    expect(totalOf({ 'num-query-groups': 1 })).toBe(plain);
    expect(totalOf({ 'group-query-attention': true })).toBe(plain - 2 * 2 * D * (D - 16));
    expect(totalOf({ 'num-query-groups': 1, 'group-query-attention': true })).toBe(plain - 2 * 2 * D * (D - 16));
  });

  it('place experts by an expression, by a period, or everywhere', () => {
    const experts = 4 * 2 * D * F + 4 * D - 2 * D * F;
    const moe = { 'num-experts': 4 };
    expect(totalOf(moe)).toBe(plain + 2 * experts);
    expect(totalOf({ ...moe, 'moe-layer-freq': '([0]*1+[1]*1)' })).toBe(plain + experts);
    expect(totalOf({ ...moe, 'moe-layer-freq': 2 })).toBe(plain + experts);
    expect(totalOf({ ...moe, 'moe-layer-freq': [1, 0] })).toBe(plain + experts);
    expect(totalOf({ ...moe, 'moe-ffn-hidden-size': 32, 'moe-shared-expert-intermediate-size': 64 })).toBe(
      plain + 2 * (4 * 2 * D * 32 + 2 * D * 64 + 4 * D - 2 * D * F),
    );
  });

  it('refuse an expression of another length, and layers that no trait counts', () => {
    const problem = (changes: Readonly<Record<string, unknown>>) => read(changes).reading.problems[0];
    expect(problem({ 'num-experts': 4, 'moe-layer-freq': '[1]*3' })).toMatchObject({
      message: expect.stringContaining('lists 3 layers, but the model has 2'),
      key: 'MODEL_ARGS.--moe-layer-freq',
    });
    expect(problem({ 'hybrid-override-pattern': 'M-M*' })?.message).toContain('read with --squared-relu only');
    const hybrid = {
      'hybrid-override-pattern': 'ME',
      'squared-relu': true,
      normalization: 'RMSNorm',
      'disable-bias-linear': true,
      'position-embedding-type': 'none',
      'untie-embeddings-and-output-weights': true,
    };
    expect(problem(hybrid)?.message).toContain('nothing says how many experts there are');
    expect(problem({ ...hybrid, 'num-experts': 4 })).toBeUndefined();
    expect(problem({ 'linear-attention-freq': 4 })?.message).toContain('state the model as a config.json');
    expect(problem({ 'decoder-seq-length': 128 })?.message).toContain('an encoder beside its decoder');
    expect(problem({ 'num-layers': '${LAYERS}' })?.message).toContain('--num-layers');
  });

  it('take the command line’s sizes of latent attention', () => {
    const heads = 4;
    const latent = D * heads * 192 + D * (32 + 64) + 32 + 32 * heads * 256 + heads * 128 * D;
    expect(totalOf({ 'multi-latent-attention': true, 'qk-layernorm': true })).toBe(plain + 2 * (latent - 4 * D * D));
  });
});

describe('the run of Megatron’s arguments', () => {
  it('shards and recomputes nothing unless it is asked for, and keeps gradients in fp32', () => {
    expect(read({ bf16: true }).run).toMatchObject({
      precision: 'bf16',
      sharding: 'none',
      recompute: 'none',
      gradients_dtype: 'fp32',
      dropout: true,
      parallelism: { sequence_parallel: false },
    });
    expect(read({}).run).toMatchObject({ precision: 'fp32' });
    expect(read({ bf16: true, 'grad-reduce-in-bf16': true }).run).toMatchObject({ gradients_dtype: 'bf16' });
  });

  it('reads what divides and recomputes', () => {
    expect(read({ 'use-distributed-optimizer': true }).run).toMatchObject({ sharding: 'optimizer' });
    expect(read({ 'use-megatron-fsdp': true, 'data-parallel-sharding-strategy': 'optim_grads' }).run).toMatchObject({
      sharding: 'gradients',
    });
    expect(read({ 'recompute-activations': true }).run).toMatchObject({ recompute: 'selective' });
    expect(
      read({ 'recompute-granularity': 'full', 'recompute-method': 'block', 'recompute-num-layers': 1 }).run,
    ).toMatchObject({ recompute: 'full', recompute_method: 'block', recompute_layers: 1 });
  });

  it('asks nobody for a kernel that is left to Transformer Engine', () => {
    const { run, reading } = read({ 'attention-backend': 'auto' });
    expect(run).toMatchObject({ flash_attention: true });
    expect(reading.problems).toEqual([]);
    expect(read({ 'attention-backend': 'unfused' }).run).toMatchObject({ flash_attention: false });
  });

  it('finds virtual stages by each of the ways to say them', () => {
    const stages = { 'num-layers': 8, 'pipeline-model-parallel-size': 2 };
    const virtual = (changes: Readonly<Record<string, unknown>>) =>
      read({ ...stages, ...changes }).run?.['parallelism'];
    expect(virtual({ 'num-layers-per-virtual-pipeline-stage': 1 })).toMatchObject({ virtual_pipeline: 4 });
    expect(virtual({ 'num-virtual-stages-per-pipeline-rank': 2 })).toMatchObject({ virtual_pipeline: 2 });
    expect(virtual({ 'pipeline-model-parallel-layout': 'Ett|tt|tt|ttL' })).toMatchObject({ virtual_pipeline: 2 });
    expect(read({ ...stages, 'decoder-first-pipeline-num-layers': 3 }).run).toMatchObject({ layers_per_stage: [3, 5] });
    expect(read({ ...stages, 'num-layer-list': '3,5' }).run).toMatchObject({ layers_per_stage: [3, 5] });
    expect(read({ ...stages, decoder_pipeline_manual_split_list: [1, 2, 2, 3] }).run).toMatchObject({
      layers_per_stage: [3, 5],
      parallelism: { virtual_pipeline: 2 },
    });
    const odd = read({ ...stages, 'num-layer-list': '3,x' });
    expect(odd.reading.problems.map(({ message }) => message).join()).toContain('num_layer_list is not understood');
  });

  it('leaves sequence parallelism off where nothing is divided', () => {
    const sequence = { 'sequence-parallel': true };
    expect(read({ ...sequence, 'tensor-model-parallel-size': 1 }).run).toMatchObject({
      parallelism: { sequence_parallel: false },
    });
    expect(read({ ...sequence, 'tensor-model-parallel-size': 2 }).run).toMatchObject({
      parallelism: { sequence_parallel: true },
    });
  });

  it('reads the dtypes of the optimizer only where it heeds them', () => {
    const dtypes = { 'exp-avg-dtype': 'bf16', 'main-grads-dtype': 'bf16' };
    expect(read(dtypes).run).not.toHaveProperty('optimizer_dtype');
    expect(read({ ...dtypes, 'use-precision-aware-optimizer': true }).run).toMatchObject({
      optimizer_dtype: 'bf16',
      gradients_dtype: 'bf16',
    });
  });
});

describe('Megatron’s small languages', () => {
  it('are computed without being executed', () => {
    expect(listOf('([0]*3+[1]*2)')).toEqual([0, 0, 0, 1, 1]);
    expect(listOf('[0]+[1,0]*2')).toEqual([0, 1, 0, 1, 0]);
    expect(listOf('([0]+[1])*2')).toEqual([0, 1, 0, 1]);
    for (const other of ['', '[1]*', '[1]*99999', '[-1]', 'exit()', '[1', '([1]', '[1] 2', '('.repeat(1_000)])
      expect(listOf(other)).toBeUndefined();
  });

  it('lay layers out', () => {
    expect(layoutOf('Et*3|(tt|)*29m|L')).toEqual([3, ...Array(29).fill(2), 0, 0]);
    expect(layoutOf('t|t$(x)')).toBeUndefined();
    expect(layoutOf('(((t|)*999)*999)*999')).toBeUndefined();
  });
});

describe('how fp8 products are scaled', () => {
  const described = (text: string, path: string) => {
    const { estimate } = readSide({ kind: 'bytes', bytes: Buffer.from(text) }, path, settingsOf({}));
    return [estimate?.run.run.precision, estimate?.run.run.fp8Recipe];
  };
  const bridge = (name: string, line: string) =>
    `def ${name}() -> ConfigContainer:\n    cfg = ConfigContainer(\n        model=LlamaModelProvider(num_layers=4, hidden_size=512, num_attention_heads=8, ffn_hidden_size=2048, vocab_size=1024, seq_length=512),\n        train=TrainingConfig(micro_batch_size=1, global_batch_size=8, train_iters=10),\n${line === '' ? '' : `        ${line},\n`}    )\n    return cfg\n`;

  it.each([
    ['tensorwise', 'fp8', 'tensorwise'],
    ['delayed', 'fp8', 'tensorwise'],
    ['blockwise', 'fp8', 'blockwise'],
    ['mxfp8', 'mxfp8', undefined],
    [undefined, 'fp8', undefined],
  ])('--fp8-recipe %s of Megatron', (recipe, precision, scaled) => {
    const { run, reading } = read({ 'fp8-format': 'hybrid', 'fp8-recipe': recipe });
    expect([run?.['precision'], run?.['fp8_recipe']]).toEqual([precision, scaled]);
    expect(reading.problems).toEqual(read({ 'fp8-format': 'hybrid' }).reading.problems);
  });

  it.each([
    ['mixed_precision = "bf16_with_fp8_current_scaling_mixed"', 'fp8', 'tensorwise'],
    ['mixed_precision = get_mixed_precision_config("bf16_with_fp8_delayed_scaling_mixed")', 'fp8', 'tensorwise'],
    ['mixed_precision = "bf16_with_fp8_subchannel_scaling_mixed"', 'fp8', 'blockwise'],
    ['mixed_precision = "nanov2_bf16_with_fp8_current_scaling_mixed"', 'fp8', 'blockwise'],
    ['mixed_precision = "bf16_with_mxfp8_mixed"', 'mxfp8', undefined],
    ['mixed_precision = "bf16_mixed"', 'bf16', undefined],
  ])('%s of Megatron-Bridge', (line, precision, scaled) => {
    const text = bridge('llama3_8b_pretrain', line);
    expect(described(text, 'recipe.py')).toEqual([precision, scaled]);
  });

  it.each([
    ['h100_fp8cs', 'fp8', 'tensorwise'],
    ['h100_fp8sc', 'fp8', 'blockwise'],
    ['b200_fp8mx', 'mxfp8', undefined],
    ['h100_bf16', 'bf16', undefined],
  ])('a recipe of Megatron-Bridge whose name ends in %s', (name, precision, scaled) => {
    expect(described(bridge(`llama3_8b_pretrain_8gpu_${name}_config`, ''), 'recipe.py')).toEqual([precision, scaled]);
  });

  it.each([
    ['model_converters=ModelConvertersContainer.Config(converters=[Float8LinearConverter.Config()])', undefined],
    [
      'model_converters=ModelConvertersContainer.Config(converters=[Float8LinearConverter.Config(recipe_name="rowwise")])',
      'rowwise',
    ],
    ['model_spec=model_registry("8B", quantization=[Float8LinearConverter.Config()])', 'rowwise'],
    ['model_spec=model_registry("8B", converters=[Float8LinearConverter.Config()])', 'rowwise'],
    [
      'model_spec=model_registry("8B", converters=[Float8LinearConverter.Config(recipe_name="tensorwise")])',
      'tensorwise',
    ],
    [
      'model_spec=model_registry("8B", converters=[Float8LinearConverter.Config(recipe_name="rowwise_with_gw_hp")])',
      'rowwise',
    ],
  ])('torchtitan in Python: %s', (line, scaled) => {
    const spec = line.startsWith('model_spec') ? '' : 'model_spec=model_registry("8B"),';
    const text = `from torchtitan.models.llama3 import model_registry\ndef llama3_8b() -> Trainer.Config:\n    return Trainer.Config(${spec}${line}, training=TrainingConfig(seq_len=8192, local_batch_size=1))\n`;
    expect(described(text, 'torchtitan/models/llama3/config_registry.py')).toEqual(['fp8', scaled]);
  });

  it.each([
    [{ fp8: true, fp8_recipe: 'blockwise' }, 'fp8', 'blockwise'],
    [{ fp8: true, fp8_hybrid: true }, 'fp8', undefined],
    [{ fp8: true, fp8_recipe: 'mxfp8' }, 'mxfp8', undefined],
    [{ fp8: false, fp8_recipe: 'blockwise' }, 'bf16', undefined],
  ])('%j of NeMo', (model, precision, scaled) => {
    const sizes = {
      num_layers: 4,
      hidden_size: 512,
      num_attention_heads: 8,
      ffn_hidden_size: 2048,
      encoder_seq_length: 512,
    };
    const text = JSON.stringify({
      trainer: { devices: 8, num_nodes: 1, precision: 'bf16' },
      model: {
        mcore_gpt: true,
        micro_batch_size: 1,
        global_batch_size: 8,
        override_vocab_size: 1024,
        ...sizes,
        ...model,
      },
    });
    expect(described(text, 'config.yaml')).toEqual([precision, scaled]);
  });

  it('Primus: what its experiment says of Megatron', () => {
    const text = `work_group: a\nmodules:\n  pre_trainer:\n    framework: megatron\n    config: pre_trainer.yaml\n    model: llama3.1_8B.yaml\n    overrides:\n      fp8: hybrid\n      fp8_recipe: blockwise\n      seq_length: 8192\n      micro_batch_size: 1\n      global_batch_size: 8\n`;
    expect(described(text, 'experiment.yaml')).toEqual(['fp8', 'blockwise']);
  });

  it.each([
    ['recipe_name = "rowwise_with_gw_hp"', 'rowwise'],
    ['recipe_name = "tensorwise"', 'tensorwise'],
    ['', undefined],
  ])('[float8] %s of torchtitan', (line, scaled) => {
    const text = `[model]\nname = "llama3"\nflavor = "8B"\nconverters = ["float8"]\n[training]\nseq_len = 8192\n[float8]\n${line}\n`;
    const { estimate } = readSide({ kind: 'bytes', bytes: Buffer.from(text) }, 'train.toml', settingsOf({}));
    expect(estimate?.run.run).toMatchObject({ precision: 'fp8' });
    expect(estimate?.run.run.fp8Recipe).toBe(scaled);
  });
});
