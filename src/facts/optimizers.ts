import { definition, numbers, type Saying } from './basis.ts';

/** Optimizer state of one element: so many copies in the state's own dtype, and so many bytes that no dtype changes. */
export type StateSize = { readonly copies: number; readonly bytes: number };

/**
 * Optimizer state, master weights not included. A hidden matrix can differ from all else (tables, the output, norms, biases): Muon and
 * Adafactor treat only matrices their way.
 */
export type OptimizerFacts = {
  /** for each element of a hidden matrix */
  readonly matrix: StateSize;
  /** for each element of all else */
  readonly other: StateSize;
  /** bytes for each row and each column of a hidden matrix */
  readonly edges: number;
  /** bytes for each element of the largest tensor that a step works on */
  readonly workspace: number;
  /** tables and the output are factored as matrices are */
  readonly factorsTables: boolean;
};

const paper = (title: string, url: string): Saying => definition({ title, url, date: '2026-11-25' });
const arxiv = (id: string) => `https://arxiv.org/abs/${id}`;

const size = (say: Saying, copies: number, bytes = 0) => ({
  copies: say(copies, 'count'),
  bytes: say(bytes, 'byte/element'),
});

/** The same state for every element. */
const plain = (say: Saying, copies: number) => ({
  matrix: size(say, copies),
  other: size(say, copies),
  edges: say(0, 'byte'),
  workspace: say(0, 'byte/element'),
  factorsTables: false,
});

const bitsandbytes = paper(
  'Dettmers et al. 2021: two 8-bit moments and an fp32 scale for each block of 256; embeddings and small tensors keep 32 bits',
  arxiv('2110.02861'),
);
const adafactor = paper(
  'Shazeer and Stern 2018: a row and a column of fp32 statistics for each matrix, fp32 for all else',
  arxiv('1804.04235'),
);
const adafactorCode = paper(
  'transformers 5.18.0, optimization.py: Adafactor factors every tensor of two dimensions, and its statistics have the dtype of the gradient',
  'https://github.com/huggingface/transformers/blob/v5.18.0/src/transformers/optimization.py',
);
const muon = paper(
  'Jordan et al. 2024: one momentum for hidden matrices, Adam for all else; the Newton-Schulz iteration holds X, its Gram matrix and their product',
  'https://kellerjordan.github.io/posts/muon/',
);

export const optimizers = numbers({
  adamw: plain(paper('Loshchilov and Hutter 2017: two moments', arxiv('1711.05101')), 2),
  adam: plain(paper('Kingma and Ba 2014: two moments', arxiv('1412.6980')), 2),
  adamw_8bit: {
    matrix: size(bitsandbytes, 0, 2 * (1 + 4 / 256)),
    other: size(bitsandbytes, 0, 8),
    edges: bitsandbytes(0, 'byte'),
    workspace: bitsandbytes(0, 'byte/element'),
    factorsTables: false,
  },
  adafactor: {
    matrix: size(adafactor, 0),
    other: size(adafactor, 0, 4),
    edges: adafactor(4, 'byte'),
    // Gradient, weight, its update and their product, each in fp32 (transformers/optimization.py, `Adafactor.step`).
    workspace: adafactorCode(4 * 4, 'byte/element'),
    factorsTables: true,
  },
  lion: plain(paper('Chen et al. 2023: one momentum', arxiv('2302.06675')), 1),
  // Momentum is a setting of the framework (`facts/frameworks.ts`).
  sgd: plain(definition({ title: 'stochastic gradient descent', date: '2026-11-28' }), 0),
  muon: {
    matrix: size(muon, 1),
    other: size(muon, 2),
    edges: muon(0, 'byte'),
    workspace: muon(3 * 2, 'byte/element'),
    factorsTables: false,
  },
}) satisfies Readonly<Record<string, OptimizerFacts>>;

/** Bytes of the state of one element, in a dtype of so many bytes. */
export const bytesOfState = ({ copies, bytes }: StateSize, dtypeBytes: number): number => copies * dtypeBytes + bytes;
