import type { Statement } from '../../model/statement.ts';
import { isDictionary, OpenModel, OtherModel } from '../../text/fields.ts';
import { parse } from '../../text/syntax.ts';
import { type Arguments, joined, statingArguments } from '../arguments.ts';
import type { Beside, Format, ParsedFile } from '../format.ts';
import { leftOpen } from '../open.ts';
import { flagsOf, launched, spelled, wordsOf, writtenBy } from '../scripts.ts';
import type { Stating } from '../stating.ts';
import { sayDefaultsOfSwift, swiftRank, swiftRead, swiftTunerOf } from '../swift.ts';
import { bitsNamed, sayLora } from '../trainer.ts';
import { stateModel } from './megatron-model.ts';
import { stateRun } from './megatron-run.ts';

const telling = [
  'num-layers',
  'hidden-size',
  'num-attention-heads',
  'ffn-hidden-size',
  'seq-length',
  'micro-batch-size',
  'global-batch-size',
  'tensor-model-parallel-size',
  'pipeline-model-parallel-size',
  'expert-model-parallel-size',
  'context-parallel-size',
  'sequence-parallel',
  'recompute-granularity',
];

/** Scripts that launch Megatron-LM, Megatron-DeepSpeed and what is built on them: their command line, followed and never run. */
export const megatronShell: Format = {
  id: 'megatron-shell',
  title: 'Megatron-LM launch script',
  syntaxes: ['shell'],
  signature: {
    some: [[3, [...telling, ...telling.map((word) => word.replaceAll('-', '_'))].map((word) => `arguments.${word}`)]],
    // slime's, and arguments of Hugging Face's Trainer.
    not: ['arguments.rollout-batch-size', 'arguments.per_device_train_batch_size'],
    like: [
      [
        'program',
        /^(?!.*(?:text_gen|generat|convert|preprocess|checkpoint[^\s]*\.py|evaluat|eval_?harness|inference|export|tasks\/))/i,
      ],
    ],
  },
  states,
};

function states(script: ParsedFile, beside: Beside): Statement {
  const given = joined(launched(script, beside, megatronNames), ofDeepSpeed(script), named(spelled(flagsOf(script))));
  const say = statingArguments(script, megatronShell.id, given);
  const program = wordsOf(script, 'program');
  const other = /(?:(?:pretrain|finetune|train)_|\/)(bert|t5|retro|ict|vision\w*|vlm|mimo|biencoder|mamba)\b/i.exec(
    program,
  )?.[1];
  if (other !== undefined || say.at('language_model_type') !== undefined)
    throw say.refuse(
      `The script trains ${other ?? 'a model with vision'}, and of Megatron’s models only decoders of text are read.`,
      undefined,
      OtherModel,
    );
  const model = nameOf(say, program);
  if (model === undefined) {
    refuseOpen(say, given);
    stateModel(say);
  } else {
    say.named(model.name, model.key);
    stateSwift(say, model.name);
  }
  stateBf16OfDeepSpeed(say);
  stateRun(say);
  if (say.at('max_length') !== undefined) say.run('sequence_length', 'max_length');
  return say.statement();
}

/** Megatron's words for what a launcher starts. */
const megatronNames = { gpus: 'world_size', nodes: 'nnodes', gpus_per_node: 'nproc_per_node' } as const;

/** The stage that a DeepSpeed config states which the script itself writes. */
function ofDeepSpeed(script: ParsedFile): Arguments {
  const name = flagsOf(script).get('deepspeed_config');
  const text = typeof name?.value === 'string' ? writtenBy(script, name.value) : undefined;
  const parsed = text === undefined ? undefined : parse(Buffer.from(text), 'json');
  const zero = parsed?.kind === 'parsed' && isDictionary(parsed.value) ? parsed.value['zero_optimization'] : undefined;
  if (name === undefined || !isDictionary(zero) || zero['stage'] === undefined) return new Map();
  return new Map([['zero_stage', { value: zero['stage'], at: name.at }]]);
}

/** DeepSpeed's bf16 without ZeRO divides the optimizer's states all the same. */
function stateBf16OfDeepSpeed(say: Stating): void {
  if (say.flag('deepspeed') !== true || say.flag('bf16') !== true || (say.number('zero_stage') ?? 0) !== 0) return;
  say.runIs('sharding', 'optimizer', 'bf16');
  say.assume('sharding', 'optimizer', 'DeepSpeed’s optimizer for bf16 divides its states among the replicas at ZeRO 0');
}

/** Arguments under their names in Megatron's code. */
function named(flags: Arguments): Arguments {
  const found = new Map(flags);
  const parts = flags.get('pp_partition_method');
  // DeepSpeed then counts the embedding and the loss as a layer each.
  if (parts !== undefined && /transformer\|embedding/.test(String(parts.value)))
    for (const name of ['account_for_embedding_in_pipeline_split', 'account_for_loss_in_pipeline_split'])
      found.set(name, { value: true, at: parts.at });
  for (const name of ['nproc_per_node', 'nnodes', 'num_gpus', 'num_nodes', 'world_size']) found.delete(name);
  return found;
}

/** ms-swift names the model, whose sizes it takes from its config. */
function nameOf(say: Stating, program: string): { readonly name: string; readonly key: string } | undefined {
  if (!/(^|[\s/])(megatron|swift)(\s|$)/.test(program) || say.at('num_layers') !== undefined) return undefined;
  for (const key of ['model', 'model_id_or_path', 'load']) {
    const name = say.text(key);
    if (name !== undefined) return { name, key };
  }
  return undefined;
}

const sizes = [
  'num_layers',
  'hidden_size',
  'num_attention_heads',
  'ffn_hidden_size',
  'num_query_groups',
  'num_experts',
  'max_position_embeddings',
];

/** What ms-swift takes where Megatron takes something else, and its adapters. */
function stateSwift(say: Stating, name: string): void {
  const reason = `what ${swiftRead} takes`;
  sayDefaultsOfSwift(say, 'selective');
  say.byDefault('global_batch_size', 16, reason);
  say.byDefault('sharding', 'optimizer', reason);
  say.byDefault('fused_cross_entropy', true, reason);
  say.byDefault('dropout', false, 'what the config of the model says, mostly none');
  const on = swiftTunerOf(say);
  if (on === undefined || !String(say.at(on)).startsWith('lora')) return;
  const keys = { on, rank: 'lora_rank', targets: 'target_modules' };
  sayLora(
    say,
    { ...keys, rankByDefault: swiftRank, targetsByDefault: ['all-linear'], source: swiftRead },
    bitsNamed(name),
  );
}

/** Sizes that the script leaves to its arguments, its environment or a command are one sentence that names them all. */
function refuseOpen(say: Stating, given: Arguments): void {
  const open = sizes.filter((name) => given.get(name)?.needs !== undefined);
  const [first] = open;
  if (first === undefined) return;
  const flags = open.map((name) => `--${name.replaceAll('_', '-')}`).join(', ');
  const needs = [...new Set(open.flatMap((name) => given.get(name)?.needs ?? []))];
  throw say.refuse(leftOpen(flags, needs), first, OpenModel);
}
