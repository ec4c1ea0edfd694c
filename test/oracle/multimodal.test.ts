import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { countParameters } from '../../src/cost/count/parameters.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { readConfig } from '../../src/read/config.ts';

type Row = {
  readonly model_type: string;
  readonly variant: string;
  readonly config: object;
  readonly total: number;
  readonly text: number;
};

const rows: readonly Row[] = JSON.parse(readFileSync(new URL('./multimodal.json', import.meta.url), 'utf8'));

const count = (config: object) => {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  return {
    ...countParameters(reading.architecture, expand(reading.architecture)),
    assumptions: reading.assumptions,
  };
};

/** Types of which some variant is not exact in text and towers yet; a type that becomes exact leaves this list. */
const notYet = [
  ...['deepseek_ocr2', 'diffusion_gemma', 'evolla', 'fun_asr_nano', 'git', 'glm5_next', 'idefics'],
  ...['kosmos-2.5', 'kyutai_speech_to_text', 'vibevoice_asr'],
];

const exact = rows.filter(({ model_type }) => !notYet.includes(model_type));

describe('models made of parts, as the official code builds them', () => {
  it.each(exact.map((row) => [row.model_type, row.variant, row] as const))(
    '%s, %s',
    (_type, _variant, { config, total, text }) => {
      const counted = count(config);
      expect(counted.total).toBe(total);
      expect(counted.total - counted.towers).toBe(text);
      expect(counted.exact).toBe(true);
    },
  );

  it('most of them', () => {
    expect(new Set(exact.map(({ model_type }) => model_type)).size).toBeGreaterThanOrEqual(83);
  });

  it('a count that is not exact is never said to be', () => {
    const wrong = rows.filter(({ config, total }) => {
      const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
      if (reading.kind === 'unread') return false;
      const counted = countParameters(reading.architecture, expand(reading.architecture));
      return counted.exact && counted.total !== total;
    });
    expect(wrong.map(({ model_type, variant }) => `${model_type} ${variant}`)).toEqual([]);
  });
});

describe('what a file leaves open', () => {
  it('a sound encoder that nothing here counts takes exactness away, and is named', () => {
    const counted = count({ model_type: 'nemotron_h_omni', audio_config: { model_type: 'parakeet_encoder' } });
    expect(counted.exact).toBe(false);
    expect(counted.assumptions).toContainEqual(
      expect.objectContaining({ field: 'audio_config', value: 'not counted' }),
    );
  });

  const llava = {
    model_type: 'llava',
    text_config: { model_type: 'mistral' },
    vision_config: { model_type: 'siglip_vision_model' },
  };

  it('an encoder of another family is counted by its own type', () => {
    const [clip, siglip] = [count({ ...llava, vision_config: {} }), count(llava)];
    expect(clip.exact && siglip.exact).toBe(true);
    expect(clip.towers).not.toBe(siglip.towers);
    expect(clip.total - clip.towers).toBe(siglip.total - siglip.towers);
  });

  it('an encoder that nobody wrote down is said to be guessed', () => {
    const counted = count({ ...llava, vision_config: { model_type: 'my_vision' } });
    expect(counted.exact).toBe(false);
    expect(counted.assumptions.map(({ field }) => field)).toContain('vision_config.model_type');
  });

  it('a whole that nobody wrote down keeps its text exact and says what is left out', () => {
    const text_config = { model_type: 'qwen3', hidden_size: 1024, num_hidden_layers: 4, vocab_size: 1000 };
    const counted = count({ model_type: 'my_vlm', text_config, vision_config: { model_type: 'siglip_vision_model' } });
    expect(counted.exact).toBe(false);
    expect(counted.total - counted.towers).toBe(count(text_config).total);
    expect(counted.towers).toBeGreaterThan(80_000_000);
    expect(counted.assumptions.map(({ field }) => field)).toEqual(
      expect.arrayContaining(['model_type', 'vision_config']),
    );
  });
});
