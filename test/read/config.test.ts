import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import { countParameters } from '../../src/cost/count/parameters.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { couldBeConfig, readConfig } from '../../src/read/config.ts';
import { readSide } from '../../src/run.ts';
import { readRun } from '../../src/setup/description.ts';
import { config, small } from '../states.ts';

const read = (text: string | Uint8Array, path = 'config.json') =>
  readConfig(typeof text === 'string' ? Buffer.from(text) : text, path);
const message = (text: string | Uint8Array, path?: string) => {
  const reading = read(text, path);
  return reading.kind === 'unread' ? reading.problems[0]?.message : undefined;
};
const numRuns = Number(process.env['FUZZ_RUNS'] ?? 2_000);

describe('a config that cannot be read is one sentence', () => {
  it.each([
    ['', 'The file is empty.'],
    ['{', 'not valid JSON'],
    ['[1, 2]', 'not one of the model configs'],
    ['{"a": 1}', 'not one of the model configs'],
    [config({ hidden_size: 'wide' }), 'hidden_size must be a whole number from 1 on, but is "wide"'],
    [config({ hidden_size: -4 }), 'but is -4'],
    [config({ hidden_size: 1e300 }), 'hidden_size must be a whole number'],
    [config({ num_hidden_layers: 1_000_000 }), 'num_hidden_layers must be a whole number from 0 to 10000'],
    [config({ num_attention_heads: 0 }), 'num_attention_heads must be a whole number from 1'],
    [`{"a": ${'['.repeat(5_000)}${']'.repeat(5_000)}, "model_type": "llama"}`, 'nests deeper'],
  ])('%s', (text, sentence) => {
    expect(message(text)).toContain(sentence);
  });

  it('names the line of the key', () => {
    const reading = read(config({ hidden_size: 'wide' }));
    expect(reading.problems[0]).toMatchObject({ line: 4, key: 'hidden_size' });
  });

  it('refuses what is too large, and bytes that are no text', () => {
    expect(message(Buffer.alloc(2 ** 20 + 1, 32))).toContain('configs are read up to');
    expect(message(Buffer.from([0x80, 0x81, 0xfe]))).toContain('neither UTF-8 nor UTF-16');
  });

  it('stops an alias bomb', () => {
    const levels = Array.from(
      { length: 12 },
      (_, index) =>
        `a${index}: &a${index} [${Array.from({ length: 9 }, () => (index === 0 ? '1' : `*a${index - 1}`)).join(', ')}]`,
    );
    const started = performance.now();
    expect(message(`model_type: llama\nhidden_size: 8\n${levels.join('\n')}\n`, 'bomb.yml')).toBeDefined();
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('what configs carry in practice', () => {
  it('a BOM, UTF-16, comments, Infinity and duplicate keys', () => {
    expect(read(`\ufeff${config()}`).kind).toBe('read');
    expect(read(Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(config(), 'utf16le')])).kind).toBe('read');
    const lenient = read(config().replace('{', '{ // a comment\n"time_step_limit": [0.0, Infinity],'));
    expect(lenient.problems.map(({ message: said }) => said).join()).toContain('JSON5');
    const twice = read(config().replace('{', '{"hidden_size": 128,'));
    expect(twice.problems[0]?.message).toContain('hidden_size appears twice');
  });

  it('prototype keys are keys like any other', () => {
    const reading = read(`{"__proto__": {"hidden_size": 1}, "constructor": 1, ${config().slice(1)}`);
    expect(reading.kind).toBe('read');
    expect(({} as Record<string, unknown>)['hidden_size']).toBeUndefined();
  });

  it('YAML and TOML', () => {
    const yaml = Object.entries(small)
      .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
      .join('\n');
    const toml = Object.entries(small)
      .map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
      .join('\n');
    expect(read(yaml, 'a.yaml').kind).toBe('read');
    expect(read(toml, 'a.toml').kind).toBe('read');
  });

  it('a family that nobody wrote down is approximate, and says so', () => {
    const reading = read(config({ model_type: 'brand_new' }));
    expect(reading.kind === 'read' && reading.architecture.exact).toBe(false);
    expect(
      reading.kind === 'read' &&
        reading.assumptions.some(({ field, reason }) => field === 'model_type' && reason.includes('approximate')),
    ).toBe(true);
  });

  const warnings = (changes: object) => {
    const reading = read(JSON.stringify({ ...small, ...changes }));
    return reading.problems.map(({ message: said, severity }) => `${severity}: ${said}`);
  };
  const counted = (value: object) => {
    const reading = read(JSON.stringify(value));
    if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
    return { ...countParameters(reading.architecture, expand(reading.architecture)), assumptions: reading.assumptions };
  };

  it('numbers and truths written as text are read, and said', () => {
    const text = { hidden_size: String(small.hidden_size), tie_word_embeddings: 'False' };
    expect(counted({ ...small, ...text }).total).toBe(counted({ ...small, tie_word_embeddings: false }).total);
    expect(warnings(text).join()).toContain('warning: hidden_size is written as text');
    expect(warnings(text)).toHaveLength(2);
    expect(counted({ ...small, hidden_size: small.hidden_size + 0.0 }).total).toBe(counted(small).total);
  });

  it('both spellings of a key are one', () => {
    const { num_hidden_layers: n_layers, hidden_size: d_model, num_attention_heads: n_heads, ...rest } = small;
    expect(counted({ ...rest, n_layers, d_model, n_heads }).total).toBe(counted(small).total);
  });

  it('sizes that do not divide are one sentence', () => {
    const odd = { hidden_size: 1000, num_attention_heads: 12, num_key_value_heads: 4 };
    expect(warnings(odd)).toEqual([
      'warning: hidden_size 1000 is no multiple of the 12 attention heads and no head_dim is stated: each head is taken as 83 wide.',
    ]);
    expect(warnings({ ...odd, head_dim: 64 })).toEqual([]);
    expect(warnings({ num_attention_heads: 12, head_dim: 64, num_key_value_heads: 5 })[0]).toContain('does not run');
  });

  it('a class stands for the type that is missing, and for an unknown one with a reserve', () => {
    const { model_type: _type, ...rest } = small;
    const architectures = ['Qwen2ForCausalLM'];
    const qwen2 = counted({ ...rest, model_type: 'qwen2' });
    expect(counted({ ...rest, architectures })).toMatchObject({ total: qwen2.total, exact: true });
    const own = counted({ ...rest, architectures, model_type: 'my_qwen' });
    expect(own).toMatchObject({ total: qwen2.total, exact: false });
    expect(own.assumptions.map(({ field }) => field)).toContain('model_type');
    expect(counted({ ...rest, architectures: ['MineForCausalLM'] }).exact).toBe(false);
  });

  it('absent and null differ', () => {
    const mistral = (changes: object) => read(JSON.stringify({ ...small, model_type: 'mistral', ...changes }));
    const heads = (reading: ReturnType<typeof read>) =>
      reading.kind === 'read'
        ? reading.architecture.layers[0]?.parts.find(({ kind }) => kind === 'attention')
        : undefined;
    expect(heads(mistral({}))).toMatchObject({ keyValueHeads: 8 });
    expect(heads(mistral({ num_key_value_heads: null }))).toMatchObject({ keyValueHeads: 32 });
  });

  it('other JSON files are not looked at', () => {
    expect(
      [
        'package.json',
        'a/tokenizer.json',
        'tsconfig.json',
        '.github/x.yml',
        'README.md',
        'model.safetensors.index.json',
      ].filter(couldBeConfig),
    ).toEqual([]);
    expect(['config.json', 'a/b.yaml', 'c.toml'].every(couldBeConfig)).toBe(true);
  });

  it('of Python, only files where trainings are stated are looked at', () => {
    expect(
      [
        'config/train_gpt2.py',
        'torchtitan/models/llama3/config_registry.py',
        'src/megatron/bridge/recipes/llama/h100/llama3.py',
        'configs/7B_sft.py',
      ].filter((path) => !couldBeConfig(path)),
    ).toEqual([]);
    expect(
      [
        'src/models/llama/modeling_llama.py',
        'src/models/llama/configuration_llama.py',
        'tests/configs/test_train.py',
        'train/__init__.py',
        'setup.py',
        'model.py',
      ].filter(couldBeConfig),
    ).toEqual([]);
  });

  it.each([
    ['a model', 'class Llama(Module):\n    num_hidden_layers = 32\n    hidden_size = 4096\n'],
    ['a trainer', 'n_layer = 12\nn_head = 12\nn_embd = 768\ndef train():\n    pass\n'],
    ['a recipe of nobody', 'def tiny() -> Trainer.Config:\n    return build()\n'],
    ['no Python', 'n_layer = = (\n'],
  ])('%s in Python is code and no config', (_, text) => {
    expect(read(text, 'configs/train.py')).toMatchObject({ kind: 'unread', way: 'no-config' });
  });

  it('code that cannot be opened is told of only where it says that it states a training', () => {
    const side = (start: string) =>
      readSide(
        { kind: 'refused', why: 'too-large', reason: 'It is too large.', start: Buffer.from(start) },
        'configs/train.py',
        settingsOf({}),
      );
    expect(side('import torch\n').reading).toMatchObject({ way: 'no-config' });
    expect(side('n_layer = 12\n')).toMatchObject({ reading: { way: 'too-large' }, claimed: true });
  });
});

describe('mutated configs', () => {
  it('never throw, never hang', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom(null, -1, 0, 1e308, '∞', true, [], {}, '8', Number.MAX_SAFE_INTEGER),
    );
    const key = fc.constantFrom(
      'hidden_size',
      'num_hidden_layers',
      'num_attention_heads',
      'num_key_value_heads',
      'vocab_size',
      'intermediate_size',
      'model_type',
      'layer_types',
      'sliding_window',
      'num_local_experts',
      'quantization_config',
      'text_config',
      '__proto__',
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(key, value), { maxLength: 4 }), (changes) => {
        const text = JSON.stringify({ ...small, ...Object.fromEntries(changes) });
        expect(['read', 'unread']).toContain(read(text).kind);
      }),
      { numRuns },
    );
  });

  it('bytes of any kind are read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.constantFrom('a.json', 'a.yml', 'a.toml'), (bytes, path) => {
        expect(['read', 'unread']).toContain(read(bytes, path).kind);
      }),
      { numRuns },
    );
  });
});

