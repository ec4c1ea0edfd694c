import { describe, expect, it } from 'vitest';
import { interpolated } from '../../src/text/interpolate.ts';

describe('references in configs', () => {
  it('keep the type of what they name, from the root, from beside and from further out', () => {
    const root = {
      size: 8,
      list: [1, 2],
      model: {
        hidden: '${size}',
        same: '${.hidden}',
        all: '${list}',
        inner: { out: '${..hidden}', second: '${list[1]}' },
      },
    };
    expect(interpolated(root)).toMatchObject({
      model: { hidden: 8, same: 8, all: [1, 2], inner: { out: 8, second: 2 } },
    });
  });

  it('become part of a text that holds more', () => {
    expect(interpolated({ a: 'x', n: 2, b: 'pre-${a}-${n}', c: 'pre-${gone}' })).toMatchObject({
      b: 'pre-x-2',
      c: 'pre-${gone}',
    });
  });

  it('take the default of a variable, typed as YAML would read it', () => {
    const root = {
      tp: '${PRIMUS_TP:1}',
      file: '${MODEL:deepseek_v3}.yaml',
      flag: '${ON:true}',
      nothing: '${PATH_OF_DATA:null}',
      hydra: '${oc.env:NODES,4}',
      none: '${oc.env:NODES}',
      bare: '${NODES}',
      must: '${data_path:??}',
    };
    expect(interpolated(root)).toMatchObject({
      tp: 1,
      file: 'deepseek_v3.yaml',
      flag: true,
      nothing: null,
      hydra: 4,
      none: '${oc.env:NODES}',
      bare: '${NODES}',
    });
  });

  it('are computed where the resolver is arithmetic', () => {
    const root = {
      model: {
        hidden: 12288,
        ffn: '${multiply:4, ${.hidden}}',
        layers: '${sum:${.hidden},-1}',
        odd: '${multiply:4,x}',
      },
      stages: '${divide_ceil:7,2}',
    };
    expect(interpolated(root)).toMatchObject({
      model: { ffn: 49152, layers: 12287, odd: '${multiply:4,x}' },
      stages: 4,
    });
  });

  it('find the root under the name that a launcher gives it', () => {
    const root = { model: { tp: 4 }, size: '${multiply:${training.model.tp},2}' };
    expect(interpolated(root, { roots: ['training'] })).toMatchObject({ size: 8 });
    expect(interpolated(root)).toMatchObject({ size: '${multiply:${training.model.tp},2}' });
  });

  it('end where they go in circles, and stay as they stand', () => {
    expect(interpolated({ a: '${b}', b: '${a}', c: '${c}', d: '${multiply:2,${d}}' })).toMatchObject({
      a: '${b}',
      c: '${c}',
      d: '${multiply:2,${d}}',
    });
  });

  it('do not multiply without end', () => {
    const root: Record<string, string> = { k0: 'x'.repeat(50) };
    for (let at = 1; at < 40; at++) root[`k${at}`] = `\${k${at - 1}}\${k${at - 1}}`;
    const started = performance.now();
    const { k39 } = interpolated(root);
    expect(String(k39).length).toBeLessThan(2_000);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('take own keys alone', () => {
    expect(interpolated({ a: '${__proto__}', b: '${constructor.name}', c: '${toString:1}' })).toMatchObject({
      a: '${__proto__}',
      b: '${constructor.name}',
      c: 1,
    });
  });
});
