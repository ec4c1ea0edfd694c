import { expect, it } from 'vitest';
import { couldBeConfig } from '../../src/read/config.ts';
import { type JobContext, readJob, trainingFormatOf } from '../../src/read/job.ts';
import { settleRun } from '../../src/setup/settle.ts';
import { parse, trainersSyntaxOf } from '../../src/text/syntax.ts';

/** A repository of training files by path; the first is the root of the job. */
function job(files: Readonly<Record<string, string>>, context: Partial<JobContext> = {}) {
  const [root = ''] = Object.keys(files);
  const known = new Map<string, { kind: 'bytes'; bytes: Uint8Array } | undefined>();
  for (let round = 0; round < 10; round++) {
    const source = parse(Buffer.from(files[root] ?? ''), trainersSyntaxOf(root) ?? 'json');
    if (source.kind === 'broken') throw new Error(source.problem.message);
    const file = { path: root, source };
    const format = trainingFormatOf(file);
    if (format === undefined) throw new Error(`${root} is of no format`);
    const reading = readJob(file, format, { known, baseModels: {}, beside: [], ...context });
    if (reading.kind !== 'needs') {
      const problems = reading.problems.map(({ message }) => message);
      const lines = reading.problems.map(({ line }) => line);
      if (reading.kind === 'unread') return { way: reading.way, problems, lines, run: undefined };
      const settling = settleRun(reading.run, reading.architecture);
      return { way: undefined, problems, lines, run: settling.kind === 'settled' ? settling.settled.run : undefined };
    }
    for (const path of reading.paths)
      known.set(path, path in files ? { kind: 'bytes', bytes: Buffer.from(files[path] ?? '') } : undefined);
  }
  throw new Error('asks for files without end');
}

const llama = 'meta-llama/Llama-3.1-8B';
const factory = (more: string) =>
  `model_name_or_path: ${llama}\nfinetuning_type: full\nbf16: true\nper_device_train_batch_size: 3\ngradient_accumulation_steps: 2\n${more}`;
const axolotl = (more: string) => `base_model: ${llama}\nsequence_len: 2048\nmicro_batch_size: 1\n${more}`;
const trl = (more: string) =>
  `model_name_or_path: ${llama}\nper_device_train_batch_size: 2\nmax_length: 2048\nlearning_rate: 1e-5\n${more}`;

const auto = `{
  "bf16": {"enabled": "auto"},
  "zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}},
  "train_micro_batch_size_per_gpu": "auto", "train_batch_size": "auto", "gradient_accumulation_steps": "auto"
}`;

it('DeepSpeed’s auto is what the trainer’s arguments say', () => {
  const { run, problems } = job({ 'train.yaml': factory('deepspeed: ds/z2.json\n'), 'ds/z2.json': auto });
  expect(run).toMatchObject({
    framework: 'deepspeed',
    sharding: 'gradients',
    offload: 'optimizer',
    microBatchSize: 3,
    globalBatchSize: 3 * 2 * 8,
    precision: 'bf16',
  });
  expect(problems).toEqual([]);
});

it('what both files state differently is one sentence that names both places, and the root holds', () => {
  const stated = auto.replace('"train_micro_batch_size_per_gpu": "auto"', '"train_micro_batch_size_per_gpu": 16');
  const { run, problems } = job({ 'train.yaml': factory('deepspeed: z2.json\n'), 'z2.json': stated });
  expect(run?.microBatchSize).toBe(3);
  expect(problems).toEqual(['micro_batch_size is 3 at train.yaml:4 and 16 at z2.json:4; the first is taken.']);
});

it('a problem has the line of the file that starts the job, and says the place in any other', () => {
  const own = job({ 'train.yaml': factory('').replace('batch_size: 3', 'batch_size: many') });
  expect([own.problems, own.lines]).toEqual([
    ['per_device_train_batch_size gives "many" for micro_batch_size, which cannot be used, so it is left out.'],
    [4],
  ]);
  const accelerate = 'distributed_type: MULTI_GPU\nnum_processes: many\nmixed_precision: bf16\n';
  const other = job({ 'sft.yaml': trl(''), 'acc.yaml': accelerate }, { beside: ['acc.yaml'] });
  expect([other.problems, other.lines]).toEqual([
    ['acc.yaml:2: num_processes gives "many" for gpus, which cannot be used, so it is left out.'],
    [undefined],
  ]);
});

