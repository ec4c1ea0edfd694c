"""Counts what SpecForge's own code builds for drafts of speculative decoding (EAGLE-3 and DFlash).

    python scripts/oracle/drafts.py FOLDER > test/oracle/drafts.json

Needs torch 2.13.0 and transformers 5.18.0. FOLDER is a git repository of sgl-project/SpecForge with COMMIT; of it the files of
FILES are run, on the meta device: no weight is made. A row is {variant, config, total}: its published configs, and small ones.
"""

import importlib
import json
import math
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import torch
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.qwen3.configuration_qwen3 import Qwen3Config

COMMIT = "a6b6b0230009d15ec2a97a57384e6f53f0f96946"
FILES = ["_mask_utils", "draft/base", "draft/registry", "draft/flex_attention", "draft/llama3_eagle", "draft/dflash_kernels", "draft/dflash"]
PUBLISHED = ["llama3-8B-eagle3", "phi4-eagle3", "gpt-oss-120B-eagle3", "qwen3-30B-A3B-eagle3.1", "qwen3-8b-dflash", "qwen3-4b-dflash"]
SIZES = dict(hidden_size=256, num_attention_heads=8, intermediate_size=704, vocab_size=1009, tie_word_embeddings=False)
EAGLE = dict(SIZES, architectures=["LlamaForCausalLMEagle3"], model_type="llama", num_hidden_layers=1)
FLASH = dict(SIZES, architectures=["DFlashDraftModel"], model_type="qwen3", num_hidden_layers=3, num_target_layers=9, block_size=16)
SMALL = {
    "small": dict(EAGLE, num_key_value_heads=2, draft_vocab_size=320),
    "states": dict(EAGLE, num_key_value_heads=8, draft_vocab_size=320, target_hidden_size=192, head_dim=48, eagle_config=dict(eagle_aux_hidden_state_layer_ids=[1, 4, 6])),
    "norms": dict(EAGLE, num_key_value_heads=4, draft_vocab_size=1009, fc_norm=True),
    "flash": dict(FLASH, num_key_value_heads=2, head_dim=32, dflash_config=dict(target_layer_ids=[1, 4])),
    "flash wide": dict(FLASH, num_key_value_heads=8, head_dim=48),
}  # fmt: skip


def text(folder, path):
    return subprocess.run(["git", "-C", folder, "show", f"{COMMIT}:{path}"], capture_output=True, text=True, check=True).stdout


def load(folder, target):
    """Both classes, from the repository's files; what else the package has is not built."""
    (Path(target) / "specforge/modeling/draft").mkdir(parents=True)
    for package in ("specforge", "specforge/modeling", "specforge/modeling/draft"):
        (Path(target) / package / "__init__.py").write_text("")
    for file in FILES:
        (Path(target) / f"specforge/modeling/{file}.py").write_text(text(folder, f"specforge/modeling/{file}.py"))
    for name, members in (("utils", ["print_with_rank"]), ("distributed", ["get_sp_ring_group", "get_sp_ulysses_group"])):
        module = types.ModuleType(f"specforge.{name}")
        for member in members:
            setattr(module, member, lambda *_, **__: None)
        sys.modules[f"specforge.{name}"] = module
    sys.path.insert(0, target)
    named = lambda file, model: getattr(importlib.import_module(f"specforge.modeling.draft.{file}"), model)
    return named("llama3_eagle", "LlamaForCausalLMEagle3"), named("dflash", "DFlashDraftModel")


def total(config, eagle, flash):
    with torch.device("meta"):
        if config["architectures"] == ["DFlashDraftModel"]:
            built = flash(Qwen3Config(**config))
        else:
            built = eagle(LlamaConfig(**config), attention_backend="sdpa")
    return sum(math.prod(one.shape) for one in {id(one): one for one in built.parameters()}.values())


if __name__ == "__main__":
    folder = sys.argv[1]
    published = {name: json.loads(text(folder, f"configs/{name}.json")) for name in PUBLISHED}
    with tempfile.TemporaryDirectory() as target:
        classes = load(folder, target)
        rows = [dict(variant=name, config=config, total=total(config, *classes)) for name, config in {**published, **SMALL}.items()]
    print("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]")
