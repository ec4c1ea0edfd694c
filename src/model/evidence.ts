import type { Evidence } from '../facts/evidence.ts';
import type { Architecture } from './architecture.ts';

/** Every part is counted as its code has it, towers too. */
export const isExact = ({ exact, towers }: Architecture): boolean => exact && towers.every((tower) => tower.exact);

/** What a count rests on. What is not exact rests on a rule at best, whatever stands behind other models of the family. */
export function restsOn(architecture: Architecture): Evidence {
  const { restsOn: family = 'by-keys' } = architecture;
  return family === 'by-keys' || isExact(architecture) ? family : 'by-rule';
}