it('a file that another one names and that is not there is told of at its place', () => {
  const accelerate = 'distributed_type: DEEPSPEED\ndeepspeed_config:\n  deepspeed_config_file: ds/z2.json\n';
  const { problems, lines } = job({ 'sft.yaml': trl(''), 'acc.yaml': accelerate }, { beside: ['acc.yaml'] });
  expect(problems[0]).toMatch(/^acc\.yaml:3: \S+ names ds\/z2\.json, which is not a file of this repository/);
  expect(lines[0]).toBeUndefined();
});

it('what is wrong in a file that another one names is told once, at its place', () => {
  const twice = '{\n"zero_optimization": {"stage": 2},\n"bf16": {"enabled": true},\n"bf16": {"enabled": true}}';
  const warned = job({ 'train.yaml': factory('deepspeed: z2.json\n'), 'z2.json': twice });
  expect([warned.problems, warned.lines]).toEqual([
    ['z2.json:4: The key bf16 appears twice; the last one is used.'],
    [undefined],
  ]);
  const broken = job({ 'train.yaml': factory('deepspeed: z2.json\n'), 'z2.json': '{\n"zero_optimization"' });
  expect(broken.problems.filter((problem) => problem.includes('JSON'))).toEqual([
    'z2.json:2: The file is not valid JSON: Unexpected end of JSON input.',
  ]);
});

it('a number that is not finite is told of as it stands', () => {
  const { problems } = job({ 'train.yaml': factory('').replace('batch_size: 3', 'batch_size: .inf') });
  expect(problems).toEqual([
    'per_device_train_batch_size gives Infinity for micro_batch_size, which cannot be used, so it is left out.',
  ]);
});

it('a stage in the file goes before the stage in its name', () => {
  const { run } = job({
    'train.yaml': factory('deepspeed: zero3.json\n'),
    'zero3.json': '{"zero_optimization": {"stage": 1}, "bf16": {"enabled": true}}',
  });
  expect(run).toMatchObject({ framework: 'deepspeed', sharding: 'optimizer', masterWeights: true });
});

it('a DeepSpeed file is found beside the file that names it, too', () => {
  const { run, problems } = job({ 'a/b/train.yaml': factory('deepspeed: z2.json\n'), 'a/b/z2.json': auto });
  expect(run?.sharding).toBe('gradients');
  expect(problems).toEqual([]);
});

it('a DeepSpeed file that is not there is said', () => {
  const { run, problems } = job({ 'train.yaml': factory('deepspeed: configs/ours.json\n') });
  expect(run?.framework).toBe('deepspeed');
  expect(problems.join()).toContain('deepspeed names configs/ours.json, which is not a file of this repository');
});

it.each(['../../../etc/passwd', '/etc/passwd', '~/zero3.json', 'https://example.com/zero3.json'])(
  'no path leaves the repository: %s',
  (path) => {
    const { problems } = job({ 'train.yaml': factory(`deepspeed: ${path}\n`) });
    expect(problems.join()).toContain('is not a path of this repository');
  },
);

it('DeepSpeed’s keys may stand in the trainer’s file', () => {
  const { run } = job({
    'args.json': JSON.stringify({
      model_name_or_path: llama,
      per_device_train_batch_size: 2,
      output_dir: 'o',
      deepspeed: { zero_optimization: { stage: 3, offload_param: { device: 'nvme' } }, bf16: { enabled: true } },
    }),
  });
  expect(run).toMatchObject({ framework: 'deepspeed', sharding: 'full', offload: 'parameters', precision: 'bf16' });
});

it('accelerate’s file brings GPUs, sharding and precision to a job that the policy puts it beside', () => {
  const accelerate = `distributed_type: FSDP
mixed_precision: bf16
num_machines: 2
num_processes: 16
fsdp_config: { fsdp_version: 2, fsdp_reshard_after_forward: false, fsdp_activation_checkpointing: true }
`;
  const files = { 'sft.yaml': trl('torch_dtype: bfloat16\n'), 'acc.yaml': accelerate };
  expect(job(files, { beside: ['acc.yaml'] }).run).toMatchObject({
    gpus: 16,
    gpusPerNode: 8,
    framework: 'fsdp',
    sharding: 'full',
    reshardAfterForward: false,
    recompute: 'full',
    // FSDP casts what it trains up, whatever dtype it was loaded in.
    weightsDtype: 'fp32',
  });
});

