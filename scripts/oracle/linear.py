"""Counts what flash-linear-attention builds for the types of its models that this tool has rows for.

    python scripts/oracle/linear.py > test/oracle/linear.json

Needs torch 2.13.0, transformers 5.18.0 and flash-linear-attention 0.5.2 with einops and triton. Meta device, no kernel runs. A row is
{model_type, variant, config, total}.
"""

import json
import warnings

import torch

warnings.filterwarnings("ignore")
import fla.layers.attn as attention  # noqa: E402
import fla.models as models  # noqa: E402

# Full attention only asks whether the kernel is there.
attention.flash_attn_func = attention.flash_attn_varlen_func = object()

COMMON = dict(hidden_size=512, num_hidden_layers=4, vocab_size=1009)
HYBRID = dict(layers=[1, 3], num_heads=8, num_kv_heads=2, qkv_bias=True, window_size=64)
SHAPES = {
    "gla": ("GLA", [dict(COMMON, num_heads=4, num_kv_heads=2, use_short_conv=True, expand_k=1, attn=HYBRID), dict(COMMON, num_heads=8, use_output_gate=False, intermediate_size=517)]),
    "retnet": ("RetNet", [dict(COMMON, num_heads=4, use_short_conv=True, expand_v=1, attn=HYBRID), dict(COMMON, num_heads=8, num_kv_heads=4, hidden_ratio=3)]),
    "delta_net": ("DeltaNet", [dict(COMMON, num_heads=4, use_gate=True, expand_v=2, attn=HYBRID), dict(COMMON, num_heads=8, use_short_conv=False, expand_k=0.5)]),
    "gated_deltanet": ("GatedDeltaNet", [dict(COMMON, num_heads=3, head_dim=64, attn=HYBRID), dict(COMMON, num_heads=4, num_v_heads=8, head_dim=32, use_gate=False, expand_v=1, use_short_conv=False)]),
    "hgrn2": ("HGRN2", [dict(COMMON, num_heads=4, expand_ratio=64, use_short_conv=True, attn=HYBRID), dict(COMMON, num_heads=8, expand_ratio=None, use_lower_bound=False, elementwise_affine=False, hidden_ratio=3)]),
    "transformer": ("Transformer", [dict(COMMON, num_heads=8, num_kv_heads=2, qkv_bias=True, window_size=64, qk_norm=True), dict(COMMON, num_heads=4, hidden_ratio=3)]),
    "rwkv7": ("RWKV7", [dict(COMMON, decay_low_rank_dim=48, a_low_rank_dim=32, v_low_rank_dim=16, gate_low_rank_dim=96), dict(COMMON, head_dim=32, hidden_ratio=3.5, decay_low_rank_dim=64, a_low_rank_dim=64, v_low_rank_dim=32, gate_low_rank_dim=128)]),
}

if __name__ == "__main__":
    found = []
    for kind, (name, shapes) in SHAPES.items():
        for variant, shape in zip(("default", "small", "odd"), [{}, *shapes]):
            config = getattr(models, f"{name}Config")(**json.loads(json.dumps(shape)))
            with torch.device("meta"):
                model = getattr(models, f"{name}ForCausalLM")(config)
            total = sum(parameter.numel() for parameter in {id(one): one for one in model.parameters()}.values())
            found.append(dict(model_type=kind, variant=variant, config={"model_type": kind, **shape}, total=total))
    print("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in found) + "\n]")
