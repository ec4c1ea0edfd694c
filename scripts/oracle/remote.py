"""Counts what authors' own modelling code builds, for families that no release of Transformers has.

    python scripts/oracle/remote.py FOLDER > test/oracle/remote.json

Needs torch 2.13.0, transformers 5.18.0 and einops. FOLDER holds a git repository for each name in CODE, with the commit that is
named there. Only files of that list are run, on the meta device: no weight is made. A row is {model_type, variant, config, total}.
"""

import importlib
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers.modeling_rope_utils as rope
import transformers.modeling_utils as modeling
import transformers.pytorch_utils as pytorch_utils
import transformers.utils as utils
import transformers.utils.import_utils as import_utils
from transformers.configuration_utils import PretrainedConfig

utils.logging.set_verbosity_error()
torch.distributions.Distribution.set_default_validate_args(False)


class Unset:
    """`rope_scaling` as files without it had it before release 5 of Transformers."""

    def __get__(self, *_):
        return None

    def __set__(self, *_):
        pass


def tie(model, *_, **__):
    """Ties the output as releases before 5 did, which this code was written for."""
    output = model.get_output_embeddings()
    if output is not None and getattr(model.config, "tie_word_embeddings", True):
        output.weight = model.get_input_embeddings().weight


# What releases since have dropped, and what looks into values.
for name in ("add_start_docstrings", "add_start_docstrings_to_model_forward", "replace_return_docstrings"):
    if not hasattr(utils, name):
        setattr(utils, name, lambda *_, **__: lambda function: function)
for name in ("is_flash_attn_2_available", "is_flash_attn_greater_or_equal_2_10"):
    if not hasattr(utils, name):
        setattr(utils, name, lambda *_, **__: False)
for module, name, value in (
    (import_utils, "is_torch_fx_available", lambda: False),
    (pytorch_utils, "is_torch_greater_or_equal_than_1_13", True),
    (rope, "rope_config_validation", lambda *_, **__: None),
):
    if not hasattr(module, name):
        setattr(module, name, value)
rope.ROPE_INIT_FUNCTIONS["default"] = lambda config, *_, **__: (torch.ones(8), 1.0)
PretrainedConfig.rope_scaling = Unset()
modeling.PreTrainedModel.get_expanded_tied_weights_keys = lambda *_, **__: {}
modeling.PreTrainedModel.tie_weights = tie

# model_type: the repository and commit, the folder in it, modelling file and class, config file and class.
DLLM = ("dllm", "ca176752fbceec49c6b4777a2c18ae88e4eb10ed")
CODE = {
    "llama_moe": (("llama-moe", "b17aff436cce58e2fcd7327789c7fadafe15d19e"), "smoe/models/llama_moe", "modeling_llama_moe_hf", "LlamaMoEForCausalLM", "configuration_llama_moe", "LlamaMoEConfig"),
    "huginn_raven": (("recurrent-pretraining", "59e0b69b2d96a59cbbe79c9d5034d89ecb5ab6f6"), "recpre", "raven_modeling_minimal", "RavenForCausalLM", "raven_config_minimal", "RavenConfig"),
    "yuan": (("Yuan2.0-M32", "b403a2beb2746c0c923b4eb936fe1e2560c83b19"), "3rd_party/AutoGPTQ/auto_gptq/modeling", "yuan_moe_hf_model", "YuanForCausalLM", "configuration_yuan", "YuanConfig"),
    "hunyuan": (("Tencent-Hunyuan-Large", "cdc37358aa7ce74f4883ae639726804a63ea99f6"), "models", "modeling_hunyuan", "HunYuanForCausalLM", "configuration_hunyuan", "HunYuanConfig"),
    "llada": (DLLM, "dllm/pipelines/llada/models", "modeling_llada", "LLaDAModelLM", "configuration_llada", "LLaDAConfig"),
    "llada moe": (DLLM, "dllm/pipelines/llada/models", "modeling_lladamoe", "LLaDAMoEModelLM", "configuration_lladamoe", "LLaDAMoEConfig"),
    "Dream": (DLLM, "dllm/pipelines/dream/models", "modeling_dream", "DreamModel", "configuration_dream", "DreamConfig"),
    "llada2_moe": (DLLM, "dllm/pipelines/llada2/models", "modeling_llada2_moe", "LLaDA2MoeModelLM", "configuration_llada2_moe", "LLaDA2MoeConfig"),
    "glm": (("colosssal-glm-demo", "5561ebc84c4efa6787d70001e88600ee62baf418"), "", "modeling_glm", "GLMModel", "configuration_glm", "GLMConfig"),
    "chatglm": (("chatglm-6b-huggingface", "867860a62b54cdc4d58e39ba768005977847d452"), "", "modeling_chatglm", "ChatGLMForConditionalGeneration", "configuration_chatglm", "ChatGLMConfig"),
}  # fmt: skip

