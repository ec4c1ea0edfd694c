// Prints how many configs the engine reads and estimates in a second.
//   node scripts/node24.mjs scripts/engine-speed.ts
import { readdirSync, readFileSync } from 'node:fs';
import { readSide } from '../src/run.ts';
import { settingsFrom } from '../src/settings/settings.ts';

const settings = settingsFrom({});
const configs = readdirSync('configs')
  .filter((name) => name.endsWith('.json'))
  .map((name) => ({ name, bytes: readFileSync(`configs/${name}`) }));
const once = () => {
  for (const { name, bytes } of configs) readSide({ kind: 'bytes', bytes }, name, settings);
};
for (let warm = 0; warm < 20; warm++) once();
const started = performance.now();
const rounds = 100;
for (let round = 0; round < rounds; round++) once();
const seconds = (performance.now() - started) / 1e3;
console.log(`${Math.round((rounds * configs.length) / seconds).toLocaleString('en-US')} configs per second`);