it('accelerate’s file may name DeepSpeed’s', () => {
  const accelerate =
    'distributed_type: DEEPSPEED\nnum_processes: 4\ndeepspeed_config:\n  deepspeed_config_file: ds/z2.json\n';
  const files = { 'sft.yaml': trl(''), 'acc.yaml': accelerate, 'ds/z2.json': auto };
  expect(job(files, { beside: ['acc.yaml'] }).run).toMatchObject({
    gpus: 4,
    framework: 'deepspeed',
    sharding: 'gradients',
    offload: 'optimizer',
    globalBatchSize: 2 * 4,
  });
});

it.each([
  ['FULL_SHARD', 'full'],
  ['SHARD_GRAD_OP', 'gradients'],
  ['NO_SHARD', 'none'],
  [1, 'full'],
  [2, 'gradients'],
] as const)('FSDP’s strategy %s is %s', (strategy, sharding) => {
  const { run } = job({
    'train.yaml': axolotl(`fsdp: [auto_wrap]\nfsdp_config: { fsdp_sharding_strategy: ${strategy} }\n`),
  });
  expect(run).toMatchObject({ framework: 'transformers', sharding });
});

it.each([
  ['fsdp: [full_shard]\nfsdp_version: 2\n', 'fsdp', undefined],
  ['fsdp_config: { fsdp_version: 2, offload_params: true }\n', 'fsdp', 'parameters'],
  ['fsdp: full_shard auto_wrap\n', 'transformers', undefined],
  ['fsdp: full_shard offload\n', 'fsdp', 'parameters'],
] as const)('FSDP1 is as Trainer was measured, FSDP2 and offloading are FSDP: %j', (more, framework, offload) => {
  const { run } = job({ 'train.yaml': axolotl(more) });
  expect(run).toMatchObject({ framework, sharding: 'full' });
  expect(run?.offload).toBe(offload);
});

it('an empty fsdp or deepspeed is none', () => {
  const { run } = job({ 'train.yaml': axolotl('fsdp:\nfsdp_config:\ndeepspeed:\n') });
  expect(run).toMatchObject({ framework: 'transformers', sharding: 'none' });
});

it('checkpointing has another default in each: LLaMA-Factory and TRL on, axolotl and Trainer off', () => {
  const trainer = `model_name_or_path: ${llama}\nper_device_train_batch_size: 2\noutput_dir: o\n`;
  const recompute = (text: string) => job({ 'train.yaml': text }).run?.recompute;
  expect([factory(''), trl(''), axolotl(''), trainer].map(recompute)).toEqual(['full', 'full', 'none', 'none']);
  expect(recompute(factory('disable_gradient_checkpointing: yes\n'))).toBe('none');
  expect(recompute(trl('gradient_checkpointing: off\n'))).toBe('none');
});

it('LLaMA-Factory trains fp32 weights unless pure_bf16 or a sharding framework says otherwise', () => {
  const dtype = (text: string) => job({ 'train.yaml': text }).run?.weightsDtype;
  expect(dtype(factory(''))).toBe('fp32');
  expect(dtype(factory('pure_bf16: true\n'))).toBe('bf16');
  expect(dtype(factory('deepspeed: zero3.json\n'))).toBeUndefined();
});

it('LLaMA-Factory’s Megatron adapter has Megatron’s keys', () => {
  const { run } = job({
    'train.yaml': factory(
      'pipeline_model_parallel_size: 4\ntensor_model_parallel_size: 2\nexpert_tensor_parallel_size: 1\nuse_distributed_optimizer: true\nrecompute_granularity: selective\n',
    ),
  });
  expect(run).toMatchObject({
    framework: 'megatron',
    sharding: 'optimizer',
    recompute: 'selective',
    parallelism: { tensor: 2, pipeline: 4, expertTensor: 1 },
  });
});

it.each([
  ['lora_target_linear: true', ['all-linear']],
  ['lora_target_modules: [model.layers.*.self_attn.q_proj, v_proj]', ['q_proj', 'v_proj']],
  ['lora_target_modules: "q_proj, o_proj"', ['q_proj', 'o_proj']],
  ['lora_dropout: 0', ['q_proj', 'v_proj']],
  ['lora_target_modules: model.layers.[\\d]+.(mlp|self_attn).(up|q|v)_proj', ['q_proj', 'v_proj', 'up_proj']],
] as const)('adapters: %s', (line, targets) => {
  const { run } = job({ 'train.yaml': axolotl(`adapter: qlora\nload_in_4bit: true\nlora_r: 8\n${line}\n`) });
  expect(run?.lora).toEqual({ rank: 8, targets, baseBits: 4 });
});

