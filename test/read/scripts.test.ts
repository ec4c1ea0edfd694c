import { describe, expect, it } from 'vitest';
import { readFile } from '../../src/read/config.ts';
import { alone, type JobContext, type JobReading } from '../../src/read/job.ts';
import { settleRun } from '../../src/setup/settle.ts';

/** A repository of scripts by path; the first is the root of the job. */
function job(files: Readonly<Record<string, string>>, context: Partial<JobContext> = {}) {
  const [root = ''] = Object.keys(files);
  const known = new Map<string, { kind: 'bytes'; bytes: Uint8Array } | undefined>();
  for (let round = 0; round < 6; round++) {
    const reading = readFile(Buffer.from(files[root] ?? ''), root, { ...alone, known, ...context });
    if (reading.kind !== 'needs') return told(reading);
    for (const path of reading.paths)
      known.set(path, path in files ? { kind: 'bytes', bytes: Buffer.from(files[path] ?? '') } : undefined);
  }
  throw new Error('asks for files without end');
}

function told(reading: Exclude<JobReading, { kind: 'needs' }>) {
  const problems = reading.problems.map(({ message }) => message);
  const assumptions = reading.kind === 'read' ? reading.assumptions.map(({ field }) => field) : [];
  if (reading.kind === 'unread')
    return { format: reading.format, way: reading.way, problems, assumptions, run: undefined, layers: 0 };
  const settling = settleRun(reading.run, reading.architecture);
  return {
    format: reading.format,
    way: undefined,
    problems: [...problems, ...settling.problems.map(({ message }) => message)],
    assumptions,
    layers: reading.architecture.order.length,
    run: settling.kind === 'settled' ? settling.settled.run : undefined,
  };
}

const small = '--hidden-size 1024 --num-attention-heads 16 --seq-length 2048 --micro-batch-size 2 --bf16';

it('follows the scripts that a script reads in, beside it or at the root, and what those read in', () => {
  const launch = 'source $(dirname $0)/model.sh\ntorchrun --nproc_per_node 4 pretrain_gpt.py "${MODEL[@]}" $SPREAD\n';
  const read = job({
    'train/run.sh': launch,
    'train/model.sh': `. conf/spread.sh\nMODEL=(--num-layers 12 ${small})\n`,
    'conf/spread.sh': 'SPREAD="--tensor-model-parallel-size 2"\n',
  });
  expect(read).toMatchObject({ format: 'megatron-shell', layers: 12, run: { gpus: 4, parallelism: { tensor: 2 } } });
});

describe('a script that is read in', () => {
  const launch = (path: string) => `source ${path}\ntorchrun --nproc_per_node 4 pretrain_gpt.py "\${MODEL[@]}"\n`;
  const sizes = `MODEL=(--num-layers 12 ${small})\n`;

  it.each([
    ['by its path on the machine', '/root/project/scripts/models/a.sh', { 'scripts/models/a.sh': sizes }],
    ['past the root, from where nothing is', '"$DIR/../scripts/models/a.sh"', { 'scripts/models/a.sh': sizes }],
    [
      'and reads in one of its own folder',
      '"$DIR/../models/b.sh"',
      { 'models/b.sh': 'source "$(dirname -- "${BASH_SOURCE[0]}")/a.sh"\n', 'models/a.sh': sizes },
    ],
    [
      'and says where it is by cd and pwd',
      '$DIR/../models/b.sh',
      {
        'models/b.sh': 'source "$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" &>/dev/null && pwd)/a.sh"\n',
        'models/a.sh': sizes,
      },
    ],
  ])('is found %s', (_, path, files) => {
    expect(job({ 'train/run.sh': launch(path), ...files })).toMatchObject({ layers: 12, run: { gpus: 4 } });
  });
});

