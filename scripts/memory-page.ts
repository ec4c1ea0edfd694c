// Writes docs/memory.md out of the committed rows.
//   node scripts/node24.mjs scripts/memory-page.ts

import { writeFileSync } from 'node:fs';
import { approximateBands } from '../src/facts/memory.ts';
import { type Step, steps } from './gpu.ts';
import { compare, loadMemory, mean, median, percent, quantile } from './memory.ts';

const compared = loadMemory().map(compare);
const groups = [...new Set(compared.map(({ one }) => one.group))].sort();

const rows = groups.map((group) => {
  const found = compared.filter(({ one }) => one.group === group);
  const errors = found.map(({ error }) => error);
  const signed = median(found.map(({ ratio }) => ratio - 1));
  return `| ${group} | ${found.length} | ${percent(signed)} | ${percent(median(errors))} | ${percent(mean(errors))} | ${percent(quantile(errors, 0.9))} | ${percent(Math.max(...errors))} |`;
});

const measured = steps();
const names: Readonly<Record<string, string>> = { transformers: 'Hugging Face Trainer', fsdp: 'FSDP2, one rank' };
const groupOf = ({ framework, kind }: Step) => `${names[framework] ?? framework}: ${kind}`;
const line = (name: string, of: readonly Step[]): string => {
  const errors = of.map(({ device }) => Math.abs(device));
  const bands = [...new Set(of.map(({ band }) => band))].sort((a, b) => a - b);
  const cells = [
    name,
    of.length,
    percent(median(of.map(({ allocated }) => Math.abs(allocated)))),
    percent(median(errors)),
    percent(Math.max(...errors)),
    bands.map((band) => `±${percent(band)}`).join(', '),
    of.filter(({ inBand }) => inBand).length,
  ];
  return `| ${cells.join(' | ')} |`;
};
const onGpu = [...new Set(measured.map(groupOf))].sort().map((name) =>
  line(
    name,
    measured.filter((step) => groupOf(step) === name),
  ),
);

/** Errors of rows that are like each other, before and after one scales the other by its own error; medians over all pairs. */
function scaled<Row>(rows: readonly Row[], ratioOf: (row: Row) => number, kindOf: (row: Row) => string): string {
  const pairs = rows.flatMap((one) =>
    rows
      .filter((other) => other !== one && kindOf(other) === kindOf(one))
      .map((other) => [ratioOf(one), ratioOf(other)]),
  );
  const before = median(pairs.map(([, other = 1]) => Math.abs(other - 1)));
  const after = median(pairs.map(([one = 1, other = 1]) => Math.abs(other / one - 1)));
  return `${percent(after)} off rather than ${percent(before)}`;
}
const moonlight = compared.filter(({ one }) => one.group === 'nvidia-megatron-bridge-skills');
const model = ({ framework, name }: Step) =>
  `${framework} ${name
    .replace(/^fsdp2 (compile )?/, '')
    .split(' ')
    .slice(0, 2)
    .join(' ')}`;
const ofDevice = ({ device }: Step) => 1 + device;

