import { type Evidence, evidenceOf } from '../../facts/evidence.ts';
import { build, readShape } from '../../families/build.ts';
import { foreignClass } from '../../families/class-names.ts';
import { namedClass } from '../../families/classes.ts';
import { compositeDefaults } from '../../families/defaults.ts';
import { asDraft, draftOf, unknownDraft } from '../../families/drafts.ts';
import type { Family } from '../../families/family.ts';
import { type Composite, encoderElements, findComposite, readerOfType } from '../../families/multimodal.ts';
import { unknownCode } from '../../families/own-code.ts';
import { defaultsFor, familyNames, findFamily, namesakeOf, readerFor, readerOfFlat } from '../../families/registry.ts';
import type { Shape } from '../../families/shape.ts';
import { names } from '../../families/shape.ts';
import { nameUnread, noteUnread } from '../../families/unread.ts';
import { variantOf } from '../../families/variants.ts';
import type { Architecture, Tower } from '../../model/architecture.ts';
import type { Reading } from '../../model/reading.ts';
import { type Dictionary, Fields, isDictionary, OtherModel, own, statedFields } from '../../text/fields.ts';
import type { Source } from '../../text/syntax.ts';
import { isOtherModel } from './other-models.ts';
import { bytesOfElement, readQuantization } from './quantization.ts';

/** Keys under which multimodal configs keep their text model. */
const textKeys = ['text_config', 'language_config', 'llm_config', 'thinker_config'] as const;

/** Keys under which multimodal configs describe what is not the text model. */
const towerKeys = ['vision_config', 'audio_config', 'vision_tower_config', 'visual', 'speech_config'] as const;

/** A config.json of Hugging Face Transformers: it names its `model_type`, or has the keys of one. */
export const huggingface = {
  id: 'huggingface',
  title: 'Hugging Face config.json',
  recognises: (value: unknown): boolean =>
    isDictionary(value) &&
    (looksLikeText(value) || textKeys.some((key) => looksLikeText(own(value, key)) || namesModel(value, key))),
  read,
} as const;

const dimensionKeys = [
  'hidden_size',
  'n_embd',
  'd_model',
  'n_embed',
  'num_hidden_layers',
  'n_layer',
  'n_layers',
  'num_layers',
  'model_dim',
] as const;

/** A file that names a family of ours may leave every size to its class. */
const namesFamily = (value: Dictionary): boolean => {
  const type = own(value, 'model_type');
  return typeof type === 'string' && (findFamily(type) !== undefined || findComposite(type) !== undefined);
};

const looksLikeText = (value: unknown): boolean => isDictionary(value) && (namesFamily(value) || hasSizes(value));

const hasSizes = (value: Dictionary): boolean =>
  dimensionKeys.some((key) => typeof own(value, key) === 'number') &&
  typeof (own(value, 'model_type') ?? own(value, 'vocab_size') ?? own(value, 'architectures')) !== 'undefined';

/** The sizes of a model stand in the file itself, at its top or in the part that is the text model. */
export const statesSizes = (value: unknown): boolean =>
  isDictionary(value) && (hasSizes(value) || textKeys.some((key) => statesSizes(own(value, key))));

const namesModel = (value: Dictionary, key: string): boolean =>
  isDictionary(own(value, key)) && typeof own(value, 'model_type') === 'string';

