import type { Architecture, Norm, Part } from '../model/architecture.ts';
import { type Dictionary, type Fields, isDictionary, own, Unreadable } from '../text/fields.ts';
import type { Family } from './family.ts';
import { bothSides, dense, grouped, normOf, table } from './pieces.ts';
import type { Shape } from './shape.ts';
import { headNorm } from './vocabulary.ts';

/**
 * Drafts for speculative decoding: small models that guess what their target will say next. Their files name the target's
 * `model_type`, and what they are by their class or by keys of their own.
 */
type Draft = 'eagle3' | 'dflash' | 'other';

const draftClass = /eagle|medusa|dflash|draft|dspark|domino|speculator|mtp(model)?$|nextn/i;
const draftKeys = ['eagle_config', 'dflash_config', 'draft_vocab_size', 'medusa_num_heads', 'medusa_num_layers'];
const draftTypes = /^(eagle3?|medusa|mlp_speculator|dflash|\w+_mtp)$/;

/** What kind of draft a config describes, by its class; undefined where it is none. */
export function draftOf(value: Dictionary): { readonly kind: Draft; readonly name: string } | undefined {
  const listed = own(value, 'architectures');
  const [first] = Array.isArray(listed) ? (listed as readonly unknown[]) : [];
  const name = typeof first === 'string' ? first.slice(0, 100) : '';
  const key = draftKeys.find((one) => (own(value, one) ?? null) !== null);
  const type = own(value, 'model_type');
  const typed = typeof type === 'string' && draftTypes.test(type) ? type : undefined;
  if (!draftClass.test(name) && key === undefined && typed === undefined) return undefined;
  const kind = /^LlamaForCausalLMEagle3$/.test(name) ? 'eagle3' : name === 'DFlashDraftModel' ? 'dflash' : 'other';
  return { kind, name: name || (typed ?? key ?? '') };
}

/** A draft that this tool does not count; counted as its target's family it would be wrong. */
export const unknownDraft = (name: string): Unreadable =>
  new Unreadable(
    `${name} is a draft for speculative decoding, and this tool counts those of EAGLE-3 with one layer and of DFlash alone: list it under \`ignore\` in the policy.`,
  );

const llamaNorm: Family = { source: 'a Llama layer' };

const join = (path: string, rows: number, columns: number): Part => ({
  kind: 'linear',
  path,
  rows,
  columns,
  bias: false,
  component: 'other',
});

const norm = (path: string, width: number): Norm => normOf(llamaNorm, path, width);

/** How many hidden states of the target a draft reads: as many as its list of layers has. */
function statesRead(fields: Fields, key: string, list: string, unstated: number): number {
  const config = fields.ofFile(key);
  const layers = isDictionary(config) ? own(config, list) : undefined;
  return Array.isArray(layers) && layers.length > 0 ? layers.length : unstated;
}

/** A size that no class of the target's family reads; undefined where it is not stated. */
function whole(fields: Fields, key: string): number | undefined {
  const value = fields.ofFile(key) ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value < largest) return value;
  throw fields.wrong(key, `must be a whole number from 1 to ${largest}`, value);
}

/** No width or vocabulary is larger. */
const largest = 2 ** 40;

/** How many hidden states EAGLE-3 joins (SpecForge, specforge/modeling/draft/llama3_eagle.py). */
const eagle3States = 3;

/** One layer whose queries, keys and values read the token beside the joined states, and an output over a vocabulary of its own. */
function eagle3(base: Architecture, shape: Shape, fields: Fields): Architecture {
  const { hiddenSize: D } = shape;
  const target = whole(fields, 'target_hidden_size') ?? D;
  const states = eagle3States;
  return {
    ...base,
    // The target's table, which the draft's checkpoint holds and training leaves as it is.
    embedding: [
      table('embedding.token', shape.vocabularySize, D),
      // EAGLE 3.1 normalises each of the joined states.
      ...(fields.ofFile('fc_norm') === true ? [norm('norm.join', states * target)] : []),
      join('join', states * target, D),
    ],
    layers: [
      {
        name: 'draft',
        parts: [
          norm('norm.attention', D),
          norm('norm.hidden', D),
          grouped(shape, { inputWidth: 2 * D, outputWidth: D }),
          norm('norm.feed_forward', D),
          dense(D, shape.width, { bias: bothSides(false) }),
        ],
      },
    ],
    order: [0],
    head: [
      norm('norm.final', D),
      {
        kind: 'output',
        rows: D,
        columns: whole(fields, 'draft_vocab_size') ?? shape.vocabularySize,
        tied: false,
        bias: false,
      },
    ],
  };
}

/** DFlash (SpecForge, specforge/modeling/draft/dflash.py): layers of Qwen3 over joined states; tables and output are the target's. */
function dflash(base: Architecture, shape: Shape, fields: Fields): Architecture {
  const { hiddenSize: D } = shape;
  const states = statesRead(fields, 'dflash_config', 'target_layer_ids', shape.layers);
  return {
    ...base,
    embedding: [join('join', states * D, D), norm('norm.hidden', D)],
    layers: [
      {
        name: 'draft',
        parts: [
          norm('norm.attention', D),
          grouped(shape, { queryKeyNorm: headNorm, causal: false }),
          norm('norm.feed_forward', D),
          dense(D, shape.width, { bias: bothSides(false) }),
        ],
      },
    ],
    order: Array.from({ length: shape.layers }, () => 0),
    head: [norm('norm.final', D), { kind: 'output', rows: D, columns: shape.vocabularySize, tied: true, bias: false }],
  };
}

/** One layer, and a list of three of the target's where there is a list: SpecForge's class has no other. */
const isOfThree = (shape: Shape, fields: Fields): boolean =>
  shape.layers === 1 &&
  statesRead(fields, 'eagle_config', 'eagle_aux_hidden_state_layer_ids', eagle3States) === eagle3States;

/** The architecture of a draft, in the place of its target family's. */
export function asDraft(kind: Draft, name: string, base: Architecture, shape: Shape, fields: Fields): Architecture {
  const biased = fields.ofFile('attention_bias') === true || fields.ofFile('mlp_bias') === true;
  if (kind === 'other' || biased || (kind === 'eagle3' && !isOfThree(shape, fields))) throw unknownDraft(name);
  fields.assume(
    'architectures',
    name,
    'a draft for speculative decoding: counted by its own code, beside a target that is not counted',
  );
  const plain = { ...base, prediction: [], predictionDepth: 0 };
  return kind === 'eagle3' ? eagle3(plain, shape, fields) : dflash(plain, shape, fields);
}
