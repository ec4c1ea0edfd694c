import { describe, expect, it } from 'vitest';
import { settleRun } from '../../src/setup/settle.ts';
import { reviewOf } from '../stories.ts';
import { costOf, modelOf, small } from './estimates.ts';

// LLaVA 1.5: CLIP ViT-L/14 for images of 336 pixels, and two matrices to a text of 4,096, here before a small Llama as wide.
const [T, V, I, L] = [4096, 1000, 1024, 2];
const clip = 303_507_456;
const projector = 1024 * T + T + T * T + T;
const text = 2 * V * T + L * (4 * T * T + 3 * T * I + 2 * T) + T;
const llava = {
  model_type: 'llava',
  text_config: { ...small, hidden_size: T, intermediate_size: I, num_hidden_layers: L, num_attention_heads: 32 },
};

/** CLIP ViT-L/14, which a config of LLaVA without one has. */
const clipVision = {
  model_type: 'clip_vision_model',
  hidden_size: 1024,
  intermediate_size: 4096,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  image_size: 336,
  patch_size: 14,
};

/** What lies on one GPU all the time, in bytes: with a second micro-batch gradients are never away. */
function held(run: object, config: object = llava) {
  const { gpus = 8, parallelism = {} } = run as { gpus?: number; parallelism?: { tensor?: number; pipeline?: number } };
  const replicas = gpus / (parallelism.tensor ?? 1) / (parallelism.pipeline ?? 1);
  const cost = costOf(config, { gpus, sequence_length: 64, global_batch_size: 2 * replicas, ...run });
  const { weights, gradients, optimizer_states: optimizer } = cost.memory.components;
  return { weights, gradients, optimizer, cost };
}

describe('encoders in memory', () => {
  it('the model has as many parameters as its lines say', () => {
    const { parameters } = costOf(llava);
    expect([parameters.total, parameters.towers]).toEqual([text + clip + projector, clip + projector]);
  });

  // Megatron: 16-bit weights, fp32 gradients, 12 bytes of optimizer states; ZeRO with 16-bit gradients.
  it.each([
    ['megatron', 'none', 2, 4, 12],
    ['megatron', 'optimizer', 2, 4, 12 / 8],
    ['deepspeed', 'none', 2, 2, 12],
    ['deepspeed', 'full', 2 / 8, 2 / 8, 12 / 8],
    ['fsdp', 'full', 4 / 8, 4 / 8, 8 / 8],
  ])(
    '%s, sharding %s: %d + %d + %d bytes of each parameter, frozen only the weights',
    (framework, sharding, ...each) => {
      const [weight, gradient, optimizer] = each;
      const all = held({ framework, sharding });
      const total = text + clip + projector;
      expect([all.weights, all.gradients, all.optimizer]).toEqual([
        weight * total,
        gradient * total,
        optimizer * total,
      ]);
      const frozen = held({ framework, sharding, freeze: ['vision'] });
      const trained = text + projector;
      expect(frozen.weights).toBe(all.weights);
      expect([frozen.gradients, frozen.optimizer]).toEqual([gradient * trained, optimizer * trained]);
      expect(frozen.cost.parameters.trainable).toBe(trained);
      expect(frozen.cost.parameters.total).toBe(total);
    },
  );

  it.each([
    [['vision'], text + projector],
    [['projector'], text + clip],
    [['vision', 'projector'], text],
    [['towers'], text],
    [['audio'], text + clip + projector],
    [[], text + clip + projector],
  ])('freeze: %j trains %d parameters', (freeze, trained) => {
    const run = { framework: 'deepspeed', sharding: 'none', freeze };
    expect(held(run).gradients).toBe(2 * trained);
    expect(held(run).cost.parameters.trainable).toBe(trained);
  });

  it('tensor parallelism does not divide them, and they stand on the first stage of a pipeline', () => {
    const norms = (2 * L + 1) * T;
    const tower = clip + projector;
    const divided = held({ framework: 'megatron', sharding: 'none', parallelism: { tensor: 2 } });
    expect(divided.weights).toBe(2 * ((text - norms) / 2 + norms + tower));
    const staged = held({ framework: 'megatron', sharding: 'none', parallelism: { pipeline: 2 } });
    expect(staged.weights).toBe(2 * ((text - T) / 2 + tower));
    expect(staged.cost.memory.stage).toBe(0);
  });

  it('adapters leave them frozen and without adapters of their own', () => {
    const run = { framework: 'transformers', gpus: 1, lora: { rank: 8, targets: ['all-linear'] } };
    const seeing = held(run);
    const reading = held(run, llava.text_config);
    expect(seeing.weights - reading.weights).toBe(2 * (clip + projector));
    expect([seeing.gradients, seeing.optimizer]).toEqual([reading.gradients, reading.optimizer]);
  });

  it('autocast keeps a 16-bit copy of those that are trained', () => {
    const run = {
      ...{ framework: 'transformers', gpus: 1, sharding: 'none', global_batch_size: 1, recompute: 'none' },
      images_per_sequence: 0,
    };
    const peak = (freeze: readonly string[]) => held({ ...run, freeze, sequence_length: 16_384 }).cost.memory;
    // When the last layer goes backward over a long sequence their gradients are not there yet: the optimizer's 8 bytes, the copy's 2.
    expect(peak([]).phase).toBe('backward');
    expect(peak([]).allocated - peak(['vision']).allocated).toBe(10 * clip);
  });

  it('Adafactor factors them, Muon keeps one momentum of them, as of matrices', () => {
    const optimizerOf = (optimizer: string) =>
      held({ framework: 'transformers', gpus: 1, optimizer }).optimizer -
      held({ framework: 'transformers', gpus: 1, optimizer, freeze: ['towers'] }).optimizer;
    expect(optimizerOf('adafactor')).toBe(0);
    expect(optimizerOf('muon')).toBe(4 * (clip + projector));
    expect(optimizerOf('adamw')).toBe(8 * (clip + projector));
  });

  it('a band of a measured kind is not theirs', () => {
    expect(costOf(llava).memory.band).toBeGreaterThan(costOf(llava.text_config).memory.band);
  });
});

