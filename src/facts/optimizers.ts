/** Bytes of optimizer state for each parameter, master weights not included; `bytes` is the state's own dtype. */
export const optimizers = {
  adamw: { states: (bytes: number) => 2 * bytes, source: 'Loshchilov and Hutter 2019, arXiv:1711.05101: two moments' },
  adam: { states: (bytes: number) => 2 * bytes, source: 'Kingma and Ba 2015, arXiv:1412.6980: two moments' },
  // Two 8-bit moments and one fp32 scale for each block of 2048.
  adamw_8bit: { states: () => 2 * (1 + 4 / 2048), source: 'Dettmers et al. 2022, arXiv:2110.02861, block of 2048' },
  // A row and a column of statistics for each matrix: next to nothing.
  adafactor: { states: () => 0.004, source: 'Shazeer and Stern 2018, arXiv:1804.04235, factored second moment' },
  lion: { states: (bytes: number) => bytes, source: 'Chen et al. 2023, arXiv:2302.06675: one momentum' },
  sgd: { states: (bytes: number) => bytes, source: 'momentum' },
  muon: { states: (bytes: number) => bytes, source: 'Jordan et al. 2024: one momentum for hidden matrices' },
} as const;