describe('a file of hosts', () => {
  const script = (flags: string) =>
    `deepspeed --hostfile ${flags} train.py --model_name_or_path gpt2 --per_device_train_batch_size 1 --bf16 true`;
  const two = 'worker-1 slots=8\nworker-2 slots=8\n';

  it.each([
    ['each of its machines has as many GPUs as it has slots', 'conf/hosts', two, { gpus: 16 }],
    ['as many as the launcher takes of each', 'conf/hosts --num_gpus 4', two, { gpus: 8 }],
    ['machines may differ', './conf/hosts', 'a slots=8\n# a smaller one\n\nb slots=4', { gpus: 12 }],
    ['what the command itself says goes before it', 'conf/hosts --num_nodes 3 --num_gpus 8', two, { gpus: 24 }],
  ])('says how many GPUs there are: %s', (_, flags, hosts, run) => {
    const { run: settled, problems } = job({ 'run.sh': script(flags), 'conf/hosts': hosts });
    expect(settled).toMatchObject(run);
    expect(problems).toEqual([]);
  });

  it.each([
    ['it is not in the repository', {}],
    ['a machine has no slots', { 'conf/hosts': 'a\nb slots=8\n' }],
  ])('leaves the GPUs open where %s', (_, files) => {
    const { run, problems } = job({ 'run.sh': script('conf/hosts'), ...files });
    expect(run).toMatchObject({ gpus: 8 });
    expect(problems.join()).toContain('"<the hosts of conf/hosts>" (run.sh:1), which says no gpus: 8 is assumed.');
  });
});

it('takes from the policy what a script is started with, and names it where nobody says it', () => {
  const script = `N=$1\ntorchrun --nproc_per_node $GPUS pretrain_gpt.py --num-layers $N --tensor-model-parallel-size \${TP:-1} ${small}`;
  const alone = job({ 'a.sh': script });
  expect(alone.way).toBe('unknown-name');
  expect(alone.problems.join()).toContain('Add `inputs: { "1": ... }` to the entry of this script in the policy.');
  expect(job({ 'a.sh': script }, { inputs: { 1: '24', GPUS: '8', TP: '4' } })).toMatchObject({
    layers: 24,
    run: { gpus: 8, parallelism: { tensor: 4 } },
  });
});

it('takes from the policy what a command of the script prints, and says where a size hangs on what is not followed', () => {
  const script = `torchrun pretrain_gpt.py --num-layers $(python3 size.py --layers) ${small}`;
  expect(job({ 'a.sh': script }).problems[0]).toBe(
    'The script leaves --num-layers to $(python3 size.py --layers). Add `inputs: { "$(python3 size.py --layers)": ... }` to the entry of this script in the policy.',
  );
  expect(job({ 'a.sh': script }, { inputs: { '$(python3 size.py --layers)': '24' } })).toMatchObject({ layers: 24 });
  const loop = `while read -r L; do N=$L; done\ntorchrun pretrain_gpt.py --num-layers $N ${small}`;
  expect(job({ 'a.sh': loop }).problems[0]).toBe(
    'The script leaves --num-layers to the while loop, which is not followed; write out what they are.',
  );
});

it.each([
  [
    'Trainer',
    'accelerate launch train.py --model_name_or_path $MODEL --per_device_train_batch_size 1',
    '--model_name_or_path',
  ],
  ['verl', 'python3 -m verl.trainer.main_ppo actor_rollout_ref.model.path=$MODEL', 'actor_rollout_ref.model.path'],
  [
    'OpenRLHF',
    'deepspeed --module openrlhf.cli.train_sft --pretrain $MODEL --micro_train_batch_size 1 --max_len 8',
    '--pretrain',
  ],
])('says what a model’s name is left to: %s', (_, script, key) => {
  const open = job({ 'a.sh': script });
  expect(open).toMatchObject({ way: 'unknown-name' });
  expect(open.problems[0]).toBe(
    `The script leaves ${key} to MODEL. Add \`inputs: { MODEL: ... }\` to the entry of this script in the policy.`,
  );
  expect(job({ 'a.sh': script }, { inputs: { MODEL: 'meta-llama/Llama-3.1-8B' } }).layers).toBe(32);
});

it('says which count of GPUs is open', () => {
  const read = job({ 'a.sh': `torchrun --nproc_per_node 8 --nnodes $NODES pretrain_gpt.py --num-layers 2 ${small}` });
  expect(read.problems.join()).toMatch(/\$NODES.*says no gpus: 8 is assumed/);
});

it('keeps the program apart from the flags of its launcher', () => {
  const read = job({ 'a.sh': `torchrun --standalone pretrain_gpt.py --num-layers 2 ${small}` });
  expect(read).toMatchObject({ format: 'megatron-shell', layers: 2 });
});

it.each([
  ['an encoder', `torchrun pretrain_bert.py --num-layers 2 ${small}`, 'trains bert'],
  ['layers of several kinds', `torchrun pretrain_gpt.py --hybrid-layer-pattern M-M* ${small}`, 'several kinds'],
])('%s is one sentence, and not a failure', (_, script, words) => {
  const read = job({ 'a.sh': script });
  expect(read.way).toBe('other-model');
  expect(read.problems.join()).toContain(words);
});

