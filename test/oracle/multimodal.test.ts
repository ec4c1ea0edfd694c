import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { expand } from '../../src/cost/operations.ts';
import { countParameters } from '../../src/cost/parameters.ts';
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

/** What people put into pull requests, exact in text and towers in every variant. */
const exact = [
  ...[
    'aria',
    'gemma4',
    'minimax_m3_vl',
    'aya_vision',
    'blip-2',
    'chameleon',
    'cohere2_vision',
    'cosmos3_edge',
    'cosmos3_omni',
    'deepseek_vl',
  ],
  ...[
    'deepseek_vl_hybrid',
    'ernie4_5_vl_moe',
    'exaone4_5',
    'fuyu',
    'gemma3',
    'glm46v',
    'glm4v',
    'glm4v_moe',
    'glm_ocr',
  ],
  ...['glmasr', 'glmga', 'got_ocr2', 'granite4_vision', 'granite_speech', 'granite_speech_plus', 'hunyuan_vl'],
  ...[
    'hyperclovax_vision_v2',
    'idefics2',
    'idefics3',
    'inkling_mm_model',
    'instructblip',
    'instructblipvideo',
    'internvl',
    'janus',
  ],
  ...['kimi_k25', 'lfm2_vl', 'lighton_ocr', 'llama4', 'llava', 'llava_next', 'llava_next_video', 'llava_onevision'],
  ...['minicpmv4_6', 'minicpmv4_7', 'mistral3', 'mllama', 'muse_glimmer', 'nemotron_h_omni', 'ovis2', 'paddleocr_vl'],
  ...['paligemma', 'phi4_multimodal', 'pp_chart2table', 'qianfan_ocr', 'qwen2_5_omni_thinker', 'qwen2_5_vl'],
  ...['qwen2_audio', 'qwen2_vl', 'qwen3_5', 'qwen3_5_moe', 'qwen3_asr', 'qwen3_omni_moe_thinker', 'qwen3_vl'],
  ...['qwen3_vl_moe', 'shieldgemma2', 'smolvlm', 'step3p7', 'video_llama_3', 'video_llava', 'vipllava', 'voxtral'],
  ...['voxtral_realtime'],
];

describe('models made of parts, as the official code builds them', () => {
  it.each(
    rows
      .filter(({ model_type }) => exact.includes(model_type))
      .map((row) => [row.model_type, row.variant, row] as const),
  )('%s, %s', (_type, _variant, { config, total, text }) => {
    const counted = count(config);
    expect(counted.total).toBe(total);
    expect(counted.total - counted.towers).toBe(text);
    expect(counted.exact).toBe(true);
  });

  it('every such type stands in the rows', () => {
    expect(exact.filter((type) => rows.filter(({ model_type }) => model_type === type).length < 4)).toEqual([]);
  });
});

describe('what a file leaves open', () => {
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

  it("Inkling's text is the same under the name that its files give it", () => {
    const inkling = (model_type: string) => count({ model_type: 'inkling_mm_model', text_config: { model_type } });
    expect(inkling('inkling_model').total).toBe(inkling('inkling_text').total);
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