function read(source: Source): Reading {
  const value = source.value as Dictionary;
  const statedType = stringOf(own(value, 'model_type')) ?? '';
  const outerType = variantOf(value, statedType) ?? statedType;
  if (findFamily(outerType) === undefined && findComposite(outerType) === undefined && isOtherModel(outerType))
    throw new OtherModel(
      `${outerType} is not a decoder-only language model, and this tool does not know it.`,
      source.lines.get('model_type'),
      'model_type',
    );
  const ofClass = isKnown(outerType) || hasPart(value, textKeys) ? undefined : typeOfClass(value);
  const found = findText(value, source, ofClass ?? outerType);
  const { outer, fields, family, text, type } = found;
  const modelType = outerType || type || 'unknown';
  const built = {
    ...(family ?? unknownFamily(text)),
    ...(found.kind === 'composite' && found.tied !== undefined ? { tied: found.tied } : {}),
  };
  const draft = draftOf(value);
  if (draft !== undefined && (found.kind !== 'text' || draft.kind === 'other')) throw unknownDraft(draft.name);
  const ofTarget = build(built, fields, outer, modelType);
  const architecture =
    draft === undefined ? ofTarget : asDraft(draft.kind, draft.name, ofTarget, readShape(built, fields), fields);
  if (ofClass !== undefined)
    fields.assume(
      'model_type',
      ofClass,
      `from the class that \`architectures\` names${outerType === '' ? '' : `, since ${outerType} is not known`}`,
    );
  if (family === undefined) {
    fields.assume(
      'model_type',
      type === '' ? 'not stated' : type,
      'this tool does not know the family: it is read by its keys as a Llama-like decoder, so counts are approximate',
    );
  }
  if (found.kind === 'unknown composite' && family !== undefined) {
    outer.assume(
      'model_type',
      modelType,
      `this tool does not know the family: its text model is ${type}; encoders are counted only where their type is known`,
    );
  }
  const evidence = evidenceFor(found, draft !== undefined, modelType, ofClass);
  if (evidence === 'by-rule')
    fields.assume('model_type', modelType, 'counted by rule: no official code that builds it was at hand');
  const codes = family === undefined || draft !== undefined ? undefined : codesOf(found, value, modelType, ofClass);
  const foreign = codes && foreignClass(fields, codes, built);
  if (foreign !== undefined) fields.assume('architectures', namedClass(fields)?.name, foreign);
  const beside = codes && unknownCode(outer, codes, evidence === 'official-code');
  if (beside !== undefined)
    outer.assume('auto_map', beside, 'the file names code of its own, which no count of this family was held against');
  if (family === undefined) nameUnread(fields);
  // An unknown family is not exact as it is.
  const allRead = family === undefined || noteUnread(fields, modelType, readerFor(type, family));
  const towers = found.kind === 'composite' ? found.towers(readShape(built, fields)) : towersOfUnknown(value, outer);
  const { quantization, unknown } = readQuantization(value, text, architecture.order.length, outer);
  const elementBytes = bytesOfElement(text, value);
  const complete: Architecture = {
    ...architecture,
    restsOn: evidence,
    layers: withDropout(architecture.layers, value),
    towers,
    // A type of its own may have code of its own, whatever class it names.
    exact:
      architecture.exact &&
      family !== undefined &&
      evidence !== 'by-rule' &&
      foreign === undefined &&
      beside === undefined &&
      allRead &&
      // Said by formats whose file describes more than what is counted.
      own(value, 'approximate') !== true &&
      !unknown &&
      found.beside !== true &&
      found.kind !== 'unknown composite' &&
      (ofClass === undefined || outerType === ''),
    ...(quantization === undefined ? {} : { quantization }),
    ...(elementBytes === undefined ? {} : { elementBytes }),
    ...(dropsOut(value) ? { dropout: true } : {}),
  };
  return {
    kind: 'read',
    format: huggingface.id,
    architecture: complete,
    keys: { reader: huggingface.id, config: value, names: source.names ?? new Map() },
    run: [],
    fields: statedFields(source),
    assumptions: [...new Set([...fields.assumptions, ...outer.assumptions])],
    problems: [...new Set([...source.problems, ...fields.problems, ...outer.problems])],
  };
}

/**
 * The types whose classes build the model: its own, its text model's, and the one whose code a type without a row of its own is.
 * Where a composite and its text model share a file, the class that it names is the composite's.
 */
function codesOf(found: Found, value: Dictionary, modelType: string, ofClass: string | undefined): readonly string[] {
  const shared = found.kind === 'composite' && found.text === value;
  const namesake = shared ? undefined : namesakeOf(found.type);
  return [modelType, found.type, ofClass, namesake].filter((type) => type !== undefined);
}

/** What the count rests on; where the text model of a composite is counted by rule, so is the whole. */
function evidenceFor(found: Found, draft: boolean, modelType: string, ofClass: string | undefined): Evidence {
  if (found.family === undefined) return 'by-keys';
  // Drafts stand on the family of their target, and were counted as the code that trains them builds them.
  if (draft) return 'authors-code';
  if (evidenceOf(found.type) === 'by-rule') return 'by-rule';
  return evidenceOf(rowOf(modelType, ofClass ?? found.type));
}

/** The type whose row counts the model: the file's own, or that of its text model or class. */
const rowOf = (stated: string, inner: string): string => (isKnown(stated) ? stated : inner);

const isKnown = (type: string): boolean => findFamily(type) !== undefined || findComposite(type) !== undefined;

