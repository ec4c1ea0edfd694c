/** Slurm's directives at the top of a script, without their dashes. */
export function directivesOf(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const row of text.split('\n', 5_000)) {
    if (!row.startsWith('#SBATCH') || row.length > 500) continue;
    const [, name = '', value = ''] = /^#SBATCH\s+-{1,2}([\w-]+)[=\s]*([^#]*)/.exec(row) ?? [];
    if (name !== '') found.set(name, value.trim());
  }
  return found;
}

/** What Slurm tells a job about itself follows from its directives. */
export function slurmVariables(directives: ReadonlyMap<string, string>): readonly (readonly [string, string])[] {
  const nodes = directives.get('nodes') ?? directives.get('N');
  const gpus = gpusOfNode(directives);
  return [
    ...(nodes === undefined
      ? []
      : ['SLURM_NNODES', 'SLURM_JOB_NUM_NODES', 'SLURM_JOB_NODES'].map((name) => [name, nodes] as const)),
    ...(gpus === undefined ? [] : ['SLURM_GPUS_ON_NODE', 'SLURM_GPUS_PER_NODE'].map((name) => [name, gpus] as const)),
  ];
}

/** GPUs of a node by Slurm's directives: `--gres=gpu:a100:8`, `--gpus-per-node=8`. */
export function gpusOfNode(directives: ReadonlyMap<string, string>): string | undefined {
  const gres = directives.get('gres');
  const stated = directives.get('gpus-per-node') ?? (gres?.startsWith('gpu') === true ? gres : undefined);
  return /(?:^|:)(\d{1,4})$/.exec(stated ?? '')?.[1];
}
