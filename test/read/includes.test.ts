import { describe, expect, it } from 'vitest';
import type { Reading } from '../../src/model/reading.ts';
import { readFile } from '../../src/read/config.ts';
import { alone } from '../../src/read/job.ts';
import { settleRun } from '../../src/setup/settle.ts';
import type { ConfigSide } from '../../src/world.ts';

/** Reads a job as a door does: files of the repository are handed over when they are asked for. */
function read(files: Readonly<Record<string, string>>, root: string): Reading {
  const known = new Map<string, ConfigSide | undefined>();
  for (let turn = 0; turn < 20; turn++) {
    const reading = readFile(Buffer.from(files[root] ?? ''), root, { ...alone, known });
    if (reading.kind !== 'needs') return reading;
    for (const path of reading.paths) {
      const text = files[path];
      known.set(path, text === undefined ? undefined : { kind: 'bytes', bytes: Buffer.from(text) });
    }
  }
  throw new Error('asks for files without end');
}

const layersOf = (reading: Reading) => (reading.kind === 'read' ? reading.architecture.order.length : reading.problems);

const folder = 'primus/configs/models/megatron';

describe('a Primus experiment', () => {
  const experiment = [
    'modules:',
    '  pre_trainer:',
    '    framework: megatron',
    '    config: pre_trainer.yaml',
    '    model: ours.yaml',
    '    overrides:',
    '      micro_batch_size: 3',
  ].join('\n');
  const files = {
    'examples/MI300X/ours.yaml': experiment,
    [`${folder}/ours.yaml`]: 'extends:\n  - middle.yaml\nnum_layers: 5\nhidden_size: 64',
    [`${folder}/middle.yaml`]:
      'extends: [llama_base.yaml]\nnum_layers: 9\nnum_attention_heads: 4\nvocab_size: 1000\nmax_position_embeddings: 64',
  };
  const root = 'examples/MI300X/ours.yaml';

  it('is its own words over those of the model, of what that extends, and of what Primus installs', () => {
    const reading = read(files, root);
    expect(layersOf(reading)).toBe(5);
    if (reading.kind !== 'read') return;
    expect(reading.run[0]?.fields).toMatchObject({ accelerator: 'mi300x', microBatchSize: 3, precision: 'bf16' });
    const [layer] = reading.architecture.layers;
    expect(layer?.parts.map(({ kind }) => kind)).toEqual(['norm', 'attention', 'norm', 'dense']);
    expect(reading.architecture.layers[0]?.parts[0]).toMatchObject({ style: 'rms' });
  });

  it('reads the trainer of the repository, whose defaults speak of images too', () => {
    const trainer = { 'primus/configs/modules/megatron/pre_trainer.yaml': 'img_h: 224\nbf16: true\nseq_length: 32' };
    const reading = read({ ...files, ...trainer }, root);
    expect(layersOf(reading)).toBe(5);
    expect(reading.kind === 'read' && reading.run[0]?.fields).toMatchObject({ sequenceLength: 32 });
  });

  it('of torchtitan is read as torchtitan’s own file is', () => {
    const text = experiment
      .replace('framework: megatron', 'framework: torchtitan')
      .replace('ours.yaml', 'llama3.1_8B.yaml')
      .replace('micro_batch_size: 3', 'training: {local_batch_size: 3}');
    const reading = read({ [root]: text }, root);
    expect(layersOf(reading)).toBe(32);
    expect(reading.kind === 'read' && reading.run[0]?.fields).toMatchObject({ microBatchSize: 3 });
  });

  it('of MaxText has the sizes of its model’s file, and the machine of its folder', () => {
    const text = experiment
      .replace('framework: megatron', 'framework: maxtext')
      .replace('micro_batch_size: 3', 'per_device_batch_size: 3');
    const model =
      'extends: [model_base.yaml]\nbase_emb_dim: 64\nbase_num_query_heads: 4\nbase_num_kv_heads: 4\nbase_mlp_dim: 128\nhead_dim: 16\nvocab_size: 100\nbase_num_decoder_layers: 7';
    const reading = read({ [root]: text, 'primus/configs/models/maxtext/ours.yaml': model }, root);
    expect(layersOf(reading)).toBe(7);
    expect(reading.kind === 'read' && reading.run[0]).toMatchObject({
      fields: { accelerator: 'mi300x', recompute: 'full', weightsDtype: 'bf16' },
      relations: { batchPerGpu: 3 },
    });
    const other = read({ [root]: experiment.replace('framework: megatron', 'framework: other') }, root);
    expect(other.problems.map(({ message }) => message).join()).toContain('framework other are not read yet');
  });

  it('shows the fields of the files that it reaches', () => {
    const reading = read(files, root);
    expect(reading.kind === 'read' && reading.fields.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['modules.pre_trainer.overrides.micro_batch_size', `${folder}/middle.yaml: num_layers`]),
    );
  });

  it('ends where files extend each other, and says what is missing', () => {
    const circle = {
      ...files,
      [`${folder}/middle.yaml`]: 'extends: [ours.yaml, gone.yaml]\nnum_attention_heads: 4\nvocab_size: 9',
    };
    const reading = read(circle, root);
    expect(reading.problems.map(({ message }) => message).join()).toContain('gone.yaml');
    expect(layersOf(reading)).toBe(5);
  });
});

