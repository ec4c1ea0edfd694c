// Writes docs/flops.md: the conventions, and how much they differ.
//   node scripts/node24.mjs scripts/flops-page.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { countFlops } from '../src/cost/count/flops.ts';
import { expand } from '../src/cost/expand/model.ts';
import type { FlopConvention, FlopCount } from '../src/model/estimate.ts';
import type { RunFields } from '../src/model/run.ts';
import { readConfig } from '../src/read/config.ts';
import { settleRun } from '../src/setup/settle.ts';

const giga = 1e9;

function count(name: string, fields: RunFields): FlopCount {
  const bytes = readFileSync(new URL(`../configs/${name}.json`, import.meta.url));
  const reading = readConfig(bytes, `configs/${name}.json`);
  if (reading.kind === 'unread') throw new Error(`configs/${name}.json cannot be read.`);
  const settling = settleRun([{ origin: 'run', fields: { framework: 'megatron', ...fields } }], reading.architecture);
  if (settling.kind === 'unsettled') throw new Error(`No run for configs/${name}.json.`);
  return countFlops(expand(reading.architecture), settling.settled.run);
}

const order: readonly FlopConvention[] = ['causal', 'full', 'palm', '6n', 'megatron', 'torchtitan'];
const models: readonly (readonly [string, string, number])[] = [
  ['Llama-3.1-8B', 'llama-3.1-8b', 8192],
  ['Llama-3.1-8B', 'llama-3.1-8b', 131_072],
  ['Gemma-2-9B', 'gemma-2-9b', 8192],
  ['gpt-oss-20b', 'gpt-oss-20b', 8192],
  ['Qwen3-30B-A3B', 'qwen3-30b-a3b', 4096],
  ['DeepSeek-V3', 'deepseek-v3', 4096],
];

const cell = (amount: number, causal: number): string => {
  const apart = 100 * (amount / causal - 1);
  return `${(amount / giga).toFixed(2)}${amount === causal ? '' : ` (${apart >= 0 ? '+' : ''}${apart.toFixed(1)} %)`}`;
};
const table = models.map(([label, config, sequenceLength]) => {
  const { conventions } = count(config, { sequenceLength });
  return `| ${label} | ${sequenceLength.toLocaleString('en')} | ${order.map((name) => cell(conventions[name], conventions.causal)).join(' | ')} |`;
});

const run = { sequenceLength: 8192 };
const plain = count('llama-3.1-8b', run);
const adapters = count('llama-3.1-8b', {
  ...run,
  lora: {
    rank: 16,
    targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    baseBits: 16,
  },
});
const executed: readonly (readonly [string, FlopCount])[] = [
  ['all weights trained', plain],
  ['full recompute', count('llama-3.1-8b', { ...run, recompute: 'full' })],
  [
    'selective recompute, Megatron (attention core)',
    count('llama-3.1-8b', { ...run, recompute: 'selective', framework: 'megatron' }),
  ],
  [
    'selective recompute, FSDP (every second product)',
    count('llama-3.1-8b', { ...run, recompute: 'selective', framework: 'fsdp' }),
  ],
  ['LoRA of rank 16 on all projections', adapters],
];
const rows = executed.map(
  ([label, { training, hardware, forward }]) =>
    `| ${label} | ${(training / giga).toFixed(2)} | ${(hardware / giga).toFixed(2)} | ${(hardware / forward.total).toFixed(2)} |`,
);

type Published = {
  readonly model: string;
  readonly sequence_length: number;
  readonly convention: FlopConvention;
  readonly gigaflops_per_token: { readonly median: number; readonly rows: number };
  readonly differs?: { readonly ours_over_published: number; readonly reason: string };
};
const published = JSON.parse(
  readFileSync(new URL('../test/oracle/published-flops.json', import.meta.url), 'utf8'),
) as readonly Published[];
const agreeing = published.filter(({ differs }) => differs === undefined);
// One publication may stand twice, in its own convention and in ours.
const groups = new Map(
  published.map((one) => [`${one.model} ${one.gigaflops_per_token.median}`, one.gigaflops_per_token]),
);
const measurements = [...groups.values()].reduce((sum, { rows: amount }) => sum + amount, 0);
const differing = published.flatMap(({ model, sequence_length, gigaflops_per_token, differs }) =>
  differs === undefined
    ? []
    : [
        `| ${model} | ${sequence_length.toLocaleString('en')} | ${gigaflops_per_token.median.toFixed(2)} | ${(100 * differs.ours_over_published).toFixed(1)} % | ${differs.reason} |`,
      ],
);
const families = new Set(
  (
    JSON.parse(readFileSync(new URL('../test/oracle/flops.json', import.meta.url), 'utf8')) as readonly {
      readonly model_type: string;
    }[]
  ).map(({ model_type }) => model_type),
).size;

