import type { Statement } from '../../model/statement.ts';
import { type Dictionary, isDictionary, own } from '../../text/fields.ts';
import { interpolated } from '../../text/interpolate.ts';
import { type Argument, type Arguments, argumentsAt, joined } from '../arguments.ts';
import { type Beside, type Format, type ParsedFile, placeOf } from '../format.ts';
import { pathInside } from '../gather.ts';
import { statementOf } from './megatron-arguments.ts';

/** FlagScale's task file: Megatron's arguments in sections for the system, the model and its data. */
export const flagscale: Format = {
  id: 'flagscale',
  title: 'FlagScale task YAML',
  syntaxes: ['yaml'],
  included: true,
  signature: {
    has: ['model.num_layers'],
    some: [[1, ['system.precision', 'system.tensor_model_parallel_size', 'system.pipeline_model_parallel_size']]],
  },
  states: (file) => statementOf(file, flagscale.id, taskOf(file, {})),
};

/** The experiment that names a task file (`defaults: [train: 7b]`) and says on how many GPUs it runs. */
export const flagscaleExperiment: Format = {
  id: 'flagscale-experiment',
  title: 'FlagScale experiment YAML',
  syntaxes: ['yaml'],
  included: true,
  signature: { has: ['defaults', 'experiment.task'], like: [['experiment.task.type', /^train$/]] },
  states: experiment,
};

const sections = ['system', 'model', 'data', 'train'] as const;

function taskOf(file: ParsedFile, above: Dictionary): Arguments {
  const { value } = file.source;
  const root = isDictionary(value) ? interpolated(value, { also: above }) : {};
  return joined(...sections.map((section) => argumentsAt(file, own(root, section), section)));
}

function experiment(file: ParsedFile, beside: Beside): Statement {
  const root = isDictionary(file.source.value) ? interpolated(file.source.value) : {};
  const paths = taskPaths(root, file.path);
  const tasks = paths.map((path) => beside(path));
  const given = tasks.flatMap((task) => (task === undefined ? [] : [taskOf(task, root)]));
  const statement = statementOf(
    file,
    flagscaleExperiment.id,
    joined(...given, taskOf(file, root), machines(file, root)),
  );
  const absent = paths.filter((_, index) => tasks[index] === undefined);
  return { ...statement, problems: [...statement.problems, ...absent.map(notThere)] };
}

const notThere = (path: string) => ({
  severity: 'warning' as const,
  message: `defaults names ${path}, which is not a file of this repository that can be read.`,
  key: 'defaults',
});

/** Files of Hydra's defaults: `train: 7b` is `train/7b.yaml` beside the experiment. */
function taskPaths(root: Dictionary, from: string): readonly string[] {
  const listed = own(root, 'defaults');
  if (!Array.isArray(listed)) return [];
  return listed.slice(0, 20).flatMap((entry) => {
    if (!isDictionary(entry)) return [];
    const [[group, option] = []] = Object.entries(entry);
    if (typeof group !== 'string' || typeof option !== 'string' || option.includes('$')) return [];
    const path = pathInside(`./${group}/${option.replace(/\.yaml$/, '')}.yaml`, from);
    return path === undefined ? [] : [path];
  });
}

/** GPUs of a node are the devices that are visible; without a file of hosts there is one node. */
function machines(file: ParsedFile, root: Dictionary): Arguments {
  const found = new Map<string, Argument>();
  const at = (path: string) => placeOf(file, path);
  const section = own(root, 'experiment');
  const part = (name: string) => {
    const value = isDictionary(section) ? own(section, name) : undefined;
    return isDictionary(value) ? value : {};
  };
  const runner = part('runner');
  const devices = own(part('envs'), 'CUDA_VISIBLE_DEVICES');
  const perNode = own(runner, 'nproc_per_node');
  if (typeof perNode === 'number')
    found.set('nproc_per_node', { value: perNode, at: at('experiment.runner.nproc_per_node') });
  else if (typeof devices === 'string' || typeof devices === 'number')
    found.set('nproc_per_node', {
      value: String(devices).split(',').length,
      at: at('experiment.envs.CUDA_VISIBLE_DEVICES'),
    });
  const nodes = own(runner, 'nnodes');
  const hosts = own(runner, 'hostfile');
  if (nodes !== undefined && nodes !== null) found.set('nnodes', { value: nodes, at: at('experiment.runner.nnodes') });
  else if (hosts === undefined || hosts === null)
    found.set('nnodes', { value: 1, at: at('experiment.runner.hostfile') });
  return found;
}
