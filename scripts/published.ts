import { readFileSync } from 'node:fs';
import { findModel } from '../src/facts/models.ts';

/** A published model with its exact count (test/oracle/models.json). */
export type Published = {
  readonly model: string;
  readonly total: number;
  readonly active?: number;
  /** Multi-token prediction, apart from the total. */
  readonly mtp?: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly source: string;
};

type Row = Omit<Published, 'config'> & Partial<Pick<Published, 'config'>>;

const rows: readonly Row[] = JSON.parse(readFileSync(new URL('../test/oracle/models.json', import.meta.url), 'utf8'));

/** The rows of the oracle, each with its config: its own, else the one that the catalogue has under its name. */
export const published: readonly Published[] = rows.map((row) => {
  const config = row.config ?? findModel(row.model)?.config;
  if (config === undefined) throw new Error(`${row.model} has no config, here or in src/facts/models.json`);
  return { ...row, config };
});
