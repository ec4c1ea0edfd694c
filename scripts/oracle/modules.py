"""Names of the modules and weights in the layers of official models, for the table of names in quantization.ts.

    python scripts/oracle/modules.py > test/oracle/modules.json

Needs torch 2.13.0 and transformers 5.18.0. Meta device, no weights. A row is {source, names}; numbers within a list of modules are 0.
What a published checkpoint calls otherwise than the class stands in PUBLISHED, each with where it was read.
"""

import json
import re
import warnings

import torch
import transformers
from shapes import COMMON, OWN

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()

EXPERTS = dict(COMMON, pad_token_id=0, num_local_experts=4, num_experts=4, n_routed_experts=4, n_shared_experts=1, num_experts_per_tok=2, moe_intermediate_size=128, shared_expert_intermediate_size=128, first_k_dense_replace=1, n_group=1, topk_group=1, q_lora_rank=64, kv_lora_rank=64, head_dim=64)
KINDS = ["llama", "phi3", "gptj", "qwen2_moe", "qwen3_next", "qwen3_5_text", "deepseek_v3", "glm_moe_dsa", "llama4_text", "afmoe", "nemotron_h", "jamba", "falcon_h1", "mamba2", "laguna", "dots1"]

PUBLISHED = [
    dict(source="transformers conversion_mapping.py, deepseek_v4", names=["attn.wq_a", "attn.wq_b", "attn.wkv", *[f"ffn.experts.0.w{i}" for i in (1, 2, 3)], *[f"ffn.shared_experts.w{i}" for i in (1, 2, 3)]]),
    dict(source="transformers conversion_mapping.py, hrm_text", names=["attn.o_proj"]),
    dict(source="github.com/mistralai/mistral-inference transformer_layers.py", names=[f"attention.w{i}" for i in "qkvo"]),
    dict(source="transformers conversion_mapping.py, mixtral", names=[f"block_sparse_moe.experts.0.w{i}" for i in (1, 2, 3)]),
    dict(source="transformers conversion_mapping.py, qwen2_moe", names=[f"mlp.experts.0.{i}_proj" for i in ("gate", "up", "down")]),
    dict(source="transformers conversion_mapping.py, nemotron_h", names=[f"mixer.experts.0.{i}_proj" for i in ("up", "down")]),
    dict(source="huggingface.co/zai-org/GLM-5-FP8 config.json modules_to_not_convert", names=["self_attn.indexers_proj"]),
]


def names_of(kind: str) -> list[str]:
    shape = OWN[kind][-1] if kind in OWN else EXPERTS
    config = transformers.AutoConfig.for_model(kind, **json.loads(json.dumps(shape)))
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    names = {name for name, _ in model.named_modules()} | {name for name, _ in model.named_parameters()}
    inner = {found.group(1) for name in names if (found := re.search(r"(?:layers|h|blocks)\.\d+\.(.+)$", name))}
    return sorted({re.sub(r"\.\d+\b", ".0", name) for name in inner if not re.search(r"norm|\.weight$|\.bias$", name)})


if __name__ == "__main__":
    rows = []
    for kind in KINDS:
        rows.append(dict(source=f"transformers {transformers.__version__}, {kind}", names=names_of(kind)))
    print("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in [*rows, *PUBLISHED]) + "\n]")
