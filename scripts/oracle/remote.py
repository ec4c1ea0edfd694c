"""Counts what authors' own modelling code builds, for families that no release of Transformers has.

    python scripts/oracle/remote.py FOLDER                # every row, into test/oracle/remote.json
    python scripts/oracle/remote.py FOLDER mimo minicpm   # these types alone; the other rows stay

Needs torch 2.13.0, transformers 5.18.0 and einops. FOLDER holds a git repository for each name in CODE, with the commit that is
named there. Only files of that list are run, on the meta device: no weight is made. A row is {model_type, variant, config, total}.
"""

import importlib
import json
import math
import posixpath
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

FILE = Path(__file__).resolve().parents[2] / "test" / "oracle" / "remote.json"
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
    "aquila": (("FlagAI", "9a885f3384bea3dc456eb07e061252a7be0df514"), "flagai/model/aquila2", "modeling_aquila", "AquilaForCausalLM", "configuration_aquila", "AquilaConfig"),
    "telechat": (("Telechat", "9faf3bc40ee0393e65712acb80067b21c9d1aadb"), "models/7B", "modeling_telechat", "TelechatForCausalLM", "configuration_telechat", "TelechatConfig"),
    "telechat2": (("TeleChat2", "cd9287f3084d617f6c339b4e09a058656be91633"), "llama_factory_training", "modeling_telechat2", "Telechat2ForCausalLM", "../model/115B/configuration_telechat", "TelechatConfig"),
    "mimo": (("mimo_kor", "1bdf82cea25830db4d3a05464368fe4ad8a42422"), "", "modeling_mimo", "MiMoForCausalLM", "configuration_mimo", "MiMoConfig"),
    "minimax_m1": (("MiniMax-M1", "2abb4f45a9df4154b4bde024d51874bd127edcee"), "", "modeling_minimax_m1", "MiniMaxM1ForCausalLM", "configuration_minimax_m1", "MiniMaxM1Config"),
    "minicpm": (("nas_tuner", "316794f27329462e7e899a75a126972a6e44074b"), "", "modeling_minicpm", "MiniCPMForCausalLM", "configuration_minicpm", "MiniCPMConfig"),
    "kimi_k2": (("FlagScale", "16a2dd5b5c413452ec09ec7a1fe7dea4810c6889"), "tools/checkpoint/moonlight_deepseek", "modeling_deepseek", "DeepseekV3ForCausalLM", "configuration_deepseek", "DeepseekV3Config"),
    "kimi_k2 classifier": (("FlagScale", "16a2dd5b5c413452ec09ec7a1fe7dea4810c6889"), "tools/checkpoint/moonlight_deepseek", "modeling_deepseek", "DeepseekV3ForSequenceClassification", "configuration_deepseek", "DeepseekV3Config"),
    **{
        kind: (("intel-extension-for-pytorch", "6d3ba89cf9c40eb7184d6092ab7fa9b5231553c1"), f"tests/cpu/hf_configs/{folder}", f"modeling_{name}", model, f"configuration_{name}", config)
        for kind, folder, name, model, config in (
            ("qwen", "qwen", "qwen", "QWenLMHeadModel", "QWenConfig"),
            ("baichuan", "baichuan", "baichuan", "BaichuanForCausalLM", "BaichuanConfig"),
            ("chatglm 2", "chatglm", "chatglm", "ChatGLMForConditionalGeneration", "ChatGLMConfig"),
            ("phi", "phi", "phi", "PhiForCausalLM", "PhiConfig"),
            ("phi3", "phi3", "phi3", "Phi3ForCausalLM", "Phi3Config"),
            ("deepseek_v2", "deepseekv2", "deepseek", "DeepseekV2ForCausalLM", "DeepseekV2Config"),
            ("deepseek_v3", "deepseekv3", "deepseek", "DeepseekV3ForCausalLM", "DeepseekV3Config"),
        )
    },
    "nemotron_h": (("AI-ku_development", "1d30c636983c8378302f5e51988e40db14d88d1e"), "", "modeling_nemotron_h", "NemotronHForCausalLM", "configuration_nemotron_h", "NemotronHConfig"),
    "nomic_bert": (("nomic-embed-text-v1.5", "3185eb0cda4624b21ca40e3909242b1240f34a99"), "", "modeling_hf_nomic_bert", "NomicBertModel", "configuration_hf_nomic_bert", "NomicBertConfig"),
    "dbrx": (("dbrx", "a3200393e678387a6f30f3e903108c650625eb21"), "model", "modeling_dbrx", "DbrxForCausalLM", "configuration_dbrx", "DbrxConfig"),
    "phimoe": (("slm-aplit", "2570b0a72ac99321887bdc5ecd7f0faadc21864c"), "", "modeling_slimmoe", "PhiMoEForCausalLM", "configuration_slimmoe", "PhiMoEConfig"),
    "kimi_vl": (("transformers", "5c07b04c72185de4497149a9fd4586de5fcadae3"), "src/transformers/models/kimi_vl", "modeling_kimi_vl", "KimiVLForConditionalGeneration", "configuration_kimi_vl", "KimiVLConfig"),
}  # fmt: skip