// One image is 24 x 24 patches of 14 pixels; its layers read a class token beside them.
const [patches, D, F, S] = [576, 1024, 4096, 64];
const matrices = 4 * D * D + 2 * D * F;
const layers = 24 * (patches + 1) * (2 * matrices + 4 * D * (patches + 1));
const patchMatrix = patches * 2 * 3 * 14 * 14 * D;
const toText = { first: patches * 2 * D * T, second: patches * 2 * T * T };

describe('encoders in FLOPs', () => {
  const flops = (run: object = {}) => costOf(llava, { sequence_length: S, ...run }).flops;
  const textAlone = costOf(llava.text_config, { sequence_length: S }).flops;

  it('one image for each sequence, forward', () => {
    const { forward, parts } = flops();
    expect(forward.lines['towers']).toBeCloseTo((patchMatrix + layers + toText.first + toText.second) / S, 0);
    expect(parts.lines['towers.vision_projector']).toBeCloseTo((toText.first + toText.second) / S, 0);
  });

  it.each([
    // Pixels need no gradient.
    [[], 2 * patchMatrix + 3 * (layers + toText.first + toText.second)],
    // What a frozen encoder gives needs none either.
    [['vision'], patchMatrix + layers + 2 * toText.first + 3 * toText.second],
    [['projector'], 2 * patchMatrix + 3 * layers + 2 * (toText.first + toText.second)],
    [['towers'], patchMatrix + layers + toText.first + toText.second],
  ])('training with freeze: %j', (freeze, amount) => {
    expect(flops({ freeze }).training - textAlone.training).toBeCloseTo(amount / S, 0);
  });

  it('several images are as many times one', () => {
    const [none, one, five] = [0, 1, 5].map((images) => flops({ images_per_sequence: images }).training);
    expect(none).toBe(textAlone.training);
    expect(((five ?? 0) - textAlone.training) / ((one ?? 0) - textAlone.training)).toBeCloseTo(5, 9);
  });

  it('full recompute runs layers once more, and not single matrices', () => {
    const { hardware, training } = flops({ recompute: 'full' });
    const { hardware: alone, training: once } = costOf(llava.text_config, {
      sequence_length: S,
      recompute: 'full',
    }).flops;
    expect(hardware - training - (alone - once)).toBeCloseTo(layers / S, 0);
  });

  it('so it does where an encoder has two layers, and where none of them goes backward it runs none again', () => {
    const again = (config: object, freeze: readonly string[] = []) => {
      const counted = (recompute: string) => costOf(config, { sequence_length: S, recompute, freeze }).flops.hardware;
      return counted('full') - counted('none');
    };
    const two = { ...llava, vision_config: { ...clipVision, num_hidden_layers: 2 } };
    expect(again(two) - again(llava.text_config)).toBeCloseTo(((2 / 24) * layers) / S, 0);
    expect(again(llava, ['towers'])).toBe(again(llava.text_config));
  });

  it('adapters leave them the forward pass', () => {
    const lora = { rank: 8, targets: ['q_proj'] };
    const both = [llava, llava.text_config].map(
      (config) => costOf(config, { sequence_length: S, lora }).flops.training,
    );
    expect((both[0] ?? 0) - (both[1] ?? 0)).toBeCloseTo((patchMatrix + layers + toText.first + toText.second) / S, 0);
  });
});

