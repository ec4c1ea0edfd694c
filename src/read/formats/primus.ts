import { findAccelerator } from '../../facts/accelerators.ts';
import {
  type PrimusPreset,
  primusMaxtext,
  primusPresets,
  primusTorchtitan,
  primusVersion,
} from '../../facts/primus.ts';
import type { Keys, Statement } from '../../model/statement.ts';
import { type Dictionary, isDictionary, OtherModel, own, textOf } from '../../text/fields.ts';
import { interpolated } from '../../text/interpolate.ts';
import { overlaid } from '../../text/merge.ts';
import { type Argument, type Arguments, argumentsAt, joined, statingArguments } from '../arguments.ts';
import type { Beside, Format, ParsedFile } from '../format.ts';
import { pathInside } from '../gather.ts';
import { joinedStatements } from '../scripts.ts';
import { maxtext } from './maxtext.ts';
import { statementOf, withoutDefaults } from './megatron-arguments.ts';
import { torchtitan } from './torchtitan.ts';

/** Primus' experiment: modules that each name a framework, a preset of the trainer, one of the model, and overrides. */
export const primus: Format = {
  id: 'primus',
  title: 'Primus experiment YAML',
  syntaxes: ['yaml'],
  included: true,
  signature: { has: ['modules.*.framework', 'modules.*.model'] },
  states: experiment,
};

/** A preset of a model (`primus/configs/models/megatron/*.yaml`), which extends others. */
export const primusModel: Format = {
  id: 'primus-model',
  title: 'Primus model YAML',
  syntaxes: ['yaml'],
  included: true,
  signature: {
    some: [
      [1, ['extends', 'bases']],
      [
        2,
        [
          'num_layers',
          'hidden_size',
          'ffn_hidden_size',
          'num_attention_heads',
          'num_query_groups',
          'num_experts',
          'moe_ffn_hidden_size',
          'moe_router_topk',
          'multi_latent_attention',
          'max_position_embeddings',
          'tokenizer_model',
          'norm_epsilon',
          'swiglu',
        ],
      ],
    ],
  },
  states: model,
};

type Chain = {
  readonly kind: 'models' | 'modules';
  readonly beside: Beside;
  /** where files that are named stand, from the root of the repository */
  readonly folder: string;
  /** what may still be opened, so that files that extend each other end */
  readonly left: { files: number };
  /** names that neither the repository nor Primus has */
  readonly missing: string[];
};

/** A model alone states its architecture; what a run takes by default is for the experiments to say. */
function model(file: ParsedFile, beside: Beside): Statement {
  const missing: string[] = [];
  const chain: Chain = { kind: 'models', beside, folder: folderOf(file.path), left: { files: 40 }, missing };
  const statement = withoutDefaults(statementOf(file, primusModel.id, extended(file, chain)));
  return { ...statement, problems: [...statement.problems, ...missing.map((name) => notThere('extends', name, file))] };
}

const folderOf = (path: string): string => path.split('/').slice(0, -1).join('/');

function experiment(file: ParsedFile, beside: Beside): Statement {
  const root = isDictionary(file.source.value) ? interpolated(file.source.value) : {};
  const [name, module] = moduleOf(root);
  const framework = String(own(module, 'framework'));
  const other = listed(foreign, framework);
  if (other !== undefined) return ofForeign(file, [name, module], framework, other, beside);
  if (framework !== 'megatron') throw frameworkUnread(file, name, framework);
  const missing: string[] = [];
  const part = (kind: Chain['kind'], key: string): Arguments => {
    const asked = own(module, key);
    return typeof asked === 'string'
      ? named(asked, file, { kind, beside, missing, left: { files: 40 }, folder: '' })
      : new Map();
  };
  const overrides = argumentsAt(file, own(module, 'overrides'), `modules.${name}.overrides`);
  const given = joined(part('modules', 'config'), part('models', 'model'), overrides, machineOf(file));
  const statement = statementOf(file, primus.id, given);
  const absent = missing.map((one) => notThere(`modules.${name}.model`, one, file));
  return { ...statement, problems: [...statement.problems, ...absent] };
}

/** Frameworks whose own keys an experiment has in YAML, with what Primus installs for them. */
type Foreign = {
  readonly format: Format;
  readonly models: (asked: string) => Keys | undefined;
  readonly defaults: Keys;
  /** the key of the framework that says which model it is */
  readonly model: string;
};

const foreign: Readonly<Record<string, Foreign>> = {
  torchtitan: {
    format: torchtitan,
    models: (asked) => {
      const model = listed(primusPresets.torchtitan, asked);
      return model === undefined ? undefined : { model };
    },
    defaults: primusTorchtitan,
    model: 'model.flavor',
  },
  maxtext: {
    format: maxtext,
    models: (asked) => listed(primusPresets.maxtext, asked),
    defaults: primusMaxtext,
    model: 'model_name',
  },
};

const listed = <Row>(table: Readonly<Record<string, Row>>, name: string): Row | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

