import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encoderPasses } from '../../src/cost/count/encoder-passes.ts';
import { forwardFlops } from '../../src/cost/count/forward.ts';
import { parametersOf } from '../../src/cost/count/weights.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { savedTensors, total } from '../../src/cost/memory/activations.ts';
import type { Operation } from '../../src/model/operation.ts';
import { readConfig } from '../../src/read/config.ts';
import { runOf } from '../../src/setup/description.ts';
import { settleRun } from '../../src/setup/settle.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(`./${name}.json`, import.meta.url), 'utf8'));

/** A model of which the encoder is a part, by the encoder's type. */
const composites: Readonly<Record<string, string>> = {
  gemma4_vision: 'gemma4',
  glm4v_vision: 'glm4v',
  glm_ocr_vision: 'glm_ocr',
  idefics3_vision: 'idefics3',
  internvl_vision: 'internvl',
  janus_vision_model: 'janus',
  kimi_k25_vision: 'kimi_k25',
  llama4_vision_model: 'llama4',
  mllama_vision_model: 'mllama',
  qwen2_5_vl_vision: 'qwen2_5_vl',
  qwen2_audio_encoder: 'qwen2_audio',
  qwen2_vl_vision: 'qwen2_vl',
  qwen3_vl_vision: 'qwen3_vl',
};

type Row = {
  readonly model_type: string;
  readonly config: object;
  readonly tokens: number;
  readonly flops: number;
  readonly saved: number;
};

const modelOf = (config: object) => {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  return reading.architecture;
};

function passesOf(type: string, config: object, framework: string) {
  const part = type.endsWith('audio_encoder') ? 'audio_config' : 'vision_config';
  const architecture = modelOf({ model_type: composites[type] ?? 'llava', [part]: config });
  const described = runOf({ framework, gpus: 1, sharding: 'none', weights_dtype: 'bf16', image_size: 224 }, 'run');
  if (described.kind === 'wrong') throw new Error(described.problems[0]?.message);
  const settling = settleRun([{ origin: 'run', fields: described.fields }], architecture);
  if (settling.kind === 'unsettled') throw new Error(settling.problems[0]?.message);
  const operations = expand(architecture);
  const towers = operations.towers.filter(({ path }) => path === 'towers.vision' || path === 'towers.audio');
  return encoderPasses({ ...operations, towers }, settling.settled.run);
}

/** Products that the official code makes and no encoder needs, for the shapes of `encoder_layers.py`. */
const beside: Readonly<Record<string, number>> = {
  // Tables of rotary positions; Gemma's averages of 16 patches each, by a matrix of ones and zeros; Llama's mask of tiles.
  pixtral: 2 * 256 * 64,
  gemma4_vision: 2 * 256 * 32 + 2 * 16 * 256 * 256,
  mllama_vision_model: 2 * 1056 * 1056,
};

const attends = (operations: readonly Operation[]) => operations.some(({ kind }) => kind === 'attention');

describe('encoders beside the official code, to the last FLOP and byte (transformers 5.18.0)', () => {
  const rows: readonly Row[] = read('encoder-layers');

  it.each(rows)('$model_type computes $flops FLOPs for one image or window of sound', (row) => {
    const flops = passesOf(row.model_type, row.config, 'fsdp').reduce(
      (sum, { operations, count, run: { sequenceLength } }) =>
        sum + count * sequenceLength * operations.reduce((all, one) => all + forwardFlops(one, sequenceLength), 0),
      0,
    );
    expect(row.flops - flops).toBe(beside[row.model_type] ?? 0);
  });

  it.each(rows)('$model_type keeps $saved bytes of a layer', ({ model_type, config, tokens, saved }) => {
    // Transformers writes RMSNorm out; under the Trainer's autocast LayerNorm would keep more than here, where there is none.
    const rms = ['gemma4_vision', 'glm4v_vision', 'glm_ocr_vision', 'pixtral', 'qwen2_5_vl_vision'].includes(
      model_type,
    );
    const layer = passesOf(model_type, config, rms ? 'transformers' : 'fsdp').findLast(({ operations }) =>
      attends(operations),
    );
    expect(layer?.run.sequenceLength).toBe(tokens);
    const kept = layer && total(savedTensors(layer.operations, { ...layer.run, recompute: 'none' }));
    // Gemma's norms keep an fp32 copy of their weights (four of 256, two of 64), and their statistics twice.
    const copies = model_type === 'gemma4_vision' ? 4 * (4 * 256 + 2 * 64) + tokens * 4 * (4 + 3 * 4) : 0;
    expect((kept ?? 0) + copies).toBe(saved);
  });
});

describe('what stages hold', () => {
  const known = ({ config }: { readonly config: object }) =>
    readConfig(Buffer.from(JSON.stringify(config)), 'config.json').kind !== 'unread';
  const all: readonly { model_type: string; variant: string; config: object }[] = read('multimodal');
  const rows = all.filter(known);
  const elements = (operations: readonly Operation[]) =>
    operations.reduce((sum, one) => sum + parametersOf({ ...one, heldElsewhere: false }), 0);
  const towersOf = (config: object) => expand(modelOf(config)).towers;

  it.each(rows)('$model_type, $variant: no more than the encoder', ({ config }) => {
    for (const { path, elements: all, computes } of towersOf(config)) {
      const held = computes?.stages.reduce((sum, { operations, count }) => sum + count * elements(operations), 0);
      if (held !== undefined) expect([path, held <= all]).toEqual([path, true]);
    }
  });

  const deeper = (config: Readonly<Record<string, unknown>>, key: string) => {
    const layers = ['num_hidden_layers', 'depth', 'encoder_layers', 'layers', 'vt_num_hidden_layers'];
    const part = { ...(config[key] as Record<string, unknown>) };
    for (const name of layers) if (typeof part[name] === 'number') part[name] += 1;
    return { ...config, [key]: part };
  };
  const layerOf = (config: object, key: string) =>
    towersOf(config)
      .find(({ path }) => path === `towers.${key.split('_')[0]}`)
      ?.computes?.stages.find(({ operations }) => attends(operations));
  // Omni models describe their encoders in a config within.
  const full = rows.filter(({ variant, config }) => variant === 'full' && !('thinker_config' in config));
  const cases = full.flatMap(({ model_type, config }) =>
    ['vision_config', 'audio_config']
      .filter((key) => layerOf(config, key) !== undefined)
      .map((key) => ({ model_type, key, config })),
  );
  it.each(cases)('$model_type: one layer more of $key is one layer of its stages', ({ key, config }) => {
    const held = (one: object) =>
      towersOf(one).find(({ path }) => path === `towers.${key.split('_')[0]}`)?.elements ?? 0;
    const layer = layerOf(config, key)?.operations ?? [];
    expect(held(deeper(config as Record<string, unknown>, key)) - held(config)).toBe(elements(layer));
  });
});