/** Keys of Transformers' classes for what is dropped out of the residual stream. */
const dropouts = [
  'hidden_dropout',
  'hidden_dropout_prob',
  'resid_pdrop',
  'dropout',
  'dropout_rate',
  'residual_dropout',
];

/** The config states a share of the residual stream that training drops out. */
const dropsOut = (value: Dictionary): boolean => dropouts.some((key) => isShare(own(value, key)));

const isShare = (value: unknown): value is number => typeof value === 'number' && value > 0 && value < 1;

/** Keys of Transformers' classes for what is dropped out of the scores of attention. */
const attentionDropouts = ['attention_dropout', 'attention_probs_dropout_prob', 'attn_pdrop'];

/** Layers whose attention drops out as many of its scores as the config states. */
function withDropout(layers: Architecture['layers'], value: Dictionary): Architecture['layers'] {
  const dropout = attentionDropouts.map((key) => own(value, key)).find(isShare);
  if (dropout === undefined) return layers;
  return layers.map((layer) => ({
    ...layer,
    parts: layer.parts.map((part) => (part.kind === 'attention' ? { ...part, dropout } : part)),
  }));
}

/** The letters and figures of a name: `DeepseekV3` and `deepseek_v3` are one. */
const letters = (name: string) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');

/** The type whose class the config names in `architectures`, where it is one of ours. */
function typeOfClass(value: Dictionary): string | undefined {
  const [first] = Array.isArray(own(value, 'architectures')) ? (own(value, 'architectures') as readonly unknown[]) : [];
  const name = stringOf(first);
  if (name === undefined) return undefined;
  const stem = letters(name.replace(/(ForCausalLM|ForConditionalGeneration|LMHeadModel|DoubleHeadsModel|Model)$/, ''));
  return familyNames.find((type) => letters(type) === stem);
}

/** A language model, where it was found. */
type TextModel = {
  /** The config that it is in, or the one beside whose encoders it stands. */
  readonly outer: Fields;
  readonly fields: Fields;
  readonly text: Dictionary;
  readonly type: string;
  readonly family: Family | undefined;
  /** Sizes stand where its class does not read them, so that the count is that of the class's own defaults. */
  readonly beside?: boolean;
};

/** The file is a language model; it is a composite model that has a row; or it has a sub-config for text and no row. */
type Found =
  | (TextModel & { readonly kind: 'text' })
  | (TextModel & {
      readonly kind: 'composite';
      readonly towers: (shape: Shape) => readonly Tower[];
      readonly tied?: boolean;
    })
  | (TextModel & { readonly kind: 'unknown composite' });

function findText(value: Dictionary, source: Source, outerType: string): Found {
  const composite = findComposite(outerType);
  if (composite === undefined || (composite.alone === true && !hasPart(value, textKeys)))
    return withoutRow(value, source, outerType);
  const reader = composite.alone === true ? undefined : readerOfType(outerType);
  const root = new Fields(value, source, '', compositeDefaults[outerType]?.own, reader);
  const { inner } = composite;
  if (inner === undefined) {
    const text = textOf(value, root, outerType, composite);
    return { ...text, kind: 'composite', towers: towersOf(text, outerType, root, [composite]), ...tiedBy(composite) };
  }
  const given = own(value, inner.key);
  const nested = root.nested(inner.key, compositeDefaults[inner.type]?.own, readerOfType(inner.type));
  const within = findComposite(inner.type) ?? composite;
  const text = textOf(isDictionary(given) ? given : {}, nested, inner.type, within);
  return {
    ...text,
    kind: 'composite',
    towers: towersOf(text, inner.type, root, [within, composite]),
    ...tiedBy(within),
  };
}

const tiedBy = ({ tied }: Composite) => (tied === undefined ? {} : { tied });

/** The towers of a composite model and of the one around it, once the text model's shape is known. */
const towersOf =
  ({ outer }: TextModel, type: string, root: Fields, composites: readonly Composite[]) =>
  (shape: Shape): readonly Tower[] =>
    composites.flatMap(({ towers }) => towers({ outer, type, shape, T: shape.hiddenSize, root }));