/** Primus' module, the model's file, and the overrides, read as a file of the framework's own is. */
function ofForeign(
  file: ParsedFile,
  [name, module]: Module,
  framework: string,
  by: Foreign,
  beside: Beside,
): Statement {
  const asked = textOf(own(module, 'model')).replace(/\.ya?ml$/, '');
  const path = pathInside(`primus/configs/models/${framework}/${asked}.yaml`, '');
  const found = path === undefined ? undefined : beside(path)?.source.value;
  const overrides = own(module, 'overrides');
  const model = isDictionary(found) ? found : (by.models(asked) ?? {});
  const value = overlaid(overlaid(by.defaults, model), isDictionary(overrides) ? overrides : {});
  const prefix = `modules.${name}.overrides.`;
  const lines = new Map<string, number>();
  for (const [key, line] of file.source.lines) if (key.startsWith(prefix)) lines.set(key.slice(prefix.length), line);
  const named = file.source.lines.get(`modules.${name}.model`);
  if (named !== undefined) lines.set(by.model, named);
  const inner = by.format.states({ path: file.path, source: { value, lines, problems: file.source.problems } }, beside);
  const machine = statingArguments(file, primus.id, machineOf(file));
  machine.run('accelerator', 'accelerator');
  return { ...joinedStatements(machine.statement(), inner), format: primus.id };
}

type Module = readonly [name: string, of: Dictionary];

/** The trainer's module: the first that trains. */
function moduleOf(root: Dictionary): Module {
  const modules = own(root, 'modules');
  const all = isDictionary(modules) ? Object.entries(modules) : [];
  for (const [name, module] of all)
    if (isDictionary(module) && own(module, 'framework') !== undefined && own(module, 'model') !== undefined)
      return [name, module];
  return ['', {}];
}

function frameworkUnread(file: ParsedFile, name: string, framework: string): OtherModel {
  const key = `modules.${name}.framework`;
  return new OtherModel(
    `Primus’ modules of the framework ${framework.slice(0, 40)} are not read yet, those of megatron, torchtitan and maxtext are.`,
    file.source.lines.get(key),
    key,
  );
}

const notThere = (key: string, name: string, file: ParsedFile) => {
  const line = file.source.lines.get(key);
  return {
    severity: 'warning' as const,
    message: `${key} leads to ${name.slice(0, 100)}, which is neither a file of this repository nor a preset of ${primusVersion}; llama_base is taken in its place.`,
    key,
    ...(line === undefined ? {} : { line }),
  };
};

/** A preset by its file's name: a file of the repository, else what Primus installs. */
function named(name: string, from: ParsedFile, chain: Chain): Arguments {
  const stem = name.replace(/\.ya?ml$/, '');
  const folders = [`primus/configs/${chain.kind}/megatron`, folderOf(from.path)];
  const files = folders.map((folder) => {
    const path = pathInside(folder === '' ? `${stem}.yaml` : `${folder}/${stem}.yaml`, '');
    return { folder, file: path === undefined ? undefined : chain.beside(path) };
  });
  const found = files.find(({ file }) => file !== undefined && file.path !== from.path);
  if (found?.file !== undefined) return extended(found.file, { ...chain, folder: found.folder });
  return installed(stem, chain);
}

/** A file's own arguments over those of the files that it extends, the later of these over the earlier. */
function extended(file: ParsedFile, chain: Chain): Arguments {
  const root = isDictionary(file.source.value) ? interpolated(file.source.value) : {};
  const listed = own(root, 'extends') ?? own(root, 'bases');
  const names = (Array.isArray(listed) ? listed : [listed]).filter((one) => typeof one === 'string').slice(0, 20);
  const below = names.map((name) => base(name, chain));
  const isBase = /(^|\/)language_model\.ya?ml$/.test(file.path);
  const values = Object.fromEntries(
    Object.entries(root).filter(([key]) => !['extends', 'bases'].includes(key) && !(isBase && sizes.includes(key))),
  );
  return joined(...below, argumentsAt(file, values, ''));
}

/** The sizes that stand in the preset which all models extend are nobody's. */
const sizes: readonly string[] = ['num_layers', 'hidden_size', 'num_attention_heads', 'model_type'];

function base(name: string, chain: Chain): Arguments {
  const path = pathInside(chain.folder === '' ? name : `${chain.folder}/${name}`, '');
  const file = path === undefined || chain.left.files-- <= 0 ? undefined : chain.beside(path);
  if (file !== undefined) return extended(file, { ...chain, folder: folderOf(file.path) });
  return installed(name.replace(/^.*\//, '').replace(/\.ya?ml$/, ''), chain);
}

/** Bases of the trainer's module that do not bear on cost are not kept. */
function installed(stem: string, chain: Chain): Arguments {
  const found = preset(stem, chain.kind, 0);
  if (found !== undefined) return found;
  if (chain.kind === 'modules') return preset('pre_trainer', chain.kind, 0) ?? new Map();
  if (stem !== 'primus_megatron_model') chain.missing.push(`${stem}.yaml`);
  return preset(stem === 'primus_megatron_model' ? stem : 'llama_base', chain.kind, 0) ?? new Map();
}

/** What Primus installs under a name; undefined where it has none. */
function preset(stem: string, kind: Chain['kind'], depth: number): Arguments | undefined {
  const table = primusPresets[kind];
  const found: PrimusPreset | undefined = Object.hasOwn(table, stem) ? table[stem] : undefined;
  if (found === undefined || depth > 10) return undefined;
  const below = found.extends.map((name) => preset(name, kind, depth + 1) ?? new Map<string, Argument>());
  const at = (key: string) => ({ file: `${stem}.yaml of ${primusVersion}`, key });
  return joined(
    ...below,
    new Map(Object.entries(found.values).map(([key, value]) => [key, { value, at: at(key) }] as const)),
  );
}

/** Primus sorts experiments into folders by accelerator. */
function machineOf(file: ParsedFile): Arguments {
  const id = file.path
    .toLowerCase()
    .split('/')
    .find((step) => /^mi\d{3}x$/.test(step) && findAccelerator(step) !== undefined);
  return id === undefined
    ? new Map()
    : new Map([['accelerator', { value: id, at: { file: file.path, key: 'its folder' } }]]);
}
