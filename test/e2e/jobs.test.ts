import { describe, expect, it } from 'vitest';
import { type Ran, runAction } from '../action.ts';
import type { Tree } from '../github-server.ts';
import { config, pullRequest } from '../states.ts';
import { stage } from './stage.ts';

const start = stage();

const policyName = '.github/model-cost.yml';
const budget = (memory: string) => `version: 1\ndefaults: { budgets: { memory: ${memory} } }\n`;

type Side = { readonly run: Record<string, unknown>; readonly memory: { readonly device_bytes: number } } | null;
type Report = {
  readonly comparisons: readonly {
    readonly path: string;
    readonly status: string;
    readonly changes: readonly { readonly path: string; readonly before?: string; readonly after?: string }[];
    readonly base: Side;
    readonly head: Side;
  }[];
};

const judged = async (base: Tree, head: Tree, inputs: Readonly<Record<string, string>> = {}) => {
  const server = await start(pullRequest(base, head));
  const ran: Ran = await runAction(server, { run: '', ...inputs });
  const report: Report = JSON.parse(ran.outputs['report'] ?? '{"comparisons":[]}');
  return { ran, report, body: server.state.comments[0]?.body ?? '' };
};

/** A full fine-tuning of an 8B Llama on eight GPUs. */
const tuning = (changes = '') =>
  `model_name_or_path: meta-llama/Llama-3.1-8B
stage: sft
finetuning_type: full
deepspeed: ds.json
cutoff_len: 4096
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
bf16: true
${changes}`;
const deepspeed = (stage: number) => JSON.stringify({ zero_optimization: { stage }, bf16: { enabled: 'auto' } });

const nanotron = (micro: number) =>
  `model:
  model_config: { is_llama_config: true, hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 8, vocab_size: 128256 }
parallelism: { dp: 8, tp: 1, pp: 1 }
tokens: { sequence_length: 8192, micro_batch_size: ${micro}, batch_accumulation_per_replica: 4 }
optimizer: { zero_stage: 1 }
`;

/** A launch script of Megatron-LM on so many nodes of eight GPUs. */
const slurm = (nodes: number) =>
  `#!/bin/bash
#SBATCH --nodes=${nodes}
#SBATCH --gres=gpu:h100:8
GPUS_PER_NODE=8
torchrun --nproc_per_node $GPUS_PER_NODE --nnodes $SLURM_NNODES pretrain_gpt.py \\
  --num-layers 32 --hidden-size 4096 --ffn-hidden-size 14336 --num-attention-heads 32 \\
  --group-query-attention --num-query-groups 8 --swiglu --normalization RMSNorm --disable-bias-linear \\
  --untie-embeddings-and-output-weights --position-embedding-type rope --vocab-size 128256 \\
  --seq-length 8192 --max-position-embeddings 8192 --micro-batch-size 1 --global-batch-size 128 \\
  --tensor-model-parallel-size 2 --sequence-parallel --use-distributed-optimizer --bf16
`;