it('a name can say that the base is quantised', () => {
  const { run } = job({ 'train.yaml': `base_model: unsloth/Meta-Llama-3.1-8B-bnb-4bit\nadapter: lora\nlora_r: 8\n` });
  expect(run?.lora?.baseBits).toBe(4);
});

it.each([
  [factory('').replace('full', 'freeze'), 'the figures are too high'],
  [factory('use_galore: true\n'), 'keeps less than AdamW'],
  [axolotl('unfrozen_parameters: [lm_head.*]\n'), 'the figures are too high'],
  [axolotl('adapter: oft\n'), 'adapter is oft'],
  [axolotl('adapter: lora\nlora_r: 8\nlora_target_modules: "layers.(0|1).*"\n'), 'is a pattern that names no module'],
])('what is not counted is said: %#', (text, words) => {
  expect(job({ 'train.yaml': text }).problems.join()).toContain(words);
});

it.each(['a/models/ours', 'models/ours'])('a model may be a folder of the repository: %s', (folder) => {
  const config =
    '{"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100}';
  const text = axolotl('').replace(llama, './models/ours');
  const { run, problems } = job({ 'a/train.yaml': text, [`${folder}/config.json`]: config });
  expect(run).toBeDefined();
  expect(problems).toEqual([]);
});

it('a name that nobody knows is a sentence with the line for the policy', () => {
  const { way, problems } = job({ 'train.yaml': axolotl('').replace(llama, 'nobody/knows') });
  expect(way).toBe('unknown-name');
  expect(problems.join()).toContain('base_models: { nobody/knows: path/of/config.json }');
});

it('a file of arguments that names no model is not judged alone', () => {
  expect(job({ 'train.yaml': trl('').replace(/^.*\n/, '') }).way).toBe('no-model');
});

it('PEFT’s files are looked at', () => {
  expect(couldBeConfig('out/adapter_config.json')).toBe(true);
});

it('a launch script’s arguments go before those of the YAML that it names, and accelerate’s file is followed', () => {
  const script = `#SBATCH --nodes=2
accelerate launch --config_file acc.yaml --num_processes 16 train.py sft.yaml --gradient_accumulation_steps=4
`;
  const accelerate = 'distributed_type: DEEPSPEED\nnum_processes: 16\ndeepspeed_config:\n  zero_stage: 3\n';
  const files = { 'run.sh': script, 'sft.yaml': trl('gradient_accumulation_steps: 1\n'), 'acc.yaml': accelerate };
  const { run, problems } = job(files);
  expect(run).toMatchObject({
    gpus: 16,
    framework: 'deepspeed',
    sharding: 'full',
    recompute: 'full',
    globalBatchSize: 2 * 4 * 16,
  });
  expect(problems).toEqual(['gradient_accumulation is 4 at run.sh:2 and 1 at sft.yaml:5; the first is taken.']);
});

it('LLaMA-Factory’s arguments may stand on a command line', () => {
  const script = `torchrun --nproc_per_node 4 src/train.py --stage sft --model_name_or_path ${llama} --finetuning_type lora --per_device_train_batch_size 2 --fp16\n`;
  expect(job({ 'run.sh': script }).run).toMatchObject({
    gpus: 4,
    precision: 'fp16',
    recompute: 'full',
    lora: { rank: 8, targets: ['all-linear'], baseBits: 16 },
  });
});

it('a file that is beyond what a job is followed through is said', () => {
  const many = Array.from({ length: 40 }, (_, at) => `ds/${at}.json`);
  const files = { 'sft.yaml': trl(''), ...Object.fromEntries(many.map((path) => [path, auto])) };
  const { problems } = job(files, { beside: many });
  expect(problems.filter((message) => message.includes('is not read: a job is followed through')).length).toBe(9);
});

/** The run of one file, or of a script that launches one. */
const preference = (files: Record<string, string>) => {
  const { run } = job(files);
  return { held: Object.keys(run?.colocated ?? {}), sequences: run?.sequencesPerSample ?? 1 };
};

