import type { Part } from '../model/architecture.ts';
import { type Fields, Unreadable } from '../text/fields.ts';
import type { Family } from './family.ts';
import { grouped, table } from './pieces.ts';
import { always, each } from './plan.ts';
import type { Shape } from './shape.ts';
import { biasBy, denseOrExperts, fp32HeadNorm, gatedDeltaByKeys, modeling } from './vocabulary.ts';

/** Qwen4: gated delta nets and sparse attention over several residual streams, with tables of hashed n-grams at some layers. */

/** More, or larger, tables would take long to size: each is as large as the next prime. */
const mostTables = 512;
const largestBase = 2 ** 28;

function isPrime(value: number): boolean {
  if (value < 4) return value > 1;
  if (value % 2 === 0) return false;
  for (let divisor = 3; divisor * divisor <= value; divisor += 2) if (value % divisor === 0) return false;
  return true;
}

/** The first `count` primes from `start` on. */
function primesFrom(start: number, count: number): readonly number[] {
  const found: number[] = [];
  for (let value = start; found.length < count; value += 1) if (isPrime(value)) found.push(value);
  return found;
}

/** Layers, counted from 1, that read n-grams. */
function ngramLayers(fields: Fields): readonly number[] {
  const listed = (fields.list('ple_layer_ids') ?? []).filter((id): id is number => typeof id === 'number');
  return [...new Set(listed)].sort((a, b) => a - b);
}

/** One table for each hash of each n-gram, sized by primes, the next layer's going on where this one's end. */
function ngrams(shape: Shape, fields: Fields, index: number): readonly Part[] {
  const heads = (fields.integer('ngram_size', 2) - 1) * fields.integer('heads_per_ngram');
  const base = fields.integer('ngram_vocab_size_base');
  if (heads * (index + 1) > mostTables || base > largestBase)
    throw new Unreadable(
      `More than ${mostTables} n-gram tables, or larger ones than ${largestBase} rows, are not counted.`,
    );
  const rows = primesFrom(base, heads * (index + 1))
    .slice(heads * index)
    .reduce((sum, size) => sum + size, 0);
  const unit = fields.integer('make_ngram_vocab_size_divisible_by');
  const { hiddenSize: D } = shape;
  const width = fields.integerOr('ple_embed_dim', D, 1);
  const all = fields.integer('hc_count') * D;
  const kernel = fields.integer('ple_conv_kernel_size');
  const linear = (path: string, columns: number): Part => ({
    kind: 'linear',
    path,
    rows: width,
    columns,
    bias: false,
    component: 'other',
  });
  return [
    table('ngram.table', Math.ceil(rows / unit) * unit, Math.floor(width / heads), heads),
    linear('ngram.key', all),
    linear('ngram.value', D),
    { kind: 'vector', path: 'norm.ngram', elements: 3 * all, component: 'norm' },
    {
      kind: 'vector',
      path: 'ngram.convolution',
      elements: all * kernel,
      component: 'other',
      flopsPerToken: 2 * all * kernel,
    },
  ];
}

const qwen4: Family = {
  source: modeling('qwen4_exp'),
  defaultsOf: 'qwen4_exp_text',
  norms: 'own',
  finalNorm: false,
  streams: (fields) => ({ count: fields.integer('hc_count', 2), back: 'added', rank: fields.integer('hc_lowrank') }),
  mixers: (shape, fields) => {
    const types = fields.list('layer_types');
    const interval = fields.integer('full_attention_interval');
    const tables = ngramLayers(fields);
    return each(shape, (index) => {
      const linear = types ? types[index] === 'linear_attention' : (index + 1) % interval !== 0;
      const place = tables.indexOf(index + 1);
      const kind = linear ? 'linear' : 'sparse';
      return place < 0 ? kind : { kind, tables: place, label: `${kind} ngram ${place}` };
    });
  },
  layerStart: (shape, fields, { tables }) => (tables === undefined ? [] : ngrams(shape, fields, tables)),
  attention: (shape, fields, mixer) => {
    if (mixer.kind === 'linear') return gatedDeltaByKeys(shape, fields);
    return grouped(shape, {
      bias: biasBy(fields, 'attention_bias'),
      queryKeyNorm: fp32HeadNorm,
      outputGate: 'element',
      span: { kind: 'selected', tokens: fields.integer('indexer_budget') },
      indexer: {
        heads: fields.integer('indexer_n_heads'),
        headDim: fields.integer('indexer_head_dim'),
        norms: 'query and key',
        weighted: false,
        ratio: fields.integer('indexer_compress_ratio'),
      },
    });
  },
  mlps: always('experts'),
  feedForward: denseOrExperts({ shared: { width: 'shared_expert_intermediate_size', gate: true } }),
};

export const qwen4Families: Readonly<Record<string, Family>> = { qwen4_exp_text: qwen4 };