# What the code reads without a default and no tensor follows from.
BESIDE = {
    "yuan": dict(max_position_embeddings=64, pad_token_id=1, eod_token=1, sep_token="", sep_token_id=1, mask_token_id=1, use_loss_mask=False, use_flash_attention=False, reset_attention_mask=False, reset_position_ids=False, causal_mask=True, use_moe=True, dropout=0, output_router_logits=False),
    "llada": dict(rope=True, activation_type="silu", init_device="meta"),
    "llada moe": dict(shared_expert_intermediate_size=None),
    "Dream": dict(pad_token_id=1),
    "llada2_moe": dict(pad_token_id=1),
}  # fmt: skip

SMALL = dict(hidden_size=256, num_hidden_layers=4, num_attention_heads=8, vocab_size=1009, intermediate_size=704)
LADA = dict(d_model=256, n_layers=3, n_heads=8, vocab_size=1000, embedding_size=1024, mlp_hidden_size=704, mlp_ratio=4, block_type="llama", layer_norm_type="rms", max_sequence_length=64)
RAVEN = dict(n_embd=192, n_heads=4, num_attention_heads=4, num_key_value_heads=4, intermediate_size=520, vocab_size=1024, padding_multiple=64, mean_recurrence=3)
SHAPES = {
    "llama_moe": [dict(SMALL, num_experts=8, num_selects=2), dict(SMALL, num_key_value_heads=2, num_experts=4, num_selects=3, gate_network="linear", gate_add_noise=False, attention_bias=True, tie_word_embeddings=True)],
    "huginn_raven": [dict(RAVEN), dict(RAVEN, n_layers_in_prelude=1, n_layers_in_recurrent_block=3, n_layers_in_coda=4, qk_bias=False, bias=True, tie_embeddings=False)],
    "yuan": [dict(SMALL, attention_projection_size=512, model_max_length=64, moe_config=dict(ffn_hidden_size=320, gated_linear_unit=True, moe_num_experts=8, moe_top_k=2, norm_topk_prob=True), tie_word_embeddings=True), dict(SMALL, attention_projection_size=128, model_max_length=64, moe_config=dict(ffn_hidden_size=328, gated_linear_unit=False, moe_num_experts=5, moe_top_k=1, norm_topk_prob=True), tie_word_embeddings=False)],
    "hunyuan": [dict(SMALL, num_key_value_heads=2, num_experts=4, moe_topk=1, use_mixed_mlp_moe=True, num_shared_expert=2, use_cla=True, cla_share_factor=2, use_qk_norm=True), dict(SMALL, num_hidden_layers=5, attention_bias=True, use_cla=True, cla_share_factor=3, tie_word_embeddings=True)],
    "llada": [dict(LADA, n_kv_heads=2, weight_tying=False, include_bias=False, include_qkv_bias=True), dict(LADA, weight_tying=True, include_bias=True, multi_query_attention=True), dict(LADA, n_kv_heads=4, weight_tying=False, include_bias=True, attention_layer_norm=True), dict(LADA, include_bias=False, bias_for_layer_norm=True)],
    "llada moe": [dict(hidden_size=256, num_hidden_layers=3, num_attention_heads=8, num_key_value_heads=2, dense_intermediate_size=704, expert_intermediate_size=96, num_experts=8, num_experts_per_tok=2, moe_layer_freq=[0, 1, 1], qk_layernorm=True, vocab_size=1009, tie_word_embeddings=False, max_position_embeddings=64), dict(hidden_size=256, num_hidden_layers=2, num_attention_heads=8, num_key_value_heads=8, dense_intermediate_size=704, expert_intermediate_size=96, shared_expert_intermediate_size=160, num_experts=4, num_experts_per_tok=1, moe_layer_freq=[1, 1], attention_bias=True, vocab_size=1009, max_position_embeddings=64)],
    "Dream": [dict(SMALL, num_key_value_heads=2), dict(SMALL, num_key_value_heads=8, tie_word_embeddings=True)],
    "llada2_moe": [dict(SMALL, num_key_value_heads=2, moe_intermediate_size=96, num_experts=8, num_experts_per_tok=2, num_shared_experts=1, first_k_dense_replace=1, use_bias=False, n_group=1, topk_group=1), dict(SMALL, num_key_value_heads=8, moe_intermediate_size=96, num_experts=4, num_experts_per_tok=1, num_shared_experts=2, first_k_dense_replace=2, use_qk_norm=False, use_qkv_bias=True, tie_word_embeddings=True, n_group=1, topk_group=1), dict(SMALL, num_key_value_heads=8, head_dim=48, moe_intermediate_size=96, num_experts=4, num_experts_per_tok=1, num_shared_experts=0, n_group=1, topk_group=1)],
    "glm": [dict(num_layers=4, hidden_size=256, num_attention_heads=8, vocab_size=1009, max_sequence_length=64, block_position_encoding=True), dict(num_layers=3, hidden_size=192, num_attention_heads=6, vocab_size=1009, max_sequence_length=96, block_position_encoding=False)],
    "chatglm": [dict(num_layers=4, hidden_size=256, num_attention_heads=8, inner_hidden_size=704, vocab_size=1009, max_sequence_length=64, position_encoding_2d=True)],
}  # fmt: skip


