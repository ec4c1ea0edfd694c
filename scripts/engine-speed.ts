// Prints how many configs the engine reads and estimates in a CPU second, and how many plans a search looks at.
//   node scripts/node24.mjs scripts/engine-speed.ts
import { readdirSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { settingsOf } from '../src/calibrate.ts';
import { readSide } from '../src/run.ts';

const settings = settingsOf({});
const configs = readdirSync('configs')
  .filter((name) => name.endsWith('.json'))
  .map((name) => ({ name, bytes: readFileSync(`configs/${name}`) }));
const once = () => {
  for (const { name, bytes } of configs) readSide({ kind: 'bytes', bytes }, name, settings);
};
const rounds = 400;
for (let warm = 0; warm < 20; warm++) once();
const started = process.cpuUsage();
for (let round = 0; round < rounds; round++) once();
const { user, system } = process.cpuUsage(started);
const perSecond = Math.round((rounds * configs.length) / ((user + system) / 1e6));
console.log(`${perSecond.toLocaleString('en-US')} configs per CPU second (load average ${loadavg()[0]?.toFixed(1)})`);
