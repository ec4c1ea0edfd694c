import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import { reaches } from '../../src/settings/reach.ts';

describe('the folders that a pattern leads to', () => {
  it.each([
    ['configs/*.json', 'configs/', true],
    ['configs/*.json', 'configs/deep/', false],
    ['configs/*.json', 'data/', false],
    ['configs/**/*.json', 'configs/deep/er/', true],
    ['c/**/*.json', 'b/', false],
    ['./configs/*.json', 'configs/', true],
    ['*/x/*.json', 'any/x/', true],
    ['*/x/*.json', 'any/y/', false],
    ['**/*.json', 'anything/at/all/', true],
    ['{a,b/c}/x.json', 'b/c/', true],
    ['model.json', 'configs/', false],
  ])('%s, %s: %s', (pattern, folder, expected) => {
    expect(reaches([pattern], folder)).toBe(expected);
  });

  it('never leave out a folder with a path that matches', () => {
    const paths = ['a/b/c.json', 'a/c.json', 'x.y/[z]/c.json', 'a b/c/d/e.json'];
    const patterns = [
      '**',
      '*/*.json',
      'a/**',
      'a?b/**',
      '{a,x.y}/**/*.json',
      '@(a|b)/*.json',
      'a/[bc]/*',
      'x.y/*/c.json',
    ];
    for (const configs of patterns) {
      const { matches, reach } = settingsOf({ configs });
      for (const path of paths.filter(matches))
        for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1))
          expect([configs, path, reach(path.slice(0, end + 1))]).toEqual([configs, path, 'named']);
    }
  });
});

it('what is ignored, or never holds a config, needs no look', () => {
  const policy = (text: string) => ({ policy: { name: 'policy.yml', bytes: Buffer.from(`version: 1\n${text}`) } });
  const { reach } = settingsOf({}, policy('ignore: [data/**]\nconfigs: [{ match: models/*.json }]\n'));
  expect(['data/', 'data/deep/', 'node_modules/x/', 'models/', 'other/'].map(reach)).toEqual([
    'none',
    'none',
    'none',
    'named',
    'possible',
  ]);
  const withException = settingsOf({}, policy('ignore: [data/**, "!data/x/**"]\n'));
  expect(withException.reach('data/x/')).toBe('possible');
});
