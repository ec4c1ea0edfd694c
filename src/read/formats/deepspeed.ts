import type { Statement } from '../../model/statement.ts';
import type { Format, ParsedFile } from '../format.ts';
import { sayDeepSpeed } from '../sharded.ts';
import { stating } from '../stating.ts';

/** DeepSpeed's JSON: how the state is divided. It names no model, and leaves much to the trainer (`auto`). */
export const deepspeed: Format = {
  id: 'deepspeed',
  title: 'DeepSpeed JSON',
  syntaxes: ['json'],
  signature: {
    some: [
      [1, ['zero_optimization', 'train_micro_batch_size_per_gpu', 'train_batch_size']],
      [
        2,
        [
          'zero_optimization',
          'zero_optimization.stage',
          'train_micro_batch_size_per_gpu',
          'train_batch_size',
          'gradient_accumulation_steps',
          'fp16.enabled',
          'bf16.enabled',
          'optimizer.type',
          'zero_allow_untested_optimizer',
          'gradient_clipping',
          'steps_per_print',
        ],
      ],
    ],
    not: ['model_type', 'num_layers', 'hidden_size', 'model'],
  },
  states: (file: ParsedFile): Statement => {
    const say = stating(file, deepspeed.id);
    sayDeepSpeed(say);
    return say.statement();
  },
};
