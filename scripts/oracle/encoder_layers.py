"""What official encoders compute and keep: FLOPs of one image or clip, and bytes that one layer keeps for its backward pass.

    python scripts/oracle/encoder_layers.py > test/oracle/encoder-layers.json

Needs torch 2.13.0 and transformers 5.18.0. Small random encoders run on the CPU in bf16. FLOPs are FlopCounterMode's of the forward pass
with its mergers; bytes are those that saved-tensor hooks see, of two encoders that differ by one layer. A row has the encoder's
config, how many tokens its layers read, and both figures.
"""

import json
import sys

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig
from transformers.models.clip.modeling_clip import CLIPVisionModel
from transformers.models.gemma4.modeling_gemma4 import Gemma4VisionModel
from transformers.models.glm4v.modeling_glm4v import Glm4vVisionModel
from transformers.models.glm_ocr.modeling_glm_ocr import GlmOcrVisionModel
from transformers.models.idefics3.modeling_idefics3 import Idefics3VisionTransformer
from transformers.models.internvl.modeling_internvl import InternVLVisionModel
from transformers.models.llama4.modeling_llama4 import Llama4VisionModel
from transformers.models.janus.modeling_janus import JanusVisionModel
from transformers.models.kimi_k25.modeling_kimi_k25 import Kimi_K25VisionModel
from transformers.models.mllama.modeling_mllama import MllamaVisionModel
from transformers.models.pixtral.modeling_pixtral import PixtralVisionModel
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioEncoder
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel
from transformers.models.siglip.modeling_siglip import SiglipVisionModel
from transformers.utils import logging

logging.set_verbosity_error()
torch.manual_seed(0)
SIDE = 224
VIT = dict(hidden_size=256, intermediate_size=704, num_attention_heads=4, image_size=SIDE, patch_size=14)
QWEN = dict(num_heads=4, patch_size=14, spatial_merge_size=2)
IMAGE = dict(pixel_values=torch.randn(1, 3, SIDE, SIDE, dtype=torch.bfloat16))


def packed(temporal=2):
    side = SIDE // 14
    grid = torch.tensor([[1, side, side]])
    return dict(hidden_states=torch.randn(side * side, 3 * temporal * 14 * 14, dtype=torch.bfloat16), grid_thw=grid)