# Types that Transformers has, too: their rows say which file they were counted with.
RELEASED = ("phi", "phi3", "deepseek_v2", "deepseek_v3", "nemotron_h", "nomic_bert", "dbrx", "phimoe")

# What is cut from the code so that it stands alone: how to generate, and imports from where its copy stood.
CUT = {
    "from .generation_utils import DreamGenerationMixin, DreamGenerationConfig": "class DreamGenerationMixin:\n    pass\n\nDreamGenerationConfig = object",
    "from .generation_utils import History, TelechatIterTextStreamer": "History = TelechatIterTextStreamer = object",
    "from .configuration_telechat2 import Telechat2Config": "from .configuration_telechat import TelechatConfig as Telechat2Config",
    "from .utils import *": "",
    ".float().half() / dim)).cuda()": ".float().half() / dim))",
    'raise ImportError("mamba-ssm is required by the Mamba model but cannot be imported")': "rmsnorm_fn = None",
    "        flash_attn_unpadded_func = None": "        flash_attn_unpadded_func = object",
    "from configuration_": "from .configuration_",
    "from ..deepseek_v3.": "from transformers.models.deepseek_v3.",
    "from ...": "from transformers.",
    "nn.nn.LayerNorm": "nn.LayerNorm",
    "self.rope_theta = config.rope_theta": "self.rope_theta = 10000",
    "self.max_sequence_length = config.max_length": "self.max_sequence_length = 64",
}

# Files beside, which the code imports.
MORE = {"qwen": ["qwen_generation_utils"]}

# What the code reads without a default and no tensor follows from.
BESIDE = {
    "yuan": dict(max_position_embeddings=64, pad_token_id=1, eod_token=1, sep_token="", sep_token_id=1, mask_token_id=1, use_loss_mask=False, use_flash_attention=False, reset_attention_mask=False, reset_position_ids=False, causal_mask=True, use_moe=True, dropout=0, output_router_logits=False),
    "llada": dict(rope=True, activation_type="silu", init_device="meta"),
    "llada moe": dict(shared_expert_intermediate_size=None),
    "Dream": dict(pad_token_id=1),
    "llada2_moe": dict(pad_token_id=1),
    "chatglm 2": dict(use_cache=True, original_rope=True),
    "phi": dict(pad_token_id=1),
    "dbrx": dict(pad_token_id=1),
}  # fmt: skip

