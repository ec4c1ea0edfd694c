import { expect, it } from 'vitest';
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