def published():
    """The published models of these types, by the row of CODE that builds them."""
    folder = Path(__file__).resolve().parents[2] / "test" / "oracle"
    for row in json.loads((folder / "models.json").read_text()):
        config = row.get("config", {})
        kind = "llada moe" if config.get("architectures") == ["LLaDAMoEModelLM"] else config.get("model_type")
        if kind in CODE:
            yield kind, row["model"], {key: value for key, value in config.items() if key not in ("model_type", "architectures")}


def load(folder, target, kind):
    """The classes of a type, from its repository's files as of the commit."""
    (repository, commit), path, *names = CODE[kind]
    package = Path(target) / kind.replace(" ", "_")
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("")
    for name in names[::2]:
        file = f"{path}/{name}.py".lstrip("/")
        text = subprocess.run(["git", "-C", str(folder / repository), "show", f"{commit}:{file}"], capture_output=True, text=True, check=True).stdout
        # Dream's way to generate is not built.
        text = text.replace("from .generation_utils import DreamGenerationMixin, DreamGenerationConfig", "class DreamGenerationMixin:\n    pass\n\nDreamGenerationConfig = object")
        (package / f"{name}.py").write_text(text.replace("from configuration_", "from .configuration_"))
    modeling_file, model, config_file, config = names
    return (
        getattr(importlib.import_module(f"{package.name}.{modeling_file}"), model),
        getattr(importlib.import_module(f"{package.name}.{config_file}"), config),
        importlib.import_module(f"{package.name}.{modeling_file}"),
    )


def build(kind, config, classes):
    model, settings, module = classes
    if kind == "llama_moe":
        width = config["intermediate_size"] // config["num_experts"]
        config = dict(config, size_experts=[[width] * config["num_experts"]] * config["num_hidden_layers"])
    made = settings(**{**BESIDE.get(kind, {}), **json.loads(json.dumps(config))})
    with torch.device("meta"):
        if kind != "llada":
            built = model(made)
        else:
            inner = module.create_model_config_from_pretrained_config(made)
            inner.init_device = "meta"
            built = model(made, module.LLaDAModel(inner, init_params=False))
        built.tie_weights()
    tensors = {id(one): one for one in built.parameters()}.values()
    # Correction biases of routers: buffers here, tensors in checkpoints.
    stored = [one for name, one in built.named_buffers() if name.endswith("expert_bias")]
    return sum(math.prod(one.shape) for one in (*tensors, *stored))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as target:
        sys.path.insert(0, target)
        found = []
        classes = {kind: load(folder, target, kind) for kind in CODE}
        cases = [(kind, name, config) for kind, name, config in published()]
        for kind, shapes in SHAPES.items():
            cases += [(kind, variant, shape) for variant, shape in zip(("small", "switched", "odd", "norms"), shapes)]
        for kind, variant, config in sorted(cases, key=lambda case: list(CODE).index(case[0])):
            named = {"model_type": kind.split(" ")[0], "architectures": [CODE[kind][3]], **config}
            found.append(dict(model_type=kind.split(" ")[0], variant=variant, config=named, total=build(kind, config, classes[kind])))
    print("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in found) + "\n]")
