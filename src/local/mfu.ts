import { measuredMfu } from '../cost/time/step.ts';
import { exact, flopsText, percent } from '../report/format.ts';
import { plain } from '../report/markdown.ts';
import type { MfuReport } from '../report/printed-schema.ts';
import { readSide as readConfigSide } from '../run.ts';
import type { Settings } from '../settings/settings.ts';
import { parseCount } from '../units.ts';
import { Usage, type Words } from './arguments.ts';
import { jobNamed } from './beside.ts';
import { complain, complainOf, json, print } from './print.ts';

/** `mfu CONFIG --tokens-per-second N`: what share of the hardware's peak a measured run makes use of. */
export function mfu(words: Words, settings: Settings): number {
  const [word, ...rest] = words.files;
  if (word === undefined || rest.length > 0)
    throw new Usage('mfu needs one config: model-cost mfu CONFIG --tokens-per-second N');
  const text = words.option('tokens-per-second');
  const speed = text === undefined ? undefined : parseCount(text.replaceAll(',', ''));
  if (speed === undefined || speed <= 0)
    throw new Usage('mfu needs --tokens-per-second N, the tokens per second of all GPUs together.');
  const { path, head, beside } = jobNamed(word, settings);
  if (head === undefined) return complainOf(path, undefined);
  const side = readConfigSide(head, path, settings, undefined, beside?.head);
  const { estimate } = side;
  if (estimate === undefined) return complainOf(path, side.reading.problems[0]);
  const { run } = estimate.run;
  const { mfu: share, hfu, peak } = measuredMfu(estimate.flops, estimate.run, speed);
  if (share === null || hfu === null || peak === null)
    return complain(`${run.accelerator} has no known ${run.precision} peak, so MFU cannot be computed.`);
  const conventions = Object.entries(estimate.flops.conventions).map(
    ([name, amount]) => [name, (amount * speed) / peak] as const,
  );
  if (words.format === 'json') {
    const report: MfuReport = {
      version: 1,
      path,
      tokens_per_second: speed,
      training_flops_per_token: estimate.flops.training,
      peak_flops_per_second: peak,
      mfu: share,
      hfu,
      mfu_by_convention: Object.fromEntries(conventions),
      projected_mfu: estimate.throughput.mfu,
      run: {
        accelerator: run.accelerator,
        gpus: run.gpus,
        sequence_length: run.sequenceLength,
        precision: run.precision,
      },
      assumptions: estimate.assumptions.map((one) => ({ ...one })),
    };
    return print(json(report), words.option('output'));
  }
  const lines = [
    ...(hfu > 1
      ? ['More than the peak: check --tokens-per-second, --gpus, the accelerator and the sequence length.']
      : []),
    `MFU ${percent(share)}  (HFU ${percent(hfu)})`,
    `  ${flopsText(estimate.flops.training)} for a token of training x ${exact(speed)} tokens/s`,
    `  over ${run.gpus} x ${plain(run.accelerator, 40)}, ${flopsText(peak)}/s dense ${run.precision}, sequences of ${exact(run.sequenceLength)} tokens`,
    `  by convention: ${conventions.map(([name, amount]) => `${name} ${percent(amount)}`).join(', ')}`,
    ...(estimate.throughput.mfu === null
      ? []
      : [
          `  projected: ${percent(estimate.throughput.mfu)}; \`calibration: ${((share / estimate.throughput.mfu) * (run.calibration ?? 1)).toPrecision(3)}\` in the run description scales projections to what was measured`,
        ]),
  ];
  return print(
    `${lines.map((line) => (words.format === 'markdown' ? `${line.trim()}\n` : line)).join('\n')}\n`,
    words.option('output'),
  );
}
