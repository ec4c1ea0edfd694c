import type { Architecture, Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';

/**
 * The class that a config names in `architectures` decides what stands on the body: the output over the vocabulary, a
 * classifier, or nothing. It is told by how its name ends, and the family by how it starts.
 */
export type ModelClass =
  | 'language'
  | 'body'
  | 'encoder'
  | 'sequence'
  | 'token'
  | 'answers'
  | 'audio'
  | 'value'
  | 'reward'
  | 'process reward';

const endings: readonly (readonly [RegExp, ModelClass])[] = [
  [/ForProcessRewardModel$/, 'process reward'],
  [/ForRewardModel$/, 'reward'],
  [/Reward(Model)?$/, 'value'],
  [/ForSequenceClassification$/, 'sequence'],
  [/ForTokenClassification$/, 'token'],
  [/ForQuestionAnswering$/, 'answers'],
  [/ForAudioClassification$/, 'audio'],
  [/(Text)?EncoderModel$/, 'encoder'],
  [/(ForCausalLM|(Model)?ForConditionalGeneration|ForMaskedLM|ForPreTraining)$/, 'language'],
  [/(For(MultipleChoice|NextSentencePrediction|MultimodalLM|BlockDiffusion|VisionText2Text))$/, 'language'],
  [/(LMHeadModel|DoubleHeadsModel|ModelWithLMHead|MTModel|ModelLM)$/, 'language'],
  [/Model$/, 'body'],
];

/** Classes that end like a body and have an output all the same. */
const outputs = /^((Chat)?GLMModel|ChatGLM4?ForConditionalGeneration|DreamModel)$/;

/** The name in `architectures`, what it is by its ending, and what it starts with. */
export type NamedClass = { readonly name: string; readonly kind: ModelClass | undefined; readonly stem: string };

/** The class that `architectures` names, as far as its ending says what stands on the body; undefined where it names none. */
export function namedClass(fields: Fields): NamedClass | undefined {
  const listed = fields.ofFile('architectures');
  const name = Array.isArray(listed) ? listed.find((one): one is string => typeof one === 'string') : undefined;
  if (name === undefined || name.length > 100) return undefined;
  const found = endings.find(([ending]) => ending.test(name));
  return { name, kind: outputs.test(name) ? 'language' : found?.[1], stem: stemOfClass(name) };
}

/** What the name of a class starts with, before what says what stands on the body. */
export function stemOfClass(name: string): string {
  const found = endings.find(([ending]) => ending.test(name));
  return found === undefined ? name : name.replace(found[0], '');
}

/** The encoder of a model of two stacks, without its decoder. */
export const encoderAlone = (fields: Fields, kinds: readonly ModelClass[]): boolean => {
  const kind = namedClass(fields)?.kind;
  return kind !== undefined && kinds.includes(kind);
};

/** What every class takes where its config names no labels. */
const labelsUnstated = 2;
/** WhisperConfig's `classifier_proj_size`. */
const projectedUnstated = 256;

/** A number of the config, or what its class takes in its place, which is noted. */
function orNoted(fields: Fields, keys: readonly [string, ...string[]], unstated: number): number {
  const stated = fields.optionalInteger(keys, 1);
  if (stated === undefined) fields.assume(keys[0], unstated, "the default of the model's own code");
  return stated ?? unstated;
}

/** Outputs of a classifier: the labels that the config names, two where it names none. */
function labelsOf(fields: Fields): number {
  const named = fields.raw('id2label')?.value;
  if (typeof named === 'object' && named !== null) return Object.keys(named).length;
  return orNoted(fields, ['num_labels', '_num_labels'], labelsUnstated);
}

const matrix = (path: string, rows: number, columns: number, bias: boolean): Part => ({
  kind: 'linear',
  path,
  rows,
  columns,
  bias,
  component: 'other',
});

const classifiers: Readonly<
  Record<Exclude<ModelClass, 'language'>, (fields: Fields, D: number, family: Family) => readonly Part[]>
> = {
  body: () => [],
  encoder: () => [],
  sequence: (fields, D, { twoStacks }) =>
    twoStacks
      ? [matrix('classifier_dense', D, D, true), matrix('classifier', D, labelsOf(fields), true)]
      : [matrix('score', D, labelsOf(fields), false)],
  token: (fields, D) => [matrix('score', D, labelsOf(fields), true)],
  answers: (fields, D, { answersByLabels }) => [matrix('answers', D, answersByLabels ? labelsOf(fields) : 2, true)],
  audio: (fields, D) => {
    const width = orNoted(fields, ['classifier_proj_size'], projectedUnstated);
    return [matrix('projector', D, width, true), matrix('classifier', width, labelsOf(fields), true)];
  },
  value: (_, D) => [matrix('score', D, 1, false)],
  reward: (_, D) => [matrix('score_dense', D, D, true), matrix('score', D, 1, true)],
  'process reward': (_, D) => [matrix('score_dense', D, D, true), matrix('score', D, 2, true)],
};

const isTokenTable = (part: Part): boolean => part.kind === 'table' && part.path === 'embedding.token';

/** The output over the vocabulary, with the matrix that leads to it alone. */
const isOutput = (part: Part): boolean =>
  part.kind === 'output' ||
  (part.kind !== 'state_space' && 'path' in part && /^(output\.dense|norm\.output)$/.test(part.path ?? ''));

/** Each token attends to all others where the config says so: an embedding model made of a decoder. */
const seesAhead = (fields: Fields): boolean =>
  fields.ofFile('is_causal') === false || fields.ofFile('use_bidirectional_attention') === true;

const bothWays = (part: Part): Part => (part.kind === 'attention' ? { ...part, causal: false } : part);

/**
 * An architecture under the class that its config names: with that class's head in place of the output over the vocabulary.
 * What has no such output, or sees what follows, generates nothing token by token, so nothing is cached.
 */
export function underClass(causal: Architecture, fields: Fields, family: Family): Architecture {
  const architecture = seesAhead(fields) ? looking(causal) : causal;
  const kind = namedClass(fields)?.kind ?? 'language';
  if (kind === 'language') return architecture;
  const output = architecture.head.find((part) => part.kind === 'output');
  const width = output?.kind === 'output' ? output.rows : architecture.hiddenSize;
  return {
    ...architecture,
    // An audio encoder reads no tokens.
    embedding: architecture.embedding.filter((part) => kind !== 'audio' || !isTokenTable(part)),
    head: [...architecture.head.filter((part) => !isOutput(part)), ...classifiers[kind](fields, width, family)],
    prediction: [],
    predictionDepth: 0,
    generates: false,
  };
}

const looking = (causal: Architecture): Architecture => ({
  ...causal,
  layers: causal.layers.map((layer) => ({ ...layer, parts: layer.parts.map(bothWays) })),
  generates: false,
});
