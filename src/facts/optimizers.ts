/**
 * Optimizer state in bytes, master weights not included. `bytes` is the state's own dtype. A hidden matrix can differ from all
 * else (tables, the output, norms, biases): Muon and Adafactor treat only matrices their way.
 */
export type OptimizerFacts = {
  /** for each element of a hidden matrix */
  readonly states: (bytes: number) => number;
  /** for each element of all else */
  readonly other: (bytes: number) => number;
  /** for each row and each column of a hidden matrix */
  readonly edges: number;
  /** 16-bit copies of the largest matrix that a step works on */
  readonly workspace: number;
  readonly source: string;
};

const two = (bytes: number) => 2 * bytes;
const one = (bytes: number) => bytes;
const plain = { edges: 0, workspace: 0 } as const;

export const optimizers = {
  adamw: { states: two, other: two, ...plain, source: 'Loshchilov and Hutter 2019, arXiv:1711.05101: two moments' },
  adam: { states: two, other: two, ...plain, source: 'Kingma and Ba 2015, arXiv:1412.6980: two moments' },
  adamw_8bit: {
    // Two 8-bit moments and an fp32 scale for each block of 256; embeddings and small tensors keep 32 bits.
    states: () => 2 * (1 + 4 / 256),
    other: () => 8,
    ...plain,
    source: 'Dettmers et al. 2022, arXiv:2110.02861; bitsandbytes optim/optimizer.py, blocks of 256',
  },
  adafactor: {
    states: () => 0,
    other: () => 4,
    edges: 4,
    workspace: 0,
    source: 'Shazeer and Stern 2018, arXiv:1804.04235: a row and a column of statistics for each matrix',
  },
  lion: { states: one, other: one, ...plain, source: 'Chen et al. 2023, arXiv:2302.06675: one momentum' },
  sgd: { states: one, other: one, ...plain, source: 'momentum' },
  muon: {
    states: one,
    other: two,
    edges: 0,
    // X, its Gram matrix and their product, of the Newton-Schulz iteration.
    workspace: 3,
    source: 'Jordan et al. 2024: one momentum for hidden matrices, Adam for all else',
  },
} as const satisfies Readonly<Record<string, OptimizerFacts>>;
