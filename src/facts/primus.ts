import table from './primus.json' with { type: 'json' };

/** One file of Primus' presets: what it extends and the arguments that bear on cost. */
export type PrimusPreset = {
  readonly extends: readonly string[];
  readonly values: Readonly<Record<string, unknown>>;
};

/**
 * The presets that Primus installs (AMD-AGI/Primus fd1eeabb of 2026-08-22, `primus/configs/{models,modules}/megatron`), since teams
 * keep only the experiment's own file. `language_model` without its sizes, which every model states.
 */
export const primusPresets: {
  readonly models: Readonly<Record<string, PrimusPreset>>;
  readonly modules: Readonly<Record<string, PrimusPreset>>;
} = table;

export const primusVersion = 'Primus fd1eeabb';
