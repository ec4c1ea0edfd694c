import type { RunSource } from '../model/run.ts';
import { dollars, exact } from '../report/format.ts';
import type { Hardware, Policy } from './policy.ts';

/** What a measured run says of the projections for a machine. */
export type Calibration =
  | { readonly kind: 'ratio'; readonly ratio: number; readonly measured: number; readonly projected: number }
  | { readonly kind: 'wrong'; readonly sentence: string };

/** Holds a machine's measured run against its projection; undefined where none was measured. */
export type Calibrate = (machine: Hardware) => Calibration | undefined;

/** Measured over projected tokens per second, by the name of the machine. */
export type Calibrations = ReadonlyMap<
  string,
  { readonly ratio: number; readonly measured: number; readonly projected: number }
>;

/** What the measured runs of the machines that some config uses say of the projections. */
export function calibrationsOf(policy: Policy | undefined, calibrate: Calibrate, wrong: string[]): Calibrations {
  const found = new Map<string, { ratio: number; measured: number; projected: number }>();
  for (const { hardware } of policy === undefined ? [] : [policy.defaults, ...policy.entries]) {
    if (hardware === undefined || found.has(hardware.name)) continue;
    const calibration = calibrate(hardware);
    if (calibration?.kind === 'ratio') found.set(hardware.name, calibration);
    if (calibration?.kind === 'wrong') wrong.push(calibration.sentence);
  }
  return found;
}

/** What a machine states of a run, scaled by its measured run. */
export function machineSource(machine: Hardware | undefined, calibrations: Calibrations): readonly RunSource[] {
  if (machine === undefined) return [];
  const calibration = calibrations.get(machine.name)?.ratio;
  const fields = { ...machine.fields, ...(calibration === undefined ? {} : { calibration }) };
  return [{ origin: 'policy', fields, machine: true }];
}

/** A machine's price, network and calibration belong to its accelerator, so they are dropped where a stronger source names another one. */
export function ofOneMachine(sources: readonly RunSource[]): readonly RunSource[] {
  const accelerator = sources.find(({ fields }) => fields.accelerator !== undefined)?.fields.accelerator;
  return sources.filter(({ machine, fields }) => machine !== true || fields.accelerator === accelerator);
}

/** A machine as the settings show it. */
export function machineText(machine: Hardware, calibration: ReturnType<Calibrations['get']>): string {
  const { pricePerGpuHour: price, powerCapWatts: cap } = machine.fields;
  const stated = machine.fields.calibration;
  return [
    machine.name,
    ...(price === undefined ? [] : [`${dollars(price)} per GPU and hour`]),
    ...(cap === undefined ? [] : [`capped at ${cap} W`]),
    ...(stated === undefined ? [] : [`calibrated by ${stated}`]),
    ...(calibration === undefined
      ? []
      : [
          `calibrated by ${calibration.ratio.toFixed(2)} (${exact(calibration.measured)} tokens/s measured, ${exact(calibration.projected)} projected)`,
        ]),
  ].join('; ');
}