describe('a change of one file of a job', () => {
  it('only a micro-batch, in the training file itself', async () => {
    const both = { [policyName]: budget('79GiB') };
    const { ran, report, body } = await judged(
      { ...both, 'train.yaml': nanotron(1) },
      { ...both, 'train.yaml': nanotron(8) },
    );
    expect(ran).toMatchObject({ code: 1, outputs: { verdict: 'fail', 'over-budget': 'true' } });
    expect(report.comparisons).toMatchObject([
      { path: 'train.yaml', base: { run: { micro_batch_size: 1 } }, head: { run: { micro_batch_size: 8, gpus: 8 } } },
    ]);
    expect(body).toContain('| `micro_batch_size` (`tokens.micro_batch_size`): `1` →\u00a0`8` |');
    expect(body).toContain('micro-batch 8');
  });

  it('into a run that cannot start: the rule, at the line of the training file', async () => {
    const titan = (tensor: number) =>
      `[model]\nname = "llama3"\nflavor = "8B"\n[training]\nlocal_batch_size = 1\nseq_len = 8192\nsteps = 1000\n[parallelism]\ntensor_parallel_degree = ${tensor}\ndata_parallel_shard_degree = 8\n`;
    const { ran, report, body } = await judged({ 'train.toml': titan(8) }, { 'train.toml': titan(16) });
    const sentence =
      'Tensor parallelism of 16 does not divide 8 key and value heads. The nearest that works: tensor 8.';
    expect(ran).toMatchObject({ code: 1, outputs: { verdict: 'fail' } });
    expect(ran.log).toContain(`::error title=Model cost,file=train.toml,line=9::${sentence}`);
    expect(body).toContain(sentence);
    expect(report).toMatchObject({ verdict: { findings: [{ code: 'cannot-start', severity: 'fail', line: 9 }] } });
  });

  it('only a DeepSpeed stage: the trainings that name the file are judged, others are not', async () => {
    const both = { 'train.yaml': tuning(), 'other.yaml': nanotron(1), [policyName]: budget('79GiB') };
    const { ran, report, body } = await judged(
      { ...both, 'ds.json': deepspeed(3) },
      { ...both, 'ds.json': deepspeed(0) },
    );
    expect(report.comparisons.map(({ path, status }) => `${path} ${status}`)).toEqual(['train.yaml changed']);
    expect(report.comparisons[0]).toMatchObject({
      base: { run: { sharding: 'full', framework: 'deepspeed' } },
      head: { run: { sharding: 'none' } },
    });
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'over-budget': 'true' });
    expect(body).toContain('| `sharding` (`zero_optimization.stage`): `full` →\u00a0`none` |');
  });

  it('only a file that the policy puts beside a job', async () => {
    const policy = `${budget('79GiB')}configs: [{ match: train.yaml, with: spread.json }]\n`;
    const both = { 'train.yaml': tuning().replace('deepspeed: ds.json\n', ''), [policyName]: policy };
    const { ran, report } = await judged(
      { ...both, 'spread.json': deepspeed(3) },
      { ...both, 'spread.json': deepspeed(0) },
      { configs: 'train.yaml' },
    );
    expect(report.comparisons.map(({ path }) => path)).toEqual(['train.yaml']);
    expect(ran.outputs['verdict']).toBe('fail');
  });

  it('only a part of a job, hidden among more files than are examined', async () => {
    const policy = `${budget('79GiB')}configs: [{ match: train.yaml }]\n`;
    const crowd = (text: string) =>
      Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`a/${index}.json`, `{"${text}": ${index}}`]));
    const both = { 'train.yaml': tuning(), [policyName]: policy };
    const { ran, report } = await judged(
      { ...both, ...crowd('one'), 'ds.json': deepspeed(3) },
      { ...both, ...crowd('other'), 'ds.json': deepspeed(0) },
      { configs: 'train.yaml' },
    );
    expect(report.comparisons.map(({ path }) => path)).toEqual(['train.yaml']);
    expect(ran.outputs['verdict']).toBe('fail');
  });

  it('only an included base', async () => {
    const base = (batch: number) =>
      `base_emb_dim: 4096\nbase_num_query_heads: 32\nbase_num_kv_heads: 8\nbase_mlp_dim: 14336\nbase_num_decoder_layers: 32\nvocab_size: 128256\nhead_dim: 128\ndecoder_block: llama2\nper_device_batch_size: ${batch}\nmax_target_length: 8192\nici_fsdp_parallelism: 8\n`;
    const both = {
      'configs/run.yml': 'base_config: base.yml\nremat_policy: full\nper_device_batch_size: 4\n',
      [policyName]: budget('79GiB'),
    };
    const own = await judged(
      { ...both, 'configs/base.yml': base(1) },
      { ...both, 'configs/base.yml': base(1).replace('num_decoder_layers: 32', 'num_decoder_layers: 160') },
    );
    expect(own.report.comparisons.map(({ path }) => path).sort()).toEqual(['configs/base.yml', 'configs/run.yml']);
    expect(own.ran.outputs['verdict']).toBe('fail');
  });

  it('only the hosts of a launcher, whose file no format reads', async () => {
    const script =
      'deepspeed --hostfile hosts train.py --model_name_or_path meta-llama/Llama-3.1-8B --per_device_train_batch_size 1 --bf16 true --deepspeed ds.json\n';
    const both = { 'train.sh': script, 'ds.json': deepspeed(3), [policyName]: budget('30GiB') };
    const { ran, report } = await judged(
      { ...both, hosts: 'a slots=8\nb slots=8\nc slots=8\n' },
      { ...both, hosts: 'a slots=8\n' },
    );
    expect(report.comparisons).toMatchObject([
      { path: 'train.sh', base: { run: { gpus: 24 } }, head: { run: { gpus: 8 } } },
    ]);
    expect(ran.outputs['verdict']).toBe('fail');
  });

  it('only the number of nodes of a Slurm script', async () => {
    const both = { [policyName]: budget('55GiB') };
    const { ran, report, body } = await judged({ ...both, 'train.sh': slurm(8) }, { ...both, 'train.sh': slurm(1) });
    expect(report.comparisons).toMatchObject([
      { path: 'train.sh', base: { run: { gpus: 64 } }, head: { run: { gpus: 8, parallelism: { tensor: 2 } } } },
    ]);
    expect(report.comparisons[0]?.head?.memory.device_bytes).toBeGreaterThan(
      report.comparisons[0]?.base?.memory.device_bytes ?? Number.POSITIVE_INFINITY,
    );
    expect(body).toContain('Trained on 8 x H100');
    expect(body).toContain('(before: 64 x H100 SXM5 80GB)');
    expect(ran.outputs['verdict']).toBe('fail');
  });

  it('only what the policy puts beside a job', async () => {
    const policy = (file: string) => `${budget('79GiB')}configs: [{ match: train.yaml, with: ${file} }]\n`;
    const both = {
      'train.yaml': tuning().replace('deepspeed: ds.json\n', ''),
      'all.json': deepspeed(3),
      'none.json': deepspeed(0),
    };
    const { ran, report } = await judged(
      { ...both, [policyName]: policy('all.json') },
      { ...both, [policyName]: policy('none.json') },
    );
    expect(report.comparisons.map(({ path }) => path)).toEqual(['train.yaml']);
    expect(ran.outputs['verdict']).toBe('fail');
  });

  it('only what the policy starts a script with', async () => {
    const policy = (micro: number) => `${budget('79GiB')}configs: [{ match: train.sh, inputs: { MICRO: ${micro} } }]\n`;
    const script = slurm(1).replace('--micro-batch-size 1', '--micro-batch-size $MICRO');
    const { ran, report } = await judged(
      { 'train.sh': script, [policyName]: policy(1) },
      { 'train.sh': script, [policyName]: policy(32) },
    );
    expect(report.comparisons).toMatchObject([
      { path: 'train.sh', base: { run: { micro_batch_size: 1 } }, head: { run: { micro_batch_size: 32 } } },
    ]);
    expect(ran.outputs['verdict']).toBe('fail');
  });

  it('only the config that a name stands for in the policy', async () => {
    const policy = (file: string) => `${budget('79GiB')}base_models: { our/base: ${file} }\n`;
    const both = {
      'train.yaml': tuning().replace('meta-llama/Llama-3.1-8B', 'our/base').replace('size: 1', 'size: 8'),
      'other.yaml': nanotron(1),
      'ds.json': deepspeed(3),
      'small.json': config(),
      'large.json': config({ num_hidden_layers: 160 }),
    };
    const { ran, report } = await judged(
      { ...both, [policyName]: policy('small.json') },
      { ...both, [policyName]: policy('large.json') },
    );
    expect(report.comparisons.map(({ path }) => path)).toEqual(['train.yaml']);
    expect(ran.outputs['verdict']).toBe('fail');
  });

  it.each(['configs/8b.env', 'common.slurm'])('only a file of variables that a script reads in: %s', async (file) => {
    const script = slurm(1).replace('GPUS_PER_NODE=8', `source ${file}`).replace('$GPUS_PER_NODE', '8');
    const both = { [policyName]: budget('79GiB'), 'train.sh': script.replace('batch-size 1 ', 'batch-size $MICRO ') };
    const { ran, report } = await judged({ ...both, [file]: 'MICRO=1\n' }, { ...both, [file]: 'MICRO=32\n' });
    expect(report.comparisons).toMatchObject([
      { path: 'train.sh', base: { run: { micro_batch_size: 1 } }, head: { run: { micro_batch_size: 32 } } },
    ]);
    expect(ran.outputs['verdict']).toBe('fail');
  });

  it.each([
    'torchrun --nproc_per_node 2 src/train.py train.yaml',
    'accelerate launch --num_processes 2 src/train.py train.yaml',
    'NPROC_PER_NODE=2 llamafactory-cli train train.yaml',
  ])('only the training file that a script starts on fewer GPUs: %s', async (command) => {
    const both = { [policyName]: budget('79GiB'), 'train.sh': `#!/bin/bash\n${command}\n`, 'ds.json': deepspeed(3) };
    const { ran, report } = await judged(
      { ...both, 'train.yaml': tuning().replace('4096', '1024') },
      { ...both, 'train.yaml': tuning().replace('4096', '16384') },
    );
    expect(report.comparisons).toMatchObject([
      { path: 'train.yaml', head: { run: { gpus: 8 } } },
      { path: 'train.sh', head: { run: { gpus: 2, sequence_length: 16384 } } },
    ]);
    expect(ran.outputs['verdict']).toBe('fail');
  });

  it('only a fragment that says by itself neither what it is nor whose', async () => {
    const training =
      'defaults: base.yaml\npolicy: { model_name: meta-llama/Llama-3.1-8B, train_micro_batch_size: 1 }\ngrpo: { num_prompts_per_step: 8 }\n';
    const fragment = (length: number) => `policy: { max_total_sequence_length: ${length} }\n`;
    const both = { [policyName]: budget('79GiB'), 'train.yaml': training };
    const { ran, report } = await judged(
      { ...both, 'base.yaml': fragment(1024) },
      { ...both, 'base.yaml': fragment(65536) },
    );
    expect(report.comparisons.map(({ path }) => path)).toEqual(['train.yaml']);
    expect(ran.outputs['verdict']).toBe('fail');
  });

  it('only the model config that a training names by its path', async () => {
    const both = {
      [policyName]: budget('79GiB'),
      'train.yaml': tuning().replace('meta-llama/Llama-3.1-8B', 'models/8b').replace('size: 1', 'size: 4'),
      'other.yaml': nanotron(1),
      'ds.json': deepspeed(3),
    };
    const { ran, report } = await judged(
      { ...both, 'models/8b/config.json': config() },
      { ...both, 'models/8b/config.json': config({ num_hidden_layers: 128 }) },
    );
    expect(report.comparisons.map(({ path }) => path)).toEqual(['models/8b/config.json', 'train.yaml']);
    expect(report.comparisons[1]).toMatchObject({ head: { run: { micro_batch_size: 4, framework: 'deepspeed' } } });
    expect(ran.outputs['verdict']).toBe('fail');
  });

  it('is not helped by a budget in the same pull request', async () => {
    const { ran } = await judged(
      { 'train.yaml': tuning(), 'ds.json': deepspeed(3), [policyName]: budget('79GiB') },
      { 'train.yaml': tuning(), 'ds.json': deepspeed(0), [policyName]: budget('2000GiB') },
    );
    expect(ran).toMatchObject({ code: 1, outputs: { verdict: 'fail' } });
  });

  it('names the line of the policy that is missing where a model is in no table', async () => {
    const text = tuning().replace('meta-llama/Llama-3.1-8B', 'our/base');
    const { ran, body } = await judged({}, { 'train.yaml': text, 'ds.json': deepspeed(3) });
    expect(ran.outputs['verdict']).toBe('warn');
    expect(body).toContain('`base_models: { our/base: path/of/config.json }`');
    const policy = 'version: 1\nbase_models: { our/base: models/base.json }\n';
    const config = JSON.stringify({
      model_type: 'llama',
      hidden_size: 4096,
      num_hidden_layers: 2,
      num_attention_heads: 32,
      intermediate_size: 11008,
      vocab_size: 32000,
    });
    const both = { [policyName]: policy, 'models/base.json': config };
    const named = await judged(both, { ...both, 'train.yaml': text, 'ds.json': deepspeed(3) });
    expect(named.ran.outputs['verdict']).toBe('pass');
    expect(named.report.comparisons.map(({ path }) => path)).toEqual(['train.yaml']);
  });
});

describe('a change that would make figures smaller than what is trained', () => {
  const both = { [policyName]: budget('79GiB') };
  const wide = { num_hidden_layers: 160 };

  it.each([
    [
      'a training of a smaller model',
      { model_name_or_path: 'meta-llama/Llama-3.2-1B', per_device_train_batch_size: 1 },
    ],
    ['an adapter', { peft_type: 'LORA', r: 8 }],
    ['a launcher of accelerate', { distributed_type: 'MULTI_GPU', num_processes: 8 }],
    ['DeepSpeed', { zero_optimization: { stage: 3 }, train_batch_size: 8, model_type: undefined, architectures: [] }],
  ])('does not by keys that make a model config look like %s', async (_, keys) => {
    const file = 'models/config.json';
    const changed = await judged({ ...both, [file]: config() }, { ...both, [file]: config({ ...wide, ...keys }) });
    expect(changed.ran).toMatchObject({ code: 1, outputs: { verdict: 'fail' } });
    const added = await judged(both, { ...both, [file]: config({ ...wide, ...keys }) });
    expect(added.ran).toMatchObject({ code: 1, outputs: { verdict: 'fail' } });
    expect(added.body).toMatch(/only one of the two can be meant|over the budget|than the budget allows/);
  });
});