/** The text model of a composite: in a sub-config of its own, flat beside the towers, or left to the class. */
function textOf(value: Dictionary, outer: Fields, outerType: string, composite: Composite): TextModel {
  const keys = composite.textKeys ?? ['text_config'];
  const key = keys.find((name) => isDictionary(own(value, name)));
  const builtIn = compositeDefaults[outerType]?.parts['text_config'] ?? {};
  const builtType = composite.textType ?? stringOf(own(builtIn, 'model_type')) ?? outerType;
  const flat = key === undefined && isText(value) && composite.flat === true;
  const text = key === undefined ? (flat ? value : {}) : (own(value, key) as Dictionary);
  const beside = key === undefined && !flat && typeof own(value, 'num_hidden_layers') === 'number';
  if (beside)
    outer.warn(
      `${outerType} reads its text model from ${keys[0]} alone: the sizes beside it are not read.`,
      'num_hidden_layers',
    );
  const named = text === value ? undefined : stringOf(own(text, 'model_type'));
  const family = findFamily(named ?? builtType);
  // Old files name the composite's type, or none, where the class has one of its own.
  const foreign = named !== undefined && family === undefined && named !== outerType && !builtType.startsWith(named);
  const type = foreign ? named : named !== undefined && family !== undefined ? named : builtType;
  const known = foreign ? undefined : (family ?? findFamily(builtType));
  // A composite without a sub-config for text keeps the text model's sizes among its own keys.
  const itsOwn = Object.keys(builtIn).length === 0 ? compositeDefaults[outerType]?.own : {};
  const defaults = { ...itsOwn, ...defaultsFor(type, known) };
  const absent = key === undefined && text !== value;
  const reader = known && readerFor(type, known);
  const fields =
    text === value
      ? outer.withDefaults(defaults, readerOfFlat(outerType, reader))
      : outer.nested(
          key ?? keys[0] ?? 'text_config',
          absent || composite.fills === true ? { ...defaults, ...builtIn } : defaults,
          reader,
        );
  return { outer, fields, text, type, family: known, ...(beside ? { beside } : {}) };
}

/** A model that is no composite with a row: a language model alone, or the sub-config for text of an unknown composite. */
function withoutRow(value: Dictionary, source: Source, outerType: string): Found {
  const outer = new Fields(value, source);
  const outerFamily = findFamily(outerType);
  const key =
    isText(value) || outerFamily !== undefined ? undefined : textKeys.find((name) => isDictionary(own(value, name)));
  const inner = key === undefined ? value : (own(value, key) as Dictionary);
  const deeper = key === undefined ? undefined : textKeys.find((name) => isDictionary(own(inner, name)));
  const text = deeper === undefined || isText(inner) ? inner : (own(inner, deeper) as Dictionary);
  const type = text === value ? outerType : (stringOf(own(text, 'model_type')) ?? outerType);
  const family = outerFamily ?? findFamily(type);
  const defaults = defaultsFor(type, family);
  const reader = family && readerFor(outerFamily === undefined ? type : outerType, family);
  const fields =
    key === undefined
      ? outer.withDefaults(defaults, reader)
      : text === inner
        ? outer.nested(key, defaults, reader)
        : outer.nested(key).nested(deeper ?? '', defaults, reader);
  return { kind: key === undefined ? 'text' : 'unknown composite', outer, fields, text, type, family };
}

const isText = (value: Dictionary) => dimensionKeys.some((key) => typeof own(value, key) === 'number');
const hasPart = (value: Dictionary, keys: readonly string[]) => keys.some((key) => isDictionary(own(value, key)));

/** Encoders of a composite without a row: what each holds, where its type says it; its projector is unknown. */
function towersOfUnknown(value: Dictionary, outer: Fields): readonly Tower[] {
  const stated = towerKeys.filter((name) => isDictionary(own(value, name)));
  return stated.map((name) => {
    const parameters = encoderElements(outer, name);
    outer.assume(
      name,
      parameters === 0 ? 'not counted' : 'approximate',
      parameters === 0
        ? 'this tool does not know the tower of this family: counts are of the text model alone'
        : 'the encoder is counted by its type; what joins it to the text is not',
    );
    return { name: name.replace('_config', ''), parameters, exact: false };
  });
}

const stringOf = (value: unknown) => (typeof value === 'string' ? value.slice(0, 100) : undefined);

/** Llama's block, with what the keys give away: experts, biases, query-key norms. */
function unknownFamily(value: Dictionary): Family {
  const sparse = names.experts.some((key) => typeof own(value, key) === 'number');
  const latent = typeof own(value, 'kv_lora_rank') === 'number';
  const like = findFamily(
    latent
      ? 'deepseek_v3'
      : sparse
        ? own(value, 'n_routed_experts') === undefined
          ? 'qwen3_moe'
          : 'deepseek'
        : 'llama',
  );
  return { ...(like ?? { source: '' }), exact: false };
}