SMALL = dict(hidden_size=256, num_hidden_layers=4, num_attention_heads=8, vocab_size=1009, intermediate_size=704)
LADA = dict(d_model=256, n_layers=3, n_heads=8, vocab_size=1000, embedding_size=1024, mlp_hidden_size=704, mlp_ratio=4, block_type="llama", layer_norm_type="rms", max_sequence_length=64)
RAVEN = dict(n_embd=192, n_heads=4, num_attention_heads=4, num_key_value_heads=4, intermediate_size=520, vocab_size=1024, padding_multiple=64, mean_recurrence=3)
TELE = dict(hidden_size=256, n_layer=4, n_head=8, vocab_size=1009, ffn_hidden_size=704)
MINIMAX = dict(SMALL, head_dim=48, num_key_value_heads=2, attn_type_list=[0, 0, 0, 1], num_local_experts=4, num_experts_per_tok=2, layernorm_linear_attention_alpha=1.0, layernorm_linear_attention_beta=1.0, layernorm_full_attention_alpha=1.0, layernorm_full_attention_beta=1.0, layernorm_mlp_alpha=1.0, layernorm_mlp_beta=1.0, postnorm=True, rotary_dim=24)
KIMI = dict(SMALL, num_key_value_heads=8, moe_intermediate_size=96, n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=2, n_group=1, topk_group=1, first_k_dense_replace=1, moe_layer_freq=1, q_lora_rank=64, kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, topk_method="noaux_tc", scoring_func="sigmoid", aux_loss_alpha=0.001, seq_aux=True)
GLM2 = dict(num_layers=4, padded_vocab_size=1009, hidden_size=256, ffn_hidden_size=704, kv_channels=32, num_attention_heads=8, seq_length=64)
NEMOTRON = dict(vocab_size=1009, hidden_size=256, intermediate_size=704, num_hidden_layers=5, hybrid_override_pattern="M-*ME", num_attention_heads=8, head_dim=32, num_key_value_heads=2, ssm_state_size=16, mamba_num_heads=8, mamba_head_dim=64, n_groups=2, conv_kernel=4, chunk_size=64, n_routed_experts=4, n_shared_experts=1, moe_intermediate_size=96, moe_shared_expert_intermediate_size=160, num_experts_per_tok=2, use_mamba_kernels=False)
NOMIC = dict(n_embd=256, n_layer=4, n_head=8, n_inner=704, n_positions=64, vocab_size=1009, type_vocab_size=2, pad_vocab_size_multiple=64, activation_function="swiglu", rotary_emb_fraction=1.0, mlp_fc1_bias=False, mlp_fc2_bias=False, qkv_proj_bias=False, prenorm=False, use_rms_norm=False)
DBRX = dict(d_model=256, n_heads=8, n_layers=4, vocab_size=1009, max_seq_len=64)
MOON = dict(model_type="moonvit", patch_size=14, init_pos_emb_height=8, init_pos_emb_width=8, num_attention_heads=4, num_hidden_layers=3, hidden_size=128, intermediate_size=320, merge_kernel_size=[2, 2])
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
    "aquila": [dict(SMALL, num_key_value_heads=2), dict(SMALL, tie_word_embeddings=True)],
    "telechat": [dict(TELE), dict(TELE, tie_word_embeddings=False, embed_layernorm=True)],
    "telechat2": [dict(TELE, num_key_value_heads=2), dict(TELE, tie_word_embeddings=False, embed_layernorm=True)],
    "mimo": [dict(SMALL, num_key_value_heads=2, num_nextn_predict_layers=1, tie_word_embeddings=False), dict(SMALL, num_key_value_heads=8, tie_word_embeddings=True)],
    "minimax_m1": [dict(MINIMAX), dict(MINIMAX, num_key_value_heads=8, shared_intermediate_size=96, tie_word_embeddings=True)],
    "minicpm": [dict(SMALL, num_key_value_heads=2), dict(SMALL, attention_bias=True, tie_word_embeddings=False)],
    "kimi_k2": [dict(KIMI), dict(KIMI, q_lora_rank=None, n_shared_experts=2, moe_layer_freq=2, attention_bias=True, tie_word_embeddings=True), dict(KIMI, topk_method="greedy", n_shared_experts=None)],
    "kimi_k2 classifier": [dict(KIMI, num_labels=3)],
    "qwen": [dict(SMALL, seq_length=64, kv_channels=32), dict(SMALL, seq_length=64, kv_channels=32, no_bias=False)],
    "baichuan": [dict(SMALL), dict(SMALL, num_hidden_layers=3, tie_word_embeddings=True)],
    "chatglm 2": [dict(GLM2, multi_query_attention=True, multi_query_group_num=2, add_qkv_bias=True), dict(GLM2, add_bias_linear=True, rmsnorm=False, post_layer_norm=False)],
    "phi": [dict(SMALL, num_key_value_heads=2), dict(SMALL, qk_layernorm=True, tie_word_embeddings=True)],
    "phi3": [dict(SMALL, num_key_value_heads=2, pad_token_id=1), dict(SMALL, attention_bias=True, tie_word_embeddings=True, pad_token_id=1)],
    "deepseek_v2": [dict(KIMI, topk_method="greedy", scoring_func="softmax"), dict(KIMI, q_lora_rank=None, topk_method="greedy", scoring_func="softmax", attention_bias=True, tie_word_embeddings=True)],
    "deepseek_v3": [dict(KIMI), dict(KIMI, q_lora_rank=None, n_shared_experts=2, attention_bias=True, tie_word_embeddings=True)],
    "nemotron_h": [dict(NEMOTRON), dict(NEMOTRON, hybrid_override_pattern="ME*ME", use_bias=True, mamba_proj_bias=True, use_conv_bias=False)],
    "nomic_bert": [dict(NOMIC), dict(NOMIC, num_experts=4, moe_top_k=2, moe_every_n_layers=2, activation_function="gelu", mlp_fc1_bias=True, mlp_fc2_bias=True, qkv_proj_bias=True, type_vocab_size=1)],
    "dbrx": [dict(DBRX, attn_config=dict(kv_n_heads=2), ffn_config=dict(ffn_hidden_size=704, moe_num_experts=4, moe_top_k=2)), dict(DBRX, n_layers=3, attn_config=dict(kv_n_heads=8), ffn_config=dict(ffn_hidden_size=96, moe_num_experts=6, moe_top_k=1), tie_word_embeddings=False)],
    "phimoe": [dict(SMALL, num_key_value_heads=2, num_local_experts=4), dict(SMALL, num_key_value_heads=8, num_local_experts=6, head_dim=48, attention_bias=True, lm_head_bias=True)],
    "kimi_vl": [dict(text_config=KIMI, vision_config=MOON), dict(text_config=dict(KIMI, q_lora_rank=None), vision_config=dict(MOON, hidden_size=96, init_pos_emb_width=6))],
}  # fmt: skip


