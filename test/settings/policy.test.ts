import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Bound, Limit } from '../../src/gate/rules.ts';
import { draftPolicy, type Policy } from '../../src/settings/policy.ts';

const name = '.github/model-cost.yml';

/** What a policy's text gives: the policy, or the sentences why not. */
function read(text: string, files: Readonly<Record<string, string>> = {}): Policy | readonly string[] {
  const draft = draftPolicy({ name, bytes: Buffer.from(text) });
  const reading =
    draft.kind === 'draft'
      ? draft.finish(new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content)])))
      : draft;
  return reading.kind === 'read' ? reading.policy : reading.problems.map(({ message }) => message);
}

const limits = (budgets: string): readonly string[] => {
  const policy = read(`version: 1\ndefaults:\n  budgets: ${budgets}\n`);
  if (!('defaults' in policy)) return policy;
  return policy.defaults.limits.map(
    ({ metric, bound, amount, severity }: Limit) =>
      `${severity} ${metric} ${bound satisfies Bound} ${amount.kind === 'share' ? `${amount.share} of` : amount.value}`,
  );
};

describe('budgets', () => {
  it.each([
    ['{ memory: 72GiB }', ['fail memory max 77309411328']],
    ['{ memory: 90% }', ['fail memory max 0.9 of']],
    ['{ memory: { max: 80GB, warn: { max: 85% } } }', ['fail memory max 80000000000', 'warn memory max 0.85 of']],
    [
      '{ parameters: { max: 8.2B, min: 7_000_000_000, max_increase: 1% } }',
      ['fail parameters max 8200000000', 'fail parameters min 7000000000', 'fail parameters max_increase 0.01 of'],
    ],
    ['{ active_parameters: { max_increase: 200M } }', ['fail active_parameters max_increase 200000000']],
    ['{ training_flops_per_token: 48 GFLOPs }', ['fail training_flops_per_token max 48000000000']],
    ['{ mfu: 38% }', ['fail mfu min 0.38']],
    ['{ mfu: 0.38 }', ['fail mfu min 0.38']],
    ['{ mfu: { max_decrease: 2 points } }', ['fail mfu max_decrease 0.02']],
    ['{ tokens_per_second_per_gpu: 9.5k }', ['fail tokens_per_second_per_gpu min 9500']],
    ['{ step_time: 1.5min }', ['fail step_time max 90']],
    [
      '{ training_cost: { max: $300k, max_increase: 5% } }',
      ['fail training_cost max 300000', 'fail training_cost max_increase 0.05 of'],
    ],
    ['{ training_cost: 250000 }', ['fail training_cost max 250000']],
    ['{ cache_per_sequence: { warn: { max: 2GiB } } }', ['warn cache_per_sequence max 2147483648']],
  ])('%s', (written, expected) => expect(limits(written)).toEqual(expected));

  it.each([
    ['{ memory: 72 Gb }', 'defaults.budgets.memory is "72 Gb", but must be an amount like 80GB or 72GiB'],
    ['{ memory: 110% }', 'defaults.budgets.memory is "110%"'],
    ['{ parameters: 8.5 }', 'defaults.budgets.parameters is 8.5, but must be a count like 8.2B or 350M'],
    ['{ parameters: "8.5" }', 'defaults.budgets.parameters is "8.5", but must be a count like 8.2B or 350M'],
    ['{ memory: 80 }', 'defaults.budgets.memory is 80, but must be an amount like 80GB or 72GiB'],
    ['{ memory: { max: lots } }', 'defaults.budgets.memory.max is "lots", but must be an amount like 80GB'],
    ['{ mfu: { max_decrease: 5% } }', 'must be points like 2 points'],
    ['{ mfu: 38 }', 'must be a share like 38%'],
    ['{ parameters: -1 }', 'must be a count like 8.2B'],
    ['{ memroy: 80GB }', 'unknown key "memroy" in defaults.budgets. Did you mean "memory"?'],
    ['{ memory: { maximum: 80GB } }', 'unknown key "maximum" in defaults.budgets.memory. Did you mean "max"?'],
    ['{ cost: $1 }', 'unknown key "cost" in defaults.budgets. Did you mean "training_cost"?'],
    ['{ memory_per_gpu: 80GB }', 'unknown key "memory_per_gpu" in defaults.budgets. Did you mean "memory"?'],
    [
      '{ flops_per_token: 1 }',
      'unknown key "flops_per_token" in defaults.budgets. Did you mean "training_flops_per_token"?',
    ],
    ['{ xyz: 1 }', 'unknown key "xyz" in defaults.budgets. Known keys: memory, parameters'],
    ['{ memory: { warn: { mx: 80GB } } }', 'unknown key "mx" in defaults.budgets.memory.warn. Did you mean "max"?'],
    ['{ memory: [80GB] }', 'or a mapping of max, min, max_increase, max_decrease and warn'],
  ])('%s is refused', (written, sentence) => expect(limits(written).join(' ')).toContain(sentence));
});

