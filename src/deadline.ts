import { Script } from 'node:vm';
import type { InTime } from './world.ts';

type Limits = { readonly each: number; readonly all: number };

/** What one config may take, and all of a run together, in milliseconds. */
const most: Limits = { each: 5_000, all: 300_000 };

const job = Symbol.for('model-cost-gate.job');
const holder: typeof globalThis & { [job]?: () => void } = globalThis;

/** V8 ends what a script calls, wherever it is: in a loop, in a regular expression, past any `catch`. */
const script = new Script(`globalThis[Symbol.for('${job.description}')]()`);

/**
 * Runs work whose length a stranger's text decides, and stops it where it takes too long, alone or with all before it.
 * It is not for work within such work.
 */
export function deadline({ each, all } = most): InTime {
  let left = all;
  const tooMuch = late(`was not evaluated: all configs of a run together may take ${all / 1_000} s`);
  const tooLong = late(`takes longer than ${each / 1_000} s to evaluate`);
  return (work) => {
    if (left <= 0) return tooMuch;
    const last = left < each;
    const started = performance.now();
    try {
      const result = done(work, last ? left : each);
      if (result !== undefined) return result;
      // V8's clock and this one differ by a little, which would leave some time for another.
      if (last) left = 0;
      return last ? tooMuch : tooLong;
    } finally {
      left -= performance.now() - started;
    }
  };
}

/** undefined where the work was stopped. */
function done<Result>(work: () => Result, milliseconds: number) {
  let result: { readonly kind: 'done'; readonly result: Result } | undefined;
  holder[job] = () => {
    result = { kind: 'done', result: work() };
  };
  try {
    script.runInThisContext({ timeout: Math.ceil(milliseconds) });
  } catch (error) {
    if (!isTimeout(error)) throw error;
  } finally {
    delete holder[job];
  }
  return result;
}

const late = (reason: string) => ({ kind: 'late', reason }) as const;

const isTimeout = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
