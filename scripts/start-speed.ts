// Prints the CPU time that a start takes, as multiples of an empty script's, each the least of several: `help`, `version`, a report of
// a config, and the same once more with what an earlier start compiled. Needs `npm run build`.
//   node scripts/node24.mjs scripts/start-speed.ts [CLI ...]     CLI: other built command lines to hold this one against
import { spawnSync } from 'node:child_process';
import { loadavg } from 'node:os';

const script = `process.on('exit', () => { const { user, system } = process.cpuUsage(); process.stderr.write('\\ncpu ' + (user + system)); });`;

/** Milliseconds of CPU, the least of so many runs. */
function least(words: readonly string[], env: Readonly<Record<string, string>> = {}, runs = 9): number {
  const each = Array.from({ length: runs }, () => {
    const preload = `data:text/javascript,${encodeURIComponent(script)}`;
    const options = { env: { ...process.env, ...env }, encoding: 'utf8', maxBuffer: 2 ** 28 } as const;
    const { stderr } = spawnSync(process.execPath, ['--import', preload, ...words], options);
    return Number(/cpu (\d+)/.exec(stderr)?.[1]) / 1e3;
  });
  return Math.min(...each);
}

const empty = least(['-e', '0']);
console.log(`empty script: ${empty.toFixed(0)} ms of CPU (load average ${loadavg()[0]?.toFixed(1)})`);
for (const cli of ['dist/cli/index.js', ...process.argv.slice(2)]) {
  for (const command of [['version'], ['help'], ['report', 'configs/llama-3.1-8b.json'], ['report', 'configs']]) {
    const [cold, warm] = [least([cli, ...command], { NODE_DISABLE_COMPILE_CACHE: '1' }), least([cli, ...command])];
    const times = (one: number) => `${(one / empty).toFixed(1)} times (${one.toFixed(0)} ms)`;
    console.log(`${cli} ${command.join(' ')}: ${times(cold)}, compiled before ${times(warm)}`);
  }
}