def published():
    """The published models of these types, by the row of CODE that builds them."""
    for row in json.loads((FILE.parent / "models.json").read_text()):
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
    for name in (*names[::2], *MORE.get(kind, [])):
        file = posixpath.normpath(f"{path}/{name}.py").lstrip("/")
        text = subprocess.run(["git", "-C", str(folder / repository), "show", f"{commit}:{file}"], capture_output=True, text=True, check=True).stdout
        for cut, left in CUT.items():
            text = text.replace(cut, left)
        (package / posixpath.basename(file)).write_text(text)
    modeling_file, model, config_file, config = [posixpath.basename(name) for name in names]
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
            # As Nomic's `from_pretrained` builds it.
            built = model(made, **(dict(add_pooling_layer=False) if kind == "nomic_bert" else {}))
        else:
            inner = module.create_model_config_from_pretrained_config(made)
            inner.init_device = "meta"
            built = model(made, module.LLaDAModel(inner, init_params=False))
        built.tie_weights()
    tensors = {id(one): one for one in built.parameters()}.values()
    # Correction biases of routers: buffers here, tensors in checkpoints.
    stored = [one for name, one in built.named_buffers() if name.endswith(("expert_bias", "e_score_correction_bias"))]
    total = sum(math.prod(one.shape) for one in (*tensors, *stored))
    ahead = sum(one.numel() for name, one in built.named_parameters() if ".mtp_layers." in name)
    return dict(total=total - ahead, mtp=ahead) if ahead else dict(total=total)


def rows(folder, kinds):
    """The rows of these kinds, in the order of CODE."""
    cases = [(kind, name, config) for kind, name, config in published()]
    for kind, shapes in SHAPES.items():
        cases += [(kind, variant, shape) for variant, shape in zip(("small", "switched", "odd", "norms"), shapes)]
    with tempfile.TemporaryDirectory() as target:
        sys.path.insert(0, target)
        for kind in kinds:
            classes = load(folder, target, kind)
            for _, variant, config in [case for case in cases if case[0] == kind]:
                modeling_file, model = (posixpath.basename(name) for name in CODE[kind][2:4])
                code = {"auto_map": {"AutoModelForCausalLM": f"{modeling_file}.{model}"}} if kind in RELEASED else {}
                named = {"model_type": kind.split(" ")[0], "architectures": [model], **code, **config}
                yield dict(model_type=kind.split(" ")[0], variant=variant, config=named, **build(kind, config, classes))


if __name__ == "__main__":
    order = [kind.split(" ")[0] for kind in CODE]
    types = set(sys.argv[2:] or order)
    found = list(rows(Path(sys.argv[1]), [kind for kind in CODE if kind.split(" ")[0] in types]))
    kept = [row for row in json.loads(FILE.read_text()) if row["model_type"] not in types]
    found = sorted([*kept, *found], key=lambda row: order.index(row["model_type"]))
    FILE.write_text("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in found) + "\n]\n")