describe('what is wrong is told with file, line and key', () => {
  it.each([
    ['version: 1\ndefualts: {}\n', `${name}:2: unknown key "defualts". Did you mean "defaults"?`],
    ['defaults: {}\n', `${name}: version is missing; it must be 1.`],
    ['version: 2\n', `${name}:1: version is 2, but must be 1.`],
    [
      'version: 1\ndefaults:\n  run:\n    gpu: 8\n',
      `${name}:4: unknown key "gpu" in defaults.run. Did you mean "gpus"?`,
    ],
    [
      'version: 1\nconfigs:\n  - match: a\n    runs: {}\n',
      `${name}:4: unknown key "runs" in configs.0. Did you mean "run"?`,
    ],
    [
      'version: 1\nconfigs:\n  - run: {}\n',
      `${name}: configs.0.match is missing; it must be a glob or a list of globs.`,
    ],
    [
      'version: 1\nhardware:\n  pod:\n    accelerator: h100\n',
      `${name}:4: hardware.pod.accelerator is "h100", but must be an id of \`model-cost list accelerators\`.`,
    ],
    [
      'version: 1\nhardware:\n  pod:\n    accelerator: h100-sxm-80gb\n    calibration: { tokens_per_secnd: 1 }\n',
      `${name}:5: unknown key "tokens_per_secnd" in hardware.pod.calibration. Did you mean "tokens_per_second"?`,
    ],
    [
      'version: 1\nhardware:\n  pod: { accelerator: h100-sxm-80gb }\ndefaults:\n  hardware: pot\n',
      `${name}:5: defaults.hardware is "pot", which is not a name under hardware. Did you mean "pod"?`,
    ],
    [
      'version: 1\nwaivers:\n  - { match: a, covers: memroy, until: 2026-12-31, reason: x }\n',
      'waivers.0.covers is "memroy", but must be one of',
    ],
    [
      'version: 1\nwaivers:\n  - { match: a, covers: memory, until: 2026-02-29, reason: x }\n',
      'must be a day of the calendar',
    ],
    [
      'version: 1\nwaivers:\n  - { match: a, covers: memory, until: soon, reason: x }\n',
      'must be a day like 2026-12-31',
    ],
    ['version: 1\nwaivers:\n  - { match: a, covers: memory, until: 2026-12-31 }\n', 'waivers.0.reason is missing'],
    ['version: 1\nversion: 1\n', `${name}:2: The key version appears twice`],
    ['version: 1\ndefaults: { run: ../../etc/passwd }\n', 'must be the path of a file in this repository'],
    ['version: 1\ndefaults: { run: runs/a.yml }\n', 'defaults.run names runs/a.yml, which could not be read'],
    ['version: 1\ndefaults: {fail_on: sometimes}\n', 'must be one of over-budget, increase, never'],
    ['version: 1\n  bad: [\n', 'is not valid YAML'],
    ['', 'The file is empty.'],
    ['- 1\n', 'must be a mapping'],
  ])('%j', (text, sentence) => expect([read(text)].flat().join(' ')).toContain(sentence));

  it('in a file that the policy names, too', () => {
    expect([read('version: 1\ndefaults: { run: r.yml }\n', { 'r.yml': 'gpus: 8\ngpuss: 9\n' })].flat().join(' ')).toBe(
      'r.yml:2: unknown key "gpuss". Did you mean "gpus"?',
    );
  });
});

describe('hostile policies', () => {
  const word = fc.oneof(
    fc.constantFrom(
      'version',
      'defaults',
      'configs',
      'match',
      'budgets',
      'memory',
      '__proto__',
      'constructor',
      '$schema',
    ),
    fc.string({ maxLength: 8 }),
  );
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>(1, -1, 1e308, null, true, '80GB', '**', ''),
      fc.string({ maxLength: 10 }),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(word, tie('any'), { maxKeys: 4 }),
    ),
  })).any;

  it('are refused or read, and never throw', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(fc.dictionary(word, value, { maxKeys: 5 }), (stated) => {
        const found = read(JSON.stringify({ version: 1, ...stated }));
        expect('defaults' in found || (Array.isArray(found) && found.length > 0)).toBe(true);
      }),
      { numRuns: Number(process.env['FUZZ_RUNS'] ?? 2_000) },
    );
  });

  it.each([
    [
      'an alias bomb',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefgh'].map((letter, at) => `${letter}: &${letter} [${Array(9).fill(`*${'abcdefgh'[at]}`).join(',')}]`).join('\n')}\n`,
    ],
    ['endless nesting', '['.repeat(10_000)],
    ['a prototype', '__proto__: { version: 1 }\n'],
    ['no text', '\u0000\u0001'],
  ])('%s is refused in a sentence or two', (_, text) => {
    const found = read(text);
    expect(Array.isArray(found) && found.length <= 2 && found.join('').length < 500).toBe(true);
  });
});
