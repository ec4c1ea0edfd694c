import { deepspeed, every, megatron, peft, type Rule, tells } from './rule.ts';

/** Rules of adapters, recomputation and offloading. */

/** A few names of a list that may be long. */
const namesOf = (list: readonly string[]): string =>
  `${list.slice(0, 8).join(', ')}${list.length > 8 ? ` and ${list.length - 8} more` : ''}`;

/** Modules that Megatron Core's selective recompute knows (megatron/core/transformer/transformer_config.py). */
const recomputable: readonly string[] = [
  'core_attn',
  'moe_act',
  'layernorm',
  'mla_up_proj',
  'mlp',
  'moe',
  'shared_experts',
];

export const ofMemory: readonly Rule[] = [
  {
    id: 'adapter-targets',
    sources: [peft('src/peft/tuners/tuners_utils.py#L1039')],
    stops: ['fsdp', 'deepspeed', 'transformers'],
    doubts: ['megatron'],
    fields: ['lora'],
    sentence: ({ run, adapters }) =>
      run.lora === undefined || adapters === undefined || adapters.elements > 0 || adapters.strange
        ? undefined
        : `None of the adapter's targets (${namesOf(run.lora.targets)}) is a matrix of this model, so nothing would be trained. The names of another family? all-linear fits every one.`,
  },
  {
    id: 'adapter-targets-unknown',
    sources: [peft('src/peft/tuners/tuners_utils.py#L1039')],
    stops: [],
    doubts: every,
    fields: ['lora'],
    sentence: ({ run, adapters }) =>
      run.lora === undefined || adapters === undefined || adapters.elements > 0 || !adapters.strange
        ? undefined
        : `None of the adapter's targets (${namesOf(run.lora.targets)}) is a name of a matrix that is known, so the adapter is counted as nothing.`,
  },
  {
    id: 'recompute-modules',
    sources: [megatron('core/transformer/transformer_config.py#L1958')],
    stops: [],
    doubts: ['megatron'],
    fields: ['recompute_modules'],
    sentence: ({ run: { recomputeModules = [] } }) => {
      const wrong = recomputeModules.find((name) => !recomputable.includes(name));
      return wrong === undefined
        ? undefined
        : `Megatron recomputes no module called ${wrong}. It knows ${recomputable.join(', ')}.`;
    },
  },
  {
    id: 'recompute-layers',
    sources: [megatron('core/transformer/transformer_config.py#L1919')],
    stops: [],
    doubts: every,
    fields: ['recompute_layers'],
    sentence: ({ run: { recomputeLayers: count }, architecture: { order } }) =>
      count === undefined || count <= order.length
        ? undefined
        : `recompute_layers is ${count}, and the model has ${order.length} layers. ${tells(`${order.length}`)}`,
  },
  {
    id: 'offload-without-sharding',
    sources: [deepspeed('runtime/zero/config.py')],
    stops: [],
    doubts: ['deepspeed'],
    fields: ['offload', 'sharding'],
    sentence: ({ run: { offload, sharding } }) => {
      if (offload === 'parameters' && sharding !== 'full')
        return 'DeepSpeed keeps parameters in CPU memory with ZeRO 3 alone. Set sharding: full.';
      return offload === 'optimizer' && sharding === 'none'
        ? 'DeepSpeed keeps the optimizer in CPU memory with ZeRO 1 to 3. Set sharding: optimizer.'
        : undefined;
    },
  },
];
