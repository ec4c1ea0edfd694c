import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import { review } from '../../src/run.ts';
import { runAsWritten } from '../../src/setup/description.ts';
import type { ConfigPair, ConfigSide } from '../../src/world.ts';
import { config } from '../states.ts';

const path = 'models/llama3/config_registry.py';
const registry = readFileSync(join(import.meta.dirname, '../formats/torchtitan-py/config_registry.py'), 'utf8');
const side = (text: string): ConfigSide => ({ kind: 'bytes', bytes: Buffer.from(text) });

const policy = `
version: 1
base_models: { "torchtitan:llama3/8B": "8b.json" }
configs:
  - match: "**/config_registry.py#llama3_8b_tensor"
    budgets: { memory: 10GiB }
`;

function reviewed(base: string | undefined, head: string | undefined) {
  const model = new Map([['8b.json', side(config())]]);
  const pair: ConfigPair = {
    path,
    ...(base === undefined ? {} : { base: side(base) }),
    ...(head === undefined ? {} : { head: side(head) }),
    beside: { base: model, head: model },
  };
  const settings = settingsOf({}, { policy: { name: 'model-cost.yml', bytes: Buffer.from(policy) } });
  return review({ pairs: [pair], missed: [], notes: [] }, settings, '2026-11-28');
}

const named = (found: ReturnType<typeof reviewed>) =>
  found.comparisons.map((one) => `${one.path.split('#')[1]}: ${one.status}`);

describe('recipes of one Python file', () => {
  it('are a job each, and read as they are inherited', () => {
    const { comparisons } = reviewed(undefined, registry);
    const runs = comparisons.map(({ head }) => head?.estimate && runAsWritten(head.estimate.run.run));
    expect(runs).toMatchObject([
      { sequence_length: 8192, micro_batch_size: 1, recompute: 'selective', framework: 'fsdp', loss_chunks: 8 },
      {
        sequence_length: 8192,
        micro_batch_size: 4,
        gpus: 64,
        recompute: 'full',
        compile: true,
        sharding: 'full',
        parallelism: { tensor: 4, sequence_parallel: true },
      },
    ]);
  });

  it('are compared where they differ, by whatever they inherit', () => {
    expect(named(reviewed(registry, registry.replace('*= 4', '*= 8')))).toEqual(['llama3_8b_tensor: changed']);
    expect(named(reviewed(registry, registry.replace('8 * 1024', '4 * 1024')))).toEqual([
      'llama3_8b: changed',
      'llama3_8b_tensor: changed',
    ]);
    expect(named(reviewed(registry, `# A comment.\n${registry}`))).toEqual([]);
  });

  it('that a change adds or removes are new or gone', () => {
    const alone = registry.slice(0, registry.indexOf('def llama3_8b_tensor'));
    expect(named(reviewed(alone, registry))).toEqual(['llama3_8b_tensor: added']);
    expect(named(reviewed(registry, alone))).toEqual(['llama3_8b_tensor: removed']);
  });

  it.each([
    ['a condition', registry.replace('config = llama3_8b()', 'if fast():\n        return 1\n    config = llama3_8b()')],
    ['a decorator', registry.replace('def llama3_8b_tensor', '@tuned\ndef llama3_8b_tensor')],
    ['more than is followed', `${registry}\nx = [${'1,'.repeat(100_000)}]\n`],
    ['other text', 'nothing = 1\n'],
  ])('cannot be hidden behind %s', (_, head) => {
    const found = reviewed(registry, head);
    const tensor = found.comparisons.find((one) => one.path.endsWith('llama3_8b_tensor'));
    expect(tensor?.status === 'removed' || found.verdict.outcome === 'fail').toBe(true);
  });

  it('have budgets of their own', () => {
    const { verdict } = reviewed(registry, registry.replace('*= 4', '*= 8'));
    expect(verdict.outcome).toBe('fail');
    expect(verdict.findings.map((finding) => finding.path)).toContain(`${path}#llama3_8b_tensor`);
  });
});
