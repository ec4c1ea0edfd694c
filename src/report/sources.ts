import { conventionSources } from '../facts/conventions.ts';
import type { FlopConvention } from '../model/estimate.ts';

/** Where each formula comes from, printed with every report. */
export const sources: readonly string[] = [
  'Parameters: every matrix, table and vector of the model, as its published code builds it',
  'FLOPs: 2 for each multiply-add; training 3 times forward; causal attention (half of the keys)',
  '  PaLM 6N + 12LHQT: Chowdhery et al. 2022, arXiv:2204.02311, appendix B; 6N: Kaplan et al. 2020, arXiv:2001.08361',
  '  Megatron: Narayanan et al. 2021, arXiv:2104.04473, as Megatron-LM counts since 2024',
  'Memory: Korthikanti et al. 2022, arXiv:2205.05198 (activations); Rajbhandari et al. 2020, arXiv:1910.02054 (ZeRO)',
  'Latent attention: DeepSeek-V2, arXiv:2405.04434, 2.1; experts: DeepSeekMoE, arXiv:2401.06066',
  'Attention kernels: Dao 2023, arXiv:2307.08691; Shah et al. 2024, arXiv:2407.08608',
  'MFU: training FLOPs per token x tokens per second / (GPUs x dense peak), Chowdhery et al. 2022',
];

export const conventionNames: Readonly<Record<FlopConvention, string>> = {
  causal: 'causal (used here)',
  full: 'full attention',
  palm: 'PaLM 6N + 12LHQT',
  '6n': '6N',
  megatron: `Megatron-LM of ${conventionSources.megatron.date}`,
  torchtitan: `torchtitan of ${conventionSources.torchtitan.date}`,
};
