import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import type { Format, ParsedFile } from '../format.ts';
import { stating } from '../stating.ts';
import { bitsNamed, sayLora, targetsOfPeft } from '../trainer.ts';

const read = 'PEFT 0.17, LoraConfig';

/** PEFT's `adapter_config.json`: a base model by its name, and the adapters over it. */
export const peft: Format = {
  id: 'peft',
  title: 'PEFT adapter_config.json',
  syntaxes: ['json', 'yaml'],
  signature: { has: ['peft_type'], some: [[1, ['r', 'target_modules', 'base_model_name_or_path']]] },
  states: (file: ParsedFile): Statement => {
    const say = stating(file, peft.id);
    const name = say.text('base_model_name_or_path') ?? '';
    if (name !== '') say.named(name, 'base_model_name_or_path');
    const type = textOf(say.at('peft_type')).toUpperCase().slice(0, 40);
    if (type !== 'LORA') {
      say.warn(
        `peft_type is ${type}: of adapters, only LoRA is read; the figures are those of full training.`,
        'peft_type',
      );
      return say.statement();
    }
    sayLora(
      say,
      {
        on: 'peft_type',
        rank: 'r',
        targets: 'target_modules',
        rankByDefault: 8,
        targetsByDefault: targetsOfPeft,
        source: read,
      },
      bitsNamed(name),
    );
    say.byDefault('framework', 'transformers', 'adapters of PEFT are mostly trained with Hugging Face’s Trainer');
    return say.statement();
  },
};