CASES = {
    "siglip_vision_model": (SiglipVisionModel, dict(VIT, vision_use_head=False), "num_hidden_layers", IMAGE, 256),
    "clip_vision_model": (CLIPVisionModel, dict(VIT), "num_hidden_layers", IMAGE, 257),
    "idefics3_vision": (Idefics3VisionTransformer, dict(VIT), "num_hidden_layers", IMAGE, 256),
    "internvl_vision": (InternVLVisionModel, dict(VIT, image_size=[SIDE, SIDE], patch_size=[14, 14]), "num_hidden_layers", IMAGE, 257),
    "pixtral": (PixtralVisionModel, dict(VIT, head_dim=64), "num_hidden_layers", dict(IMAGE, image_sizes=[(SIDE, SIDE)]), 256),
    "llama4_vision_model": (Llama4VisionModel, dict(VIT, intermediate_size=1024, projector_input_dim=512, projector_output_dim=512, vision_output_dim=512, pixel_shuffle_ratio=0.5), "num_hidden_layers", IMAGE, 257),
    "qwen2_vl_vision": (Qwen2VisionTransformerPretrainedModel, dict(QWEN, embed_dim=256, hidden_size=512, mlp_ratio=4), "depth", packed(), 256),
    "qwen2_5_vl_vision": (Qwen2_5_VisionTransformerPretrainedModel, dict(QWEN, hidden_size=256, intermediate_size=704, out_hidden_size=512, fullatt_block_indexes=[0]), "depth", packed(), 256),
    "qwen3_vl_vision": (Qwen3VLVisionModel, dict(QWEN, hidden_size=256, intermediate_size=704, out_hidden_size=512, num_position_embeddings=256, deepstack_visual_indexes=[0]), "depth", packed(), 256),
    "glm4v_vision": (Glm4vVisionModel, dict(QWEN, hidden_size=256, intermediate_size=704, out_hidden_size=512, image_size=SIDE), "depth", packed(), 256),
    "glm_ocr_vision": (GlmOcrVisionModel, dict(QWEN, hidden_size=256, intermediate_size=704, out_hidden_size=512), "depth", packed(), 256),
    "kimi_k25_vision": (Kimi_K25VisionModel, dict(VIT), "num_hidden_layers", dict(pixel_values=torch.randn(256, 3, 14, 14, dtype=torch.bfloat16), grid_thw=torch.tensor([[1, 16, 16]])), 256),
    "janus_vision_model": (JanusVisionModel, dict(hidden_size=256, mlp_ratio=3, num_attention_heads=4, image_size=SIDE, patch_size=14), "num_hidden_layers", IMAGE, 256),
    "gemma4_vision": (Gemma4VisionModel, dict(hidden_size=256, intermediate_size=704, num_attention_heads=4, num_key_value_heads=4, head_dim=64, patch_size=14, pooling_kernel_size=4), "num_hidden_layers", dict(pixel_values=torch.randn(1, 256, 588, dtype=torch.bfloat16), pixel_position_ids=torch.tensor([[[x, y] for y in range(16) for x in range(16)]])), 256),
    "mllama_vision_model": (MllamaVisionModel, dict(hidden_size=256, intermediate_size=704, attention_heads=4, image_size=SIDE, patch_size=14, num_global_layers=0, max_num_tiles=4, intermediate_layers_indices=[0], vision_output_dim=512), "num_hidden_layers", dict(pixel_values=torch.randn(1, 1, 4, 3, SIDE, SIDE, dtype=torch.bfloat16), aspect_ratio_ids=torch.tensor([[1]]), aspect_ratio_mask=torch.ones(1, 1, 4, dtype=torch.long)), 1056),
    "qwen2_audio_encoder": (Qwen2AudioEncoder, dict(d_model=256, encoder_attention_heads=4, encoder_ffn_dim=704, num_mel_bins=80, dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, encoder_layerdrop=0.0), "encoder_layers", dict(input_features=torch.randn(1, 80, 3000, dtype=torch.bfloat16)), 1500),
}  # fmt: skip


def build(kind, depth, attention="sdpa"):
    cls, sizes, layers, inputs, _ = CASES[kind]
    config = cls.config_class(**sizes, **{layers: depth})
    config._attn_implementation = attention
    model = cls(config).to(torch.bfloat16)
    model.train()
    return model, inputs


def flops(kind, depth):
    # The CPU's fused attention has no formula.
    model, inputs = build(kind, depth, "eager")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**inputs)
    return counter.get_total_flops()


def saved(kind, depth):
    model, inputs = build(kind, depth)
    own = {p.untyped_storage()._cdata for p in model.parameters()} | {b.untyped_storage()._cdata for b in model.buffers()}
    kept, alive = {}, []

    def pack(tensor):
        key = tensor.untyped_storage()._cdata
        if key not in own and key not in kept:
            alive.append(tensor)
            kept[key] = (tensor.untyped_storage().nbytes(), tuple(tensor.shape), str(tensor.dtype))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(**inputs)
    if "-v" in sys.argv and depth == 3:
        for size, shape, dtype in kept.values():
            print(kind, size, shape, dtype, file=sys.stderr)
    return sum(size for size, _, _ in kept.values())


if __name__ == "__main__":
    rows = []
    for kind, (_, sizes, layers, _, tokens) in CASES.items():
        try:
            row = dict(model_type=kind, config={"model_type": kind, **sizes, layers: 3}, tokens=tokens, flops=flops(kind, 3), saved=saved(kind, 4) - saved(kind, 3))
        except Exception as error:  # noqa: BLE001
            print(kind, repr(error)[:300], file=sys.stderr)
            continue
        rows.append(row)
    print("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]")
