import {
  type Attribution,
  type ChangedField,
  type Comparison,
  type SetField,
  type Share,
  states,
} from '../gate/review.ts';
import { signed } from './format.ts';

/** What a reader sees of an attribution: a row for each share that moved something, and the rest. */
export type Moved = {
  /** What is attributed, as far as any of it moved. */
  readonly columns: readonly string[];
  readonly rows: readonly { readonly fields: readonly SetField[]; readonly parts: readonly string[] }[];
  /** Changed without a part in any of it. */
  readonly idle: readonly ChangedField[];
  /** How the parts come about. */
  readonly note: string;
};

const columns = [
  { id: 'memory', label: 'Memory', unit: 'bytes' },
  { id: 'training_flops_per_token', label: 'FLOPs per token', unit: 'flops' },
  { id: 'step_time', label: 'Step time', unit: 'seconds' },
  { id: 'training_cost', label: 'Cost', unit: 'dollars' },
] as const;

/** undefined where nothing changed, or one side is absent. Without an attribution, fields are listed without parts. */
export function movedBy({ attribution, fields }: Comparison): Moved | undefined {
  const shares = attribution?.kind === 'shares' ? attribution.shares : [];
  if (fields.length + shares.length === 0) return undefined;
  const shown = columns.filter(({ id }) => shares.some(({ moved }) => (moved[id] ?? 0) !== 0));
  const moves = ({ moved }: Share) => shown.some(({ id }) => (moved[id] ?? 0) !== 0);
  const told = shares.filter(moves);
  const set = told.flatMap((share) => share.fields);
  const idle = [
    ...shares.filter((share) => !moves(share)).flatMap((share) => share.fields),
    ...fields.filter((field) => !shares.some((share) => share.fields.some((one) => states(field, one)))),
  ];
  return {
    columns: shown.map(({ label }) => label),
    rows: told
      .toSorted((a, b) => sizeOf(b, shown) - sizeOf(a, shown))
      .map((share) => ({
        fields: share.fields,
        parts: shown.map(({ id, unit }) => signed(share.moved[id] ?? 0, unit)),
      })),
    idle,
    note: noteOn(attribution, set.length),
  };
}

/** By the first column that tells two shares apart most people sort: memory, or what moved instead of it. */
const sizeOf = ({ moved }: Share, shown: readonly { readonly id: string }[]): number =>
  Math.abs(moved[shown[0]?.id ?? ''] ?? 0);

function noteOn(attribution: Attribution | undefined, settings: number): string {
  if (attribution === undefined) return '';
  if (attribution.kind === 'none') return `What each change moved is not known: ${attribution.reason}.`;
  if (settings < 2) return '';
  const together = attribution.grouped ? ' What moves least by itself is taken together.' : '';
  return `Each part is the average over the orders in which the changes can be made (Shapley), so that they add up to the difference.${together}`;
}