/** The text of the page; a test compares it with the file. */
export const memoryPage = `# How far to trust the memory figure

The gate fails pull requests on *device*: what nvidia-smi would show on the fullest GPU. It is *allocated* (what \`torch.cuda.max_memory_allocated\` would show) times what the allocator holds beyond it, plus context, libraries and communicators.

## Measured on a GPU

43 training steps of official models on one H200 (\`test/oracle/gpu.jsonl\`; docs/measure.md says how to add a chip). The Trainer's figures on one GPU have no ratio that was fitted: what is allocated is arithmetic, and what the allocator holds beyond it comes of playing two steps on it. But all 43 rows were looked at while their rules were made, and the Trainer's bands were fitted on them, so they are no check. Bands of FSDP2 were chosen after public runs that are not in this repository, so nothing here checks them either.

| kind of run | rows | allocated: median error | device: median error | device: largest | band | rows inside |
|---|--:|--:|--:|--:|--:|--:|
${onGpu.join('\n')}
${line('**all**', measured)}

What is left, by cause:

- **Experts**: the order of allocations was taken from the code of dense models, and kernels of experts have buffers of their own; the largest miss is one gradient of all experts of a layer.
- **BERT**: its logits are 14.6 GiB in fp32, and the allocator holds half of one such block more. Played over the official code, PyTorch's allocator does not show it either.
- **FSDP2** is torchtitan's, whose RMSNorm is one kernel. Rows here run Transformers' models, which write it out: 5 to 11 % of allocated memory without recompute.
- **Counts that are approximate.** 150 published configs of 63 known types were read as if nobody knew their type: half of the types come within 5 % of their own count of parameters, three quarters within 31 %, nine in ten within ${100 * approximateBands.keys} %. That is the band of a family that is read by its keys; one of which only a class or a size is not read has ${100 * approximateBands.rule} %, which is judged.

## What the allocator holds

A tensor that is freed goes back to PyTorch's allocator, which keeps its block and gives it to the next tensor that fits. What nvidia-smi shows grows with every tensor that finds none, so it depends on the order in which a step allocates and frees.

| in a training step | what it does |
|---|---|
| Trainer on one GPU, without recompute | activations fill the holes of the step before: 1 to 11 % more than is allocated |
| with recompute | few blocks are free at the end of the first step but those of the loss, three times the logits in fp32; the states that the optimizer then makes cut them up, and the second step needs new ones: 6 to 29 % more |
| cuBLAS | takes 32 MiB for good at the first product of each pass, out of a block of the loss where no smaller one is free; that alone can cost as much as that block |
| a card that is nearly full | gives segments back that are free as a whole before it runs out of memory: such runs fit, and wait for that in each step |
| experts | gradients of all experts of a layer are one block: 4 to 26 % more |

For the Trainer on one GPU, \`src/cost/memory/replay.ts\` plays two whole steps (each layer forward and backward in the order of PyTorch's autograd, the loss, the optimizer's states) on a model of that allocator, whose sizes are facts with their source. Nothing of it is fitted. For Llama under recompute all 16,000 allocations and frees above 1 MiB are those of the official code, in their order. The same replay over the official code itself (\`scripts/oracle/peak.py\`, tensors without memory) gives *reserved* within 0.2 % of what H200 showed in each of 23 dense rows, so what our figure misses is an order that differs. \`test/oracle/peaks.json\` holds such replays of 20 families, most of them not among the measured rows.

Elsewhere what is reserved is a ratio: with expandable segments, on several GPUs, under Megatron-Core and DeepSpeed. FSDP2's streams have arithmetic of their own (below).

## One measured run

If you have one figure of nvidia-smi for a run, say so in its description:

\`\`\`yaml
calibration: { device_gib: 61.3 }   # of the fullest GPU, in this very run
\`\`\`

Its *device* memory is then that, and a change of it in a pull request is scaled by the same ratio; *allocated* and *reserved* stay what the arithmetic says. The report says that it is scaled. A figure more than twice the projection, or less than half of it, is not used, nor is one for a config that is new in the pull request: neither was measured of it.

The band stays as it is, for this helps only where a fact is missing that both runs share. Of the published rows here, Moonlight's settings are then ${scaled(
  moonlight,
  ({ ratio }) => ratio,
  ({ one }) => one.model,
)} (median over all pairs, one scaling the other). Where the description is complete there is little left to scale: of the steps on H200, pairs of one model and kind are ${scaled(measured, ofDevice, (step) => `${model(step)} ${step.kind}`)}, all pairs of one model ${scaled(measured, ofDevice, model)}.

## Published peaks

*Allocated* is compared with published peaks (\`test/oracle/memory.json\`, each row with its source). The table is written by \`scripts/memory-page.ts\`.

| source | rows | signed median | median error | mean | 90th | max |
|---|--:|--:|--:|--:|--:|--:|
${rows.join('\n')}

**simumax-b200** are Megatron-Core runs on B200 whose every setting is published: trust these within two percent. Their formulas (weight-gradient buffers, the view that holds values in latent attention) were found on this same source by the study that this tool was built from, so they are no independent check.

**ibm-fms-acceleration** is Hugging Face fine-tuning on A100: full, LoRA and QLoRA, on one to four GPUs. Half of the rows are within two percent, without a bias; their AdamW is the \`foreach\` one of 2024, as their runs say. The tail has known causes, which a run description cannot state:

- Full fine-tuning on 2 and 4 GPUs that peaks at twice the bytes of the 16-bit weights it states (twelve rows, 17 to 50 % under): accelerate makes FSDP's shards fp32 where mixed precision is on, and with \`weights_dtype: fp32\` all twelve are within 3.5 %.
- QLoRA through \`prepare_model_for_kbit_training\`, which makes what is not quantised fp32 (six rows, 13 to 30 % under).
- Fused kernels that Granite and gpt_bigcode never got, in rows that say they were on (eight rows, 13 to 33 % under).
- LoRA of gpt_bigcode, which grows as if gradient checkpointing were off (eight rows, 20 to 72 % under).
- Transformers of 2024 made one more fp32 copy of the logits, or for gpt_bigcode none; the loss here is that of 2026.

That adapters over shards keep their residual stream in fp32 was found on these rows.

**nvidia-megatron-bridge-skills** is one model, Moonlight, in six settings. With the dtypes that its recipe states (bf16 gradients and moments, fp32 weights) it is 3 to 6 % under; a run description that leaves them out is 37 % over. State \`gradients_dtype\` and \`optimizer_dtype\` where the optimizer is precision-aware.

All 827 published runs whose speed is compared ([mfu.md](mfu.md)) fitted their cards, so no more than the card has may be *allocated* for any of them. A test holds that, once it is said what their sources leave out: \`test/oracle/unsaid.json\` names each such fact with the framework's own code that states it (MPT's activation and loss, gradients in bf16, modules that are recomputed, activations in CPU memory). As published, 180 would be over.

Not compared with a measured run: DeepSpeed, pipeline schedules other than 1F1B, 8-bit and 4-bit precisions. Bands say so; those of DeepSpeed and of FSDP2 with a pipeline are judged.

## Encoders

Vision and audio encoders keep activations where something of them is trained (\`freeze\`), layer by layer as the text does, and one phase of the backward pass is theirs. How many images or seconds of sound a sequence has is a field of the run; with tensor or context parallelism every GPU holds and computes them whole. Sixteen encoders are held against what the official code keeps of a layer (\`scripts/oracle/encoder_layers.py\`), to the last byte; no whole run with one was measured, and the band says so. Not counted: copies that a processor or a mask makes, and what the forward pass of a frozen encoder needs while it runs.

## Several models on one GPU

Preference and reinforcement learning keep more on a GPU than the model that is trained. Two moments are counted, and the larger is the figure:

- the **update**: everything that one training step of the model needs, and what models of other roles (\`colocated\`: reference, critic, reward model, teacher) keep all the while. Each is laid out as the trained model is: weights in their dtype, and optimizer states where it has updates of its own.
- the **rollout**: the share of each GPU that an inference engine takes (\`rollout.share\`), the same models of other roles, and what stays of the trained one (\`rollout.beside\`).

Not counted: activations of models that score answers, which are there while the trained model has none; what an engine keeps while it sleeps; SGLang's memory beyond its static share. A critic or a reward model is taken to be as large as the trained model unless \`parameters\` says otherwise. This is arithmetic on what the frameworks' code does (verl, OpenRLHF, slime, NeMo RL, in [formats.md](formats.md)), and compared with no measured run.

## What PyTorch allocates

No GPU is needed to know what PyTorch allocates: \`scripts/oracle/peak.py\` runs whole training steps (forward, backward, clipping, AdamW) of official Transformers models with tensors that have a shape and no memory, and counts every storage. \`test/oracle/peaks.json\` holds the peaks of 54 steps of 20 families: bf16, fp32, autocast, adapters, gradient checkpointing, accumulation, two kinds of attention; in 16 bits with what CUDA's autocast computes in fp32, as the Trainer runs. This tool is within 2.3 % of each, and of most within 0.1 %. What kernels allocate inside of themselves is not seen that way.

\`scripts/oracle/fsdp.py\` does it for PyTorch's FSDP2 as torchtitan applies it (29 steps on 8 to 256 ranks, with and without recompute and tensor parallelism): within 0.6 % on data parallelism alone, 2.8 % with tensor parallelism. *Reserved* is held against a model of PyTorch's allocator that is played over the same allocations (\`scripts/oracle/allocator.py\`): FSDP2 gathers and reduces on streams of their own, whose blocks serve no other, so a step of Llama-3-8B with full recompute reserves 30 % more than it allocates. Within 1 % with expandable segments, 8 % without.

\`scripts/oracle/saved_tensors.py\` does the same for what one layer keeps, with real tensors: all families agree within half a percent, mixtures of experts among them.
`;

if (process.argv[1] === import.meta.filename) writeFileSync(new URL('../docs/memory.md', import.meta.url), memoryPage);