describe('a NeMo RL run', () => {
  it('is its own words over those of each file that its defaults name, the last one first', () => {
    const files = {
      'configs/ours.yaml': 'defaults: [base.yaml, other.yaml]\npolicy: { train_micro_batch_size: 3 }',
      'configs/base.yaml':
        'policy: { model_name: gpt2, train_micro_batch_size: 1, max_total_sequence_length: 512, train_global_batch_size: 24 }\ncluster: { gpus_per_node: 8, num_nodes: 1 }\ngrpo: {}',
      'configs/other.yaml': 'defaults: deeper.yaml\npolicy: { max_total_sequence_length: 256 }',
      'configs/deeper.yaml': 'policy: { max_total_sequence_length: 128, precision: bfloat16 }',
    };
    const reading = read(files, 'configs/ours.yaml');
    expect(reading.kind === 'read' && reading.run[0]?.fields).toMatchObject({
      microBatchSize: 3,
      sequenceLength: 256,
      precision: 'bf16',
      globalBatchSize: 24,
    });
  });
});

it('NeMo RL trains on the GPUs that are not kept for generation, and lays out the layers of the model that it names', () => {
  const grpo = (cluster: string, resources: string) =>
    `policy:\n  model_name: moonshotai/Moonlight-16B-A3B\n  train_micro_batch_size: 1\n  max_total_sequence_length: 512\n  train_global_batch_size: 24\n  megatron_cfg: { enabled: true, pipeline_model_parallel_size: 4, num_layers_in_first_pipeline_stage: 7, num_layers_in_last_pipeline_stage: 6 }\n  generation: { colocated: { enabled: false, resources: ${resources} } }\ncluster: ${cluster}\ngrpo: {}`;
  const runOf = (cluster: string, resources: string) => {
    const reading = read({ 'a.yaml': grpo(cluster, resources) }, 'a.yaml');
    if (reading.kind !== 'read') throw new Error(reading.problems[0]?.message);
    const settling = settleRun(reading.run, reading.architecture);
    return settling.kind === 'settled' ? settling.settled.run : settling.problems;
  };
  expect(runOf('{ gpus_per_node: 8, num_nodes: 3 }', '{ gpus_per_node: 8, num_nodes: 2 }')).toMatchObject({
    gpus: 8,
    layersPerStage: [7, 7, 7, 6],
  });
  expect(runOf('{ gpus_per_node: 8, num_nodes: 1 }', '{ gpus_per_node: 4, num_nodes: null }')).toMatchObject({
    gpus: 4,
  });
  expect(runOf('{ gpus_per_node: 8, num_nodes: 2 }', '{}')).toMatchObject({ gpus: 16 });
});

describe('a FlagScale experiment', () => {
  it('is the task that its defaults name, on the devices that it makes visible', () => {
    const files = {
      'conf/train.yaml':
        'defaults:\n  - _self_\n  - train: small\nexperiment:\n  layers: 3\n  task: {type: train}\n  runner: {nnodes: 2}\n  envs: {CUDA_VISIBLE_DEVICES: "0,1,2,3"}',
      'conf/train/small.yaml':
        'system: {tensor_model_parallel_size: 2}\nmodel: {num_layers: "${experiment.layers}", hidden_size: 64, num_attention_heads: 4, max_position_embeddings: 8}\ndata: {tokenizer: {vocab_size: 10}}',
    };
    const reading = read(files, 'conf/train.yaml');
    expect(layersOf(reading)).toBe(3);
    expect(reading.kind === 'read' && reading.run[0]).toMatchObject({
      relations: { nodes: 2 },
      fields: { gpusPerNode: 4, parallelism: { tensor: 2 } },
    });
  });
});

describe('a MaxText run', () => {
  const sizes =
    'base_emb_dim: 64\nbase_num_query_heads: 4\nbase_num_kv_heads: 4\nbase_mlp_dim: 128\nhead_dim: 16\nvocab_size: 100';
  const files = {
    'configs/gpu/ours.yml': 'base_config: base.yml\nmodel_name: small\nper_device_batch_size: 3',
    'configs/base.yml': `${sizes}\nbase_num_decoder_layers: 16\nper_device_batch_size: 12\nmax_target_length: 64\nmodel_name: default`,
    'configs/models/small.yml': 'base_num_decoder_layers: 5\ndecoder_block: llama2',
  };

  it('is its own words over those of its model, and those over its base', () => {
    const reading = read(files, 'configs/gpu/ours.yml');
    expect(layersOf(reading)).toBe(5);
    if (reading.kind !== 'read') return;
    expect(reading.run[0]).toMatchObject({ fields: { sequenceLength: 64 }, relations: { batchPerGpu: 3 } });
  });

  it('ends where a base is its own, and takes a published model of the name where the repository has none', () => {
    const circle = { 'a/base.yml': `${sizes}\nbase_config: base.yml\nbase_num_decoder_layers: 2` };
    expect(layersOf(read(circle, 'a/base.yml'))).toBe(2);
    expect(layersOf(read({ 'a/x.yml': 'model_name: llama2-7b\nmax_target_length: 64' }, 'a/x.yml'))).toBe(32);
    const shorter = { 'a/x.yml': 'model_name: llama2-7b\nmax_target_length: 64\nbase_num_decoder_layers: 4' };
    expect(layersOf(read(shorter, 'a/x.yml'))).toBe(4);
  });
});

describe('a Levanter run', () => {
  it('has the vocabulary of the tokenizer in the data file that it includes', () => {
    const files = {
      'config/run.yaml': 'data: !include data/web.yaml\nmodel: {type: gpt2}\ntrainer: {train_batch_size: 8}',
      'config/data/web.yaml': 'tokenizer: NousResearch/Llama-2-7b-hf',
    };
    const reading = read(files, 'config/run.yaml');
    expect(reading.kind === 'read' && reading.architecture.vocabularySize).toBe(32_000);
  });
});
