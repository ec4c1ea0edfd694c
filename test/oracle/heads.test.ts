import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { countParameters } from '../../src/cost/count/parameters.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { findComposite } from '../../src/families/multimodal.ts';
import { sameAs } from '../../src/families/text-models.ts';
import { readConfig } from '../../src/read/config.ts';

type Row = { readonly model_type: string; readonly variant: string; readonly config: object; readonly total: number };

const rows: readonly Row[] = JSON.parse(readFileSync(new URL('./heads.json', import.meta.url), 'utf8'));

const read = (config: object) => {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  return { ...reading, counted: countParameters(reading.architecture, expand(reading.architecture)) };
};

/** The byte-level model has no row that reads its keys, and this classifier keeps the language model's own head. */
const notCounted = ['blt', 'modernbert-decoder: ModernBertDecoderForSequenceClassification'];

const counted = rows.filter(
  ({ model_type, variant }) => !notCounted.includes(model_type) && !notCounted.includes(`${model_type}: ${variant}`),
);

describe('what stands on the body, by the class that the config names (transformers 5.18.0)', () => {
  it.each(counted)('$model_type: $variant', ({ config, total }) => {
    expect(read(config).counted).toMatchObject({ exact: true, total });
  });
});

it('an audio classifier is as wide inside as its config says', () => {
  const whisper = { model_type: 'whisper', architectures: ['WhisperForAudioClassification'] };
  const [narrow, wide] = [100, 200].map((size) => read({ ...whisper, classifier_proj_size: size }).counted.total);
  // A projector with a bias from the width, and a classifier of two labels behind it.
  expect((wide ?? 0) - (narrow ?? 0)).toBe(100 * (384 + 1 + 2));
});

describe('a type whose code is another type', () => {
  const sizes = { num_hidden_layers: 2, num_nextn_predict_layers: 0 };
  const under = (model_type: string, name: string) =>
    read({ model_type, ...sizes, architectures: [name] }).assumptions.find(({ field }) => field === 'architectures');
  const alone = Object.entries(sameAs).filter(([type]) => findComposite(type) === undefined);
  const letters = (name: string) => name.replaceAll(/[^A-Za-z0-9]/g, '');

  it.each(alone)('%s takes the classes of %s, and not those of a third', (type, other) => {
    expect(under(type, `${letters(other)}ForCausalLM`)).toBeUndefined();
    expect(under(type, `${letters(type)}ForCausalLM`)).toBeUndefined();
    expect(under(type, 'MambaForCausalLM')?.reason).toContain("not of this family's code");
  });

  // Its code is DeepSeek's own, which has a classifier, and no class that is named after Kimi.
  it('takes a classifier of its code, and none under its own name', () => {
    expect(under('kimi_k2', 'DeepseekV3ForSequenceClassification')).toBeUndefined();
    expect(under('kimi_k2', 'KimiK2ForSequenceClassification')?.reason).toContain("not of this family's code");
  });

  it('the text model of a composite takes them in a config of its own', () => {
    const text_config = { model_type: 'kimi_k2', architectures: ['DeepseekV3ForCausalLM'], num_hidden_layers: 2 };
    const { assumptions } = read({ model_type: 'kimi_k25', text_config, vision_config: {} });
    expect(assumptions.filter(({ field }) => field.endsWith('architectures'))).toEqual([]);
  });

  // Phi-4 with its encoders is not the text model alone.
  it('a composite does not take the class of its text model', () => {
    expect(under('phi4_multimodal', 'Phi3ForCausalLM')?.reason).toContain("not of this family's code");
  });
});

describe('a class of other code', () => {
  const llama = { model_type: 'llama', hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4 };
  const under = (architecture: string, more: object = {}) =>
    read({ ...llama, vocab_size: 1000, architectures: [architecture], ...more });

  it.each(['LlamaRewardModel', 'BitnetForCausalLM', 'LlamaForImages', 'MambaForSequenceClassification'])(
    '%s is not exact, and says why',
    (name) => {
      const { counted, assumptions } = under(name);
      expect(counted.exact).toBe(false);
      expect(assumptions.some(({ field, value }) => field === 'architectures' && value === name)).toBe(true);
    },
  );

  // Of transformers 5.18.0: BartForCausalLM has the decoder alone, GPT2DoubleHeadsModel a classifier beside its output.
  it.each([
    ['bart', 'BartForCausalLM', 'two stacks'],
    ['whisper', 'WhisperForCausalLM', 'two stacks'],
    ['gpt2', 'GPT2DoubleHeadsModel', 'a second head'],
  ])('%s under %s is not exact: %s', (model_type, name, why) => {
    const { counted, assumptions } = read({ model_type, architectures: [name] });
    expect(counted.exact).toBe(false);
    expect(assumptions.find(({ field }) => field === 'architectures')?.reason).toContain(why);
  });

  it('a body has no output and keeps no cache; one that sees ahead keeps none either', () => {
    const { architecture } = under('LlamaModel');
    expect(architecture.head.map(({ kind }) => kind)).toEqual(['norm']);
    expect(architecture.generates).toBe(false);
    expect(under('LlamaForCausalLM').architecture.generates).toBeUndefined();
    expect(under('LlamaForCausalLM', { is_causal: false }).architecture.generates).toBe(false);
  });
});
