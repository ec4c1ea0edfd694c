/** Entries of published tokenizers, by words in the names and paths under which training files ask for them; first wins. */
const tokenizers: readonly { readonly named: RegExp; readonly entries: number; readonly source: string }[] = [
  { named: /gpt-?neox|20b_tokenizer|pythia/i, entries: 50277, source: 'EleutherAI/gpt-neox-20b, tokenizer.json' },
  { named: /llama-?3|llama3|128k|cl_toplang/i, entries: 128256, source: 'meta-llama/Llama-3.1-8B, tokenizer.json' },
  { named: /mi[sx]tral|llama/i, entries: 32000, source: 'meta-llama/Llama-2-7b, tokenizer.model' },
  { named: /gpt-?2/i, entries: 50257, source: 'openai-community/gpt2, vocab.json' },
];

/** How many entries a tokenizer has; undefined where its name says nothing that is known. */
export const tokenizerEntries = (name: string): number | undefined =>
  tokenizers.find(({ named }) => named.test(name.slice(0, 300)))?.entries;
