import type { Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import type { MlpPlan } from './layer.ts';
import { bothSides, dense, fullBias, inputBias, llamaAttention } from './pieces.ts';
import { each, slidingPlan } from './plan.ts';
import type { Shape } from './shape.ts';
import {
  denseOrExperts,
  denseWith,
  flag,
  groupedBy,
  groupedWith,
  headNorm,
  llamaWith,
  modeling,
  multiHead,
  windowed,
} from './vocabulary.ts';

/** Language models that exist only inside a composite model (`multimodal.ts`). */

/** A number, or the first of a list of numbers (one for text, one for images). */
function first(fields: Fields, key: string): number {
  const [head] = fields.list(key) ?? [];
  return typeof head === 'number' ? head : fields.integer(key, 0);
}

/** A number that the config may leave open, or the first of a list of numbers. */
const firstOr = (fields: Fields, key: string, derived: number): number =>
  fields.list(key) || fields.optionalInteger(key) !== undefined ? first(fields, key) : derived;

/** ERNIE 4.5 VL: the plan by types, or by where experts start. */
const ernieMlps = (shape: Shape, fields: Fields): MlpPlan => {
  const types = fields.list('mlp_layer_types');
  if (types) return types.map((type) => (type === 'sparse' ? 'experts' : 'dense'));
  const start = first(fields, 'moe_layer_start_index');
  const end = firstOr(fields, 'moe_layer_end_index', shape.layers);
  return each(shape, (index) => (index >= start && index <= end ? 'experts' : 'dense'));
};

/** Two sets of experts, for text and for images, with a router each: a token of text uses the first. */
const ernieExperts = (shape: Shape, fields: Fields): readonly Part[] => {
  const [text = 0, images = 0] = fields.listed('moe_intermediate_size').map(Number);
  const count = first(fields, 'moe_num_experts');
  const active = first(fields, 'moe_k');
  const shared = first(fields, 'moe_num_shared_experts');
  const bias = fields.boolean('use_bias');
  const set = (width: number, used: number): Part => ({
    kind: 'experts',
    inputWidth: shape.hiddenSize,
    experts: count,
    active: used,
    width,
    gated: true,
    activation: 'silu',
    bias: { router: false, up: bias, down: bias },
    correctionBias: true,
    ...(used === 0 || shared === 0 ? {} : { shared: { width: shared * text, gate: false } }),
  });
  return [set(text, active), set(images, 0)];
};

const deepseekOcr: Family = {
  source: modeling('deepseek_ocr2'),
  attention: groupedBy('attention_bias'),
  mlps: (shape, fields) =>
    (fields.list('mlp_layer_types') ?? each(shape, (i) => (i === 0 ? 'dense' : 'sparse'))).map((type) =>
      type === 'sparse' ? 'experts' : 'dense',
    ),
  feedForward: denseOrExperts({ shared: { times: 'n_shared_experts' } }),
};

const ernie: Family = {
  source: modeling('ernie4_5_vl_moe'),
  attention: groupedBy('use_bias'),
  mlps: ernieMlps,
  feedForward: (shape, fields, mlp) =>
    mlp.kind === 'dense'
      ? dense(shape.hiddenSize, shape.width, { bias: bothSides(fields.boolean('use_bias')) })
      : ernieExperts(shape, fields),
  tied: true,
};

export const textFamilies: Readonly<Record<string, Family>> = {
  chameleon: {
    source: modeling('chameleon'),
    attention: llamaWith({ queryKeyNorm: { over: 'head', style: 'layer', weight: true, bias: true, perHead: true } }),
    feedForwardBias: flag('mlp_bias'),
  },
  cosmos3_edge_text: {
    source: modeling('cosmos3_edge'),
    tiedKeys: [],
    attention: llamaAttention,
    gated: false,
    activation: 'relu2',
    feedForwardBias: flag('mlp_bias'),
  },
  deepseek_ocr2_text: deepseekOcr,
  ernie4_5_vl_moe_text: ernie,
  glm4v_text: {
    source: modeling('glm4v'),
    norms: 'sandwich',
    attention: groupedWith({ bias: inputBias }),
    feedForward: denseWith({ fused: true }),
  },
  glm_ocr_text: {
    source: modeling('glm_ocr'),
    norms: 'sandwich',
    attention: groupedWith(),
    feedForward: denseWith({ fused: true }),
  },
  hunyuan_vl_text: {
    source: modeling('hunyuan_vl'),
    attention: llamaWith({ queryKeyNorm: headNorm }),
    tied: true,
  },
  kosmos_2_text_model: {
    source: modeling('kosmos2'),
    norm: { style: 'layer' },
    gated: false,
    activation: 'gelu',
    feedForwardBias: true,
    attention: multiHead({ bias: fullBias, rotary: false }),
    // One norm more inside each block: over what attention gives, and over the feed-forward's width.
    layerExtras: ({ hiddenSize: D, width: F }) => [
      { kind: 'vector', path: 'norm.inner', elements: 2 * D + 2 * F, component: 'norm' },
    ],
    tied: true,
  },
  muse_glimmer_text: {
    source: modeling('muse_glimmer'),
    norms: 'sandwich',
    mixers: slidingPlan,
    attention: llamaWith({ outputGate: 'element' }),
  },
  paddleocr_vl_text: {
    source: modeling('paddleocr_vl'),
    attention: groupedBy('use_bias'),
    feedForwardBias: flag('use_bias'),
    tied: true,
  },
  voxtral_realtime_text: {
    source: modeling('voxtral_realtime'),
    attention: windowed(),
    // How far the text lags behind the sound scales each layer, through a pair of matrices of rank 32.
    layerExtras: ({ hiddenSize: D }) => [
      { kind: 'linear', path: 'delay.down', rows: D, columns: 32, bias: false, component: 'other' },
      { kind: 'linear', path: 'delay.up', rows: 32, columns: D, bias: false, component: 'other' },
    ],
    tied: true,
  },
};

/** Types that are another family under a name of their own: text models of composites, and code that comes with the checkpoint. */
export const sameAs: Readonly<Record<string, string>> = {
  emu3_text_model: 'llama',
  granite4_vision_text: 'granite',
  glm4v_moe_text: 'glm4_moe',
  inkling_model: 'inkling_text',
  phi4_multimodal: 'phi3',
  qwen2_5_omni_text: 'qwen2',
  qwen2_5_vl_text: 'qwen2',
  qwen2_vl_text: 'qwen2',
  qwen3_omni_moe_text: 'qwen3_moe',
  qwen3_vl_moe_text: 'qwen3_moe',
  qwen3_vl_text: 'qwen3',
  Yi: 'llama',
  aquila2: 'llama',
  deepseek_ref: 'deepseek_v4',
  'mixformer-sequential': 'phi-msft',
  mimo_v2: 'mimo_v2_flash',
  mistral4: 'deepseek_v2',
  skywork: 'llama',
  solar: 'llama',
  stablelm_epoch: 'stablelm',
  step3p5_flash: 'step3p5',
};