it.each([
  ['a tool', 'for f in *.txt; do\n  python convert.py --input $f --output out\ndone'],
  ['generation', `torchrun tools/run_text_generation_server.py --num-layers 2 ${small}`],
  ['an empty list', 'ARGS=()\nif [ -n "$X" ]; then ARGS+=(--x); fi\necho "${ARGS[@]}"'],
])('%s is of no format', (_, script) => {
  expect(job({ 'a.sh': script })).toMatchObject({ format: undefined, way: 'no-config' });
});

it('takes DeepSpeed’s config of a command line from the root, and counts LLaVA’s adapters', () => {
  const read = job({
    'scripts/v1/lora.sh':
      'deepspeed --include localhost:0,1 train.py --deepspeed ./scripts/z3.json --lora_enable True --lora_r 64 \\\n' +
      '  --model_name_or_path lmsys/vicuna-7b-v1.5 --per_device_train_batch_size 4 --bf16 True --model_max_length 2048',
    'scripts/z3.json': '{ "zero_optimization": { "stage": 3 }, "bf16": { "enabled": "auto" } }',
  });
  expect(read).toMatchObject({
    format: 'trainer-script',
    run: { gpus: 2, sharding: 'full', framework: 'deepspeed', lora: { rank: 64, targets: ['all-linear'] } },
  });
});

it('says that the projector alone is trained, and that a tower is not counted', () => {
  const line =
    'deepspeed t.py --model_name_or_path lmsys/vicuna-7b-v1.5 --per_device_train_batch_size 4 --vision_tower x';
  expect(job({ 'a.sh': line }).problems.join()).toContain('vision tower');
  expect(job({ 'a.sh': `${line} --tune_mm_mlp_adapter True` }).way).toBe('other-model');
});

it('is the job of the training file that it starts, with accelerate’s file', () => {
  const read = job({
    'run.sh': 'accelerate launch --config_file conf/a.yaml sft.py --config conf/sft.yaml\n',
    'conf/sft.yaml':
      'model_name_or_path: Qwen/Qwen2.5-7B\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 4\nmax_length: 2048\n',
    'conf/a.yaml': 'distributed_type: DEEPSPEED\nnum_processes: 16\ndeepspeed_config:\n  zero_stage: 2\n',
  });
  expect(read).toMatchObject({
    format: 'launch-script',
    run: { gpus: 16, sharding: 'gradients', microBatchSize: 2, globalBatchSize: 128 },
  });
});

it('gives ms-swift’s own defaults to its Megatron commands', () => {
  const read = job({
    'a.sh':
      'NPROC_PER_NODE=4 megatron sft --model Qwen/Qwen3-8B --tensor_model_parallel_size 2 --max_length 4096 --micro_batch_size 2 --sequence_parallel true --tuner_type lora',
  });
  expect(read).toMatchObject({
    format: 'megatron-shell',
    run: {
      gpus: 4,
      precision: 'bf16',
      sharding: 'optimizer',
      recompute: 'selective',
      globalBatchSize: 16,
      lora: { rank: 8 },
    },
  });
});

