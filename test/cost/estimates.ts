import { estimate } from '../../src/cost/engine.ts';
import { readConfig } from '../../src/read/config.ts';
import { runOf } from '../../src/setup/description.ts';
import { settleRun } from '../../src/setup/settle.ts';

/** A model of a config. */
export function modelOf(config: object) {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  return reading.architecture;
}

/** The cost of a config under a run, both as users write them. */
export function costOf(config: object, run: object = {}): ReturnType<typeof estimate> {
  const architecture = modelOf(config);
  const stated = runOf(run, 'run.yml');
  if (stated.kind === 'wrong') throw new Error(stated.problems[0]?.message);
  const settling = settleRun([{ origin: 'run', fields: { framework: 'megatron', ...stated.fields } }], architecture);
  if (settling.kind === 'unsettled') throw new Error(settling.problems[0]?.message);
  return estimate(architecture, settling.settled);
}

/** A small Llama, whose parameters are counted on one line. */
export const small = {
  model_type: 'llama',
  vocab_size: 1000,
  hidden_size: 512,
  intermediate_size: 1536,
  num_hidden_layers: 4,
  num_attention_heads: 8,
  max_position_embeddings: 4096,
  tie_word_embeddings: false,
};
const [D, I, L, V] = [512, 1536, 4, 1000];
/** Its hidden matrices, all else (table, output, norms), and the rows and columns of the hidden matrices. */
export const hidden = L * (4 * D * D + 3 * D * I);
export const others = 2 * V * D + (2 * L + 1) * D;
export const edges = L * (4 * 2 * D + 3 * (D + I));
/** Rows and columns of table and output, and elements of norms. */
export const edgesOfTables = 2 * (V + D);
export const vectors = (2 * L + 1) * D;

export const mixture = {
  model_type: 'mixtral',
  vocab_size: 1000,
  hidden_size: 512,
  intermediate_size: 1024,
  num_hidden_layers: 4,
  num_attention_heads: 8,
  num_key_value_heads: 8,
  num_local_experts: 8,
  num_experts_per_tok: 2,
  max_position_embeddings: 4096,
  tie_word_embeddings: false,
};