/** The text of the page; a test compares it with the file. */
export const flopsPage = `# Which FLOPs

A model has no one number of FLOPs for a token: codebases differ in what they count, by up to a factor of five at long sequences. A throughput in TFLOP/s, or an MFU, means something only with its convention. This tool uses **causal**, prints the others beside it, and \`model-cost mfu\` says what a measured run is in each. This page is written by \`scripts/flops-page.ts\`.

## The conventions

All are for one token of a sequence of S tokens, forward and backward. A multiply-add is 2 FLOPs. The backward pass is twice the forward pass, since each product needs the gradients of its two factors. Lookups are free everywhere, and so are norms, activations, softmax, rotary position and sums.

| | products | attention | router | multi-token prediction | source |
|---|---|---|---|---|---|
| **causal** | every one that a token meets | keys that the mask lets it see | counted | counted where it is trained | this tool |
| **full** | the same | all S keys, masks and windows ignored | counted | counted | PyTorch's FlopCounterMode on eager code |
| **palm** | 6 for each parameter that a token uses, norms and both embeddings too | 12 L H Q S: all S keys | counted | left out | [PaLM](https://arxiv.org/abs/2204.02311), appendix B |
| **6n** | the same | none | counted | left out | [Kaplan et al.](https://arxiv.org/abs/2001.08361) |
| **megatron** | matrices | S / 2 keys whatever the window, no indexer | left out | layer, joining matrix, norms, output | [Megatron-LM](https://github.com/NVIDIA/Megatron-LM/blob/d98e8a64ddf34856e74b24714e3bedb2f5a39553/megatron/training/training.py#L802), \`num_floating_point_operations\` |
| **torchtitan** | 6 for each parameter that a token uses, but for the token table where it is not shared; 18 for each element of a delta rule's state | all S keys, or the window | counted | by its parameters, attention and a second output | [torchtitan](https://github.com/pytorch/torchtitan/pull/4300), \`get_nparams_and_flops\` since pull request 4300 (2026-08) |

The keys that the average query sees, causal: S / 2; within a window of w, w - w²/2S; in chunks of c, c / 2; of k selected keys, k - k²/2S, and the indexer's own scores over all keys; of a context compressed by r, the same over S / r. Some count (S + 1) / 2: the difference is 1 part in S of attention.

Megatron-LM has three habits worth knowing: windows count as full attention; with Mamba-2 layers the inner width is twice the hidden size whatever the config says; and in such models the output gate of attention and the joining matrix of multi-token prediction cost nothing. It also pads the vocabulary to a multiple of 128 times tensor parallelism, which we do not.

## How much they differ

GFLOPs for a token, and the distance from causal.

| model | S | ${order.join(' | ')} |
|---|--:|${order.map(() => '--:').join('|')}|
${table.join('\n')}

## What is trained, and what is executed

Model FLOPs (MFU) are what training needs; hardware FLOPs (HFU) add what recompute executes once more. Llama-3.1-8B, S = 8,192, GFLOPs for a token; the last column is hardware FLOPs over one forward pass.

| | model | hardware | forward passes |
|---|--:|--:|--:|
${rows.join('\n')}

- **Recompute.** Full: the layers once more, all of them, the first of each pipeline stage (\`block\`) or each n-th (\`every\`). Selective in Megatron: the modules named in \`recompute_modules\`. Elsewhere: torchtitan's rule, which keeps attention and every second matrix product. PyTorch's own checkpoint may stop before a layer's last product; that saving is not counted.
- **Encoders.** A sequence has images (\`images_per_sequence\`, 1 where nobody says otherwise; of any size, \`image_size\` 768) or seconds of sound (\`audio_seconds_per_sequence\`, 30) besides its text. What an encoder computes for them is divided by the sequence's tokens and added to causal and full; the other conventions know none. A frozen encoder runs forward alone, and a projector behind it needs no gradient of what it reads. \`docs/coverage.md\` names the encoders of which only weights are counted.
- **LoRA.** A frozen matrix needs no gradient of its weights, so it costs 4 and not 6 for each parameter; attention still costs its whole backward pass; adapters add their own products. Nothing needs a gradient where no trained weight lies before it, so the first layer costs less. Publishers who multiply everything by 2/3 count too little.
- **Experts.** The k chosen and the shared ones, the router over all E, the gate on shared experts. Not the work of padding, imbalance or dropped tokens.
- **Recurrent layers.** Projections, convolution and state update: a chunk of the dual form in Mamba-2, lightning attention and mLSTM, the recurrence elsewhere. \`src/cost/expand/recurrence.ts\` has each with its source.

## Active parameters

Three counts are published under one name, so the report prints all three: with both embeddings (\`active\`), without the input table (\`active_without_embedding\`: a lookup is no product), and without the output projection too (\`active_without_embeddings\`, Kaplan's N). A table that the output shares is a product and stays in the second.

## Checked against

- PyTorch's FlopCounterMode on the official Transformers code of ${families} families (\`scripts/oracle/flops.py\`, \`test/oracle/flops.test.ts\`): forward, with scaled_dot_product_attention, forward and backward, under activation checkpointing, and with adapters. They agree to nine digits, but for differences that the test names with their reasons.
- Megatron-LM's and torchtitan's functions, derived again by hand (\`test/cost/conventions.test.ts\`): dense, grouped queries, experts, latent attention with and without multi-token prediction, gated delta net, hybrid.
- ${measurements} published measurements that state both TFLOP/s and tokens/s, whose quotient is the FLOPs for a token that the publisher used (\`test/oracle/published-flops.json\`). ${agreeing.length} of ${published.length} groups agree within 0.1 % (0.2 % where TFLOP/s are whole numbers). The others:

| model | S | published, GFLOPs | ours | reason |
|---|--:|--:|--:|---|
${differing.join('\n')}
`;

if (process.argv[1] === import.meta.filename) writeFileSync(new URL('../docs/flops.md', import.meta.url), flopsPage);