describe('a run description', () => {
  const wrong = (text: string) => {
    const reading = readRun(Buffer.from(text), 'run.yml');
    return reading.kind === 'wrong' ? reading.problems[0]?.message : undefined;
  };

  it.each([
    ['sequence_lenght: 1', 'run.yml:1: unknown key "sequence_lenght". Did you mean "sequence_length"?'],
    ['gpus: 8\nparallelism: { tenzor: 2 }', 'run.yml:2: unknown key "tenzor" in parallelism. Did you mean "tensor"?'],
    ['accelerator: h100-sxm-80', 'Did you mean "h100-sxm-80gb"?'],
    ['precision: bf61', 'Did you mean "bf16"?'],
    ['gpus: many', 'gpus is "many"'],
    ['tokens: lots', 'must be a count like 300B or 1T'],
    ['- 1', 'must be a mapping'],
    ['a: [', 'not valid YAML'],
  ])('%s', (text, sentence) => {
    expect(wrong(text)).toContain(sentence);
  });

  it('takes a list also as a numbered mapping', () => {
    const reading = readRun(Buffer.from('lora:\n  rank: 8\n  targets:\n    0: q_proj\n    1: v_proj\n'), 'run.yml');
    expect(reading).toMatchObject({ kind: 'read', fields: { lora: { targets: ['q_proj', 'v_proj'] } } });
  });

  it('reads every field of the interface', () => {
    const reading = readRun(
      Buffer.from(
        'gpus: 64\ntokens: 1T\nlora: { rank: 16, targets: [q_proj], base_bits: 4 }\nexpert_tensor: 2\nparallelism: { tensor: 8, sequence_parallel: true }',
      ),
      'run.yml',
    );
    expect(reading).toEqual({
      kind: 'read',
      fields: {
        gpus: 64,
        tokens: 1e12,
        lora: { rank: 16, targets: ['q_proj'], baseBits: 4 },
        parallelism: { tensor: 8, sequenceParallel: true, expertTensor: 2 },
      },
    });
  });
});