describe('reinforcement learning on one set of GPUs', () => {
  const verl = (more: string) =>
    job({
      'a.sh': `python3 -m verl.trainer.main_ppo actor_rollout_ref.model.path=Qwen/Qwen2.5-7B actor_rollout_ref.actor.use_kl_loss=True ${more}`,
    });
  const openrlhf = (more: string) =>
    job({
      'a.sh': `python3 -m openrlhf.cli.train_ppo_ray --actor.model_name_or_path Qwen/Qwen2.5-7B --ds.zero_stage 3 ${more}`,
    });

  it('is read from verl: its engine, its critic, and a reference that FSDP keeps on the CPU', () => {
    const { run, assumptions } = verl('actor_rollout_ref.rollout.gpu_memory_utilization=0.4');
    expect(run?.rollout).toEqual({ share: 0.4, beside: 'states', sleeps: true });
    expect(run?.colocated).toEqual({ critic: { holds: 'states' } });
    expect(assumptions).toEqual(
      expect.arrayContaining(['colocated.reference', 'colocated.critic.parameters', 'throughput']),
    );
  });

  it.each([
    ['algorithm.adv_estimator=grpo', undefined],
    ['critic.enable=false', undefined],
    ['critic.fsdp.optimizer_offload=True', { critic: { holds: 'weights' } }],
    ['critic.fsdp.optimizer_offload=True critic.fsdp.param_offload=True', undefined],
    [
      'actor_rollout_ref.actor.strategy=megatron algorithm.adv_estimator=grpo',
      { reference: { holds: 'weights', dtype: 'bf16' } },
    ],
    [
      'actor_rollout_ref.actor.strategy=megatron algorithm.adv_estimator=grpo actor_rollout_ref.actor.megatron.param_offload=True',
      undefined,
    ],
    [
      'algorithm.adv_estimator=grpo actor_rollout_ref.actor.strategy=megatron actor_rollout_ref.model.lora_rank=8',
      undefined,
    ],
  ])('has of verl with %s beside the actor %j', (more, colocated) => {
    expect(verl(more).run?.colocated).toEqual(colocated);
  });

  it.each([
    ['', { share: 0.5, beside: 'states', sleeps: true }],
    ['actor_rollout_ref.actor.fsdp_config.optimizer_offload=True', { share: 0.5, beside: 'weights', sleeps: true }],
    [
      'actor_rollout_ref.actor.fsdp_config.optimizer_offload=True actor_rollout_ref.actor.fsdp_config.param_offload=True',
      { share: 0.5, beside: 'nothing', sleeps: true },
    ],
    ['actor_rollout_ref.rollout.free_cache_engine=False', { share: 0.5, beside: 'states', sleeps: false }],
    ['actor_rollout_ref.hybrid_engine=False', undefined],
    ['actor_rollout_ref.rollout.nnodes=2', undefined],
  ])('has of verl with "%s" the engine %j', (more, rollout) => {
    expect(verl(more).run?.rollout).toEqual(rollout);
  });

  it('is read from OpenRLHF where it colocates, and not else', () => {
    expect(openrlhf('').run).not.toHaveProperty('colocated');
    expect(openrlhf('').run).not.toHaveProperty('rollout');
    const frozen = { holds: 'weights', dtype: 'bf16' };
    expect(openrlhf('--train.colocate_actor_ref').run?.colocated).toEqual({ reference: frozen });
    const all = openrlhf('--train.colocate_all --reward.model_name_or_path a/b');
    expect(all.run?.colocated).toEqual({ reference: frozen, critic: { holds: 'states' }, reward_model: frozen });
    expect(all.run?.rollout).toEqual({ share: 0.95, beside: 'states', sleeps: false });
    const asleep = openrlhf(
      '--train.colocate_all --vllm.enable_sleep --ds.enable_sleep --vllm.gpu_memory_utilization 0.6 --algo.advantage.estimator rloo --algo.kl.init_coef 0 --reward.remote_url http://x',
    );
    expect(asleep.run?.colocated).toBeUndefined();
    expect(asleep.run?.rollout).toEqual({ share: 0.6, beside: 'weights', sleeps: true });
    expect(openrlhf('--train.colocate_all --train.async_enable').run).not.toHaveProperty('rollout');
    expect(openrlhf('--train.colocate_actor_ref --ref.offload').run).not.toHaveProperty('colocated');
  });

  it('warns where nobody says the share of an engine', () => {
    const { problems, run } = job({
      'a.sh':
        'python train.py --actor-num-nodes 1 --rollout-batch-size 8 --tensor-model-parallel-size 2 --colocate --num-layers 4 --hidden-size 64 --ffn-hidden-size 256 --num-attention-heads 4 --vocab-size 128 --seq-length 256 --micro-batch-size 1',
    });
    expect(run).not.toHaveProperty('rollout');
    expect(problems.join()).toContain('sglang_mem_fraction_static');
  });
});

it('takes slime’s model from the checkpoint where a plugin builds it, and no argument has its sizes', () => {
  const script = (model: string) =>
    `python train.py --rollout-batch-size 8 --actor-num-nodes 1 --actor-num-gpus-per-node 8 --max-tokens-per-gpu 4096 --num-layers 12 --hidden-size 1024 --attention-output-gate ${model}`;
  const named = job({ 'a.sh': script('--hf-checkpoint $BASE/Qwen3-Next-80B-A3B-Thinking') });
  expect(named).toMatchObject({ format: 'slime', layers: 48, run: { gpus: 8 } });
  expect(job({ 'a.sh': script('') }).problems[0]).toContain('attention_output_gate gives the model a gate');
});

it('says that no script gives slime’s model', () => {
  const read = job({
    'run.sh':
      'source "$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)/models/x.sh"\npython train.py ${MODEL_ARGS[@]} --actor-num-nodes 1 --rollout-batch-size 8 --tensor-model-parallel-size 2',
  });
  expect(read.way).toBe('unknown-name');
  expect(read.problems.join()).toContain('models/x.sh');
});