it.each([
  ['axolotl, DPO', { 'a.yaml': axolotl('rl: dpo\n') }],
  ['LLaMA-Factory, DPO', { 'a.yaml': factory('stage: dpo\n') }],
  ['TRL, DPO', { 'a.yaml': trl('beta: 0.1\n') }],
  ['ms-swift, DPO', { 'a.yaml': trl('rlhf_type: dpo\n') }],
  ['TRL, DPO by its program', { 'run.sh': 'trl dpo --config a.yaml\n', 'a.yaml': trl('') }],
])('%s: pairs of answers beside a reference', (_, files) => {
  expect(preference(files)).toEqual({ held: ['reference'], sequences: 2 });
});

it.each([
  ['adapters', { 'a.yaml': axolotl('rl: dpo\nadapter: lora\nlora_r: 8\n') }],
  ['a weight of zero', { 'a.yaml': trl('beta: 0.0\n') }],
  ['ORPO in axolotl', { 'a.yaml': axolotl('rl: orpo\n') }],
  ['a reward model in axolotl', { 'a.yaml': axolotl('reward_model: true\n') }],
  ['SimPO in LLaMA-Factory', { 'a.yaml': factory('stage: dpo\npref_loss: simpo\n') }],
  ['a reward model in LLaMA-Factory', { 'a.yaml': factory('stage: rm\n') }],
  ['CPO in TRL', { 'a.yaml': trl('beta: 0.1\ncpo_alpha: 0.5\n') }],
  [
    'ORPO by its program',
    {
      'run.sh': `accelerate launch scripts/run_orpo.py --beta 0.1 --model_name_or_path ${llama} --per_device_train_batch_size 1\n`,
    },
  ],
  [
    'ORPO by the program that a YAML is given to',
    { 'run.sh': 'trl orpo --config a.yaml\n', 'a.yaml': trl('beta: 0.1\n') },
  ],
  [
    'ORPO by a program whose flags go before its YAML',
    { 'run.sh': 'trl orpo --config a.yaml --beta 0.2\n', 'a.yaml': trl('beta: 0.1\n') },
  ],
])('%s: pairs of answers and no reference', (_, files) => {
  expect(preference(files)).toEqual({ held: [], sequences: 2 });
});

it.each([
  ['KTO in TRL', { 'a.yaml': trl('beta: 0.1\ndesirable_weight: 1.0\n') }],
  ['KTO in LLaMA-Factory', { 'a.yaml': factory('stage: kto\n') }],
  ['GRPO in TRL', { 'a.yaml': trl('beta: 0.04\nnum_generations: 8\n') }],
])('%s: a reference and single answers', (_, files) => {
  expect(preference(files)).toEqual({ held: ['reference'], sequences: 1 });
});

it.each([
  ['supervised training', { 'a.yaml': factory('stage: sft\n') }],
  ['distillation with a beta', { 'a.yaml': trl('beta: 0.5\nteacher_model_name_or_path: Qwen/Qwen3-8B\n') }],
])('%s: neither', (_, files) => {
  expect(preference(files)).toEqual({ held: [], sequences: 1 });
});

const saved = '{ "peft_type": "LORA", "base_model_name_or_path": "x", "r": 64, "target_modules": ["q_proj"] }';
const adapted = `${factory('').replace('full', 'lora')}lora_rank: 8\nadapter_name_or_path: saves/old, saves/sft\n`;

it.each([
  ['LLaMA-Factory', adapted],
  ['axolotl', axolotl('adapter: lora\nlora_r: 8\nlora_target_linear: true\nlora_model_dir: saves/sft\n')],
])('%s goes on with saved adapters as they were saved', (_, text) => {
  const { run, problems } = job({ 'train.yaml': text, 'saves/sft/adapter_config.json': saved });
  expect(run?.lora).toMatchObject({ rank: 64, targets: ['q_proj'] });
  expect(problems).toEqual([]);
});

it('new adapters over merged ones have the rank that the file says, and so have saved ones that are not in the repository', () => {
  const files = { 'saves/sft/adapter_config.json': saved };
  expect(job({ 'train.yaml': `${adapted}create_new_adapter: true\n`, ...files }).run?.lora?.rank).toBe(8);
  expect(job({ 'train.yaml': adapted }).run?.lora?.rank).toBe(8);
});