describe('encoders in activations and time', () => {
  const run = { framework: 'fsdp', sharding: 'none', gpus: 1, weights_dtype: 'bf16', sequence_length: 8192 };
  const activations = (more: object = {}) => costOf(llava, { ...run, ...more }).memory.components.activations;
  const step = (more: object = {}) => costOf(llava, { ...run, ...more }).throughput.stepTime ?? 0;

  it('images are kept for the backward pass where something of the encoder is trained', () => {
    const nothing = activations({ images_per_sequence: 0 });
    expect(activations({ freeze: ['towers'] })).toBe(nothing);
    const projector = activations({ freeze: ['vision'] }) - nothing;
    // The projector keeps what it reads, what its non-linearity reads, and that one's result.
    expect(projector).toBe(2 * patches * (D + 2 * T));
    // The test of the official code says what a layer of CLIP keeps.
    expect(activations() - nothing).toBeGreaterThan(24 * patches * 2 * 10 * D);
    expect(activations({ images_per_sequence: 2 }) - nothing).toBeCloseTo(2 * (activations() - nothing), 0);
  });

  it('recompute keeps what layers read alone', () => {
    const kept = (images: number) => activations({ recompute: 'full', images_per_sequence: images });
    expect(kept(1) - kept(0)).toBe(2 * (24 * (patches + 1) * D + patches * (3 * 14 * 14 + D + 2 * T)));
  });

  it('a frozen encoder takes less time than a trained one, and none takes least', () => {
    const times = [{}, { freeze: ['vision'] }, { freeze: ['towers'] }, { images_per_sequence: 0 }].map(step);
    expect(times.toSorted((a, b) => b - a)).toEqual(times);
    expect(new Set(times).size).toBe(4);
  });

  it('on a pipeline they take time on the first stage', () => {
    const staged = (images: number) =>
      costOf(llava, {
        ...run,
        framework: 'megatron',
        gpus: 2,
        parallelism: { pipeline: 2 },
        images_per_sequence: images,
      }).throughput.stepTime ?? 0;
    expect(staged(8)).toBeGreaterThan(staged(0));
  });
});

describe('what a report says of encoders', () => {
  const notes = (freeze?: readonly ('vision' | 'audio')[], config: object = llava) => {
    const settling = settleRun([{ origin: 'run', fields: freeze ? { freeze } : {} }], modelOf(config));
    if (settling.kind === 'unsettled') throw new Error('unsettled');
    return { fields: settling.assumptions.map(({ field }) => field), problems: settling.problems };
  };

  it('how many images they read, and that they are trained where nobody freezes them', () => {
    expect(notes().fields).toEqual(expect.arrayContaining(['images_per_sequence', 'freeze']));
    expect(notes().fields).not.toContain('image_size');
    expect(notes(['vision']).fields).not.toContain('freeze');
    expect(notes(undefined, small).fields).not.toContain('images_per_sequence');
  });

  it('what is not counted of encoders whose shape is not known', () => {
    const sam = { ...llava, model_type: 'got_ocr2', vision_config: { model_type: 'sam_vision_model' } };
    expect(notes(undefined, sam).fields).toContain('towers');
    expect(notes().fields).not.toContain('towers');
  });

  it('a default of the framework, only of a model that has encoders', () => {
    const byDefault = (config: object) => {
      const reasons = { freeze: 'what the framework takes' };
      const source = { origin: 'framework', fields: { freeze: ['vision', 'audio'] }, reasons } as const;
      const settling = settleRun([source], modelOf(config));
      if (settling.kind === 'unsettled') throw new Error('unsettled');
      return [settling.assumptions.filter(({ field }) => field === 'freeze').length, settling.problems.length];
    };
    expect(byDefault(llava)).toEqual([1, 0]);
    expect(byDefault(small)).toEqual([0, 0]);
  });

  it('a frozen part that the model does not have', () => {
    expect(notes(['vision']).problems).toEqual([]);
    expect(notes(['audio']).problems).toMatchObject([{ severity: 'notice', key: 'freeze' }]);
    expect(notes(['vision'], small).problems).toHaveLength(1);
  });
});

describe('a memory budget', () => {
  const run = 'framework: deepspeed\nsharding: none\ngpus: 8\nsequence_length: 64\nglobal_batch_size: 16\n';
  const outcome = (described: string) =>
    reviewOf({ head: JSON.stringify(llava) }, { 'memory-budget': '7GiB' }, { run: described }).review.verdict.outcome;
  it('is exceeded with a trained encoder and kept with a frozen one', () => {
    expect([outcome(run), outcome(`${run}freeze: [towers]\n`)]).toEqual(['fail', 'pass']);
  });
});
