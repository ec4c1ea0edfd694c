import { findModel } from '../facts/models.ts';
import { tokenizerEntries } from '../facts/tokenizers.ts';

/** Rows that a model needs for a tokenizer that a file names: those of the published model of that name, else its entries. */
export function vocabularyOf(tokenizer: string): number | undefined {
  const published = findModel(tokenizer)?.config['vocab_size'];
  return typeof published === 'number' ? published : tokenizerEntries(tokenizer);
}
