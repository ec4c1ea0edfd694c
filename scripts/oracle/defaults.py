"""Writes what the configuration classes of transformers take where a config leaves a key out, into src/facts/transformers.json.

    python scripts/oracle/defaults.py               # every row anew
    python scripts/oracle/defaults.py gemma5_text   # a row for this type too, or a fresh one
    python scripts/oracle/defaults.py --check       # fails where the file and the classes differ

Needs transformers 5.18.0. The file says which rows and keys there are, since that follows from what src/ reads; their values are
those of the classes, built with no arguments. A new row gets the keys that some line of src/ reads and that the class has a
plain default for: take out those that follow from other keys. OVERRIDES are values that no class states.

`names` are the keys that a class reads at all, of those that src/ asks for: parameters, aliases (`attribute_map`), attributes that
the class sets itself, and what the code beside it asks for by `getattr`. Any other key in a file is ignored by the model.
Under "" stands what every class has.
"""

import dataclasses
import functools
import importlib
import inspect
import json
import re
import sys
from pathlib import Path

import transformers
from transformers import PreTrainedConfig, models
from transformers.utils import logging

logging.set_verbosity_error()
VERSION = "5.18.0"
ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "src" / "facts" / "transformers.json"
ABSENT = object()

# Values that no class of transformers states under this name or so, by (type, key), and where they come from.
OPT = "the class calls it ffn_dim"
KWARGS = "the class takes it out of its keyword arguments, with this default"
MISTRAL = "the class of mistral3, which counts a file of this type with an image encoder"
HEAD = "the class has no such key, and its code then gives the encoder a pooling head"
FLA = "flash-linear-attention 0.5.2, fla/models, the configuration class of the type"
DENSE_FIRST = "the class's mlp_layer_types, which starts with one dense layer"
OVERRIDES = {
    ("opt", "intermediate_size"): (3072, OPT),
    **{("deberta-v2", key): (value, "the code asks for it by getattr") for key, value in {"position_buckets": -1, "conv_kernel_size": 0, "conv_groups": 1}.items()},
    ("xglm", "intermediate_size"): (4096, OPT),
    ("cpmant", "head_dim"): (128, "the class calls it dim_head"),
    ("glm4_moe_lite", "first_k_dense_replace"): (1, DENSE_FIRST),
    ("kimi_linear", "first_k_dense_replace"): (1, DENSE_FIRST),
    ("ernie4_5_moe", "moe_layer_end_index"): (-1, "the class's signature; built, -1 has become the last layer of its own depth"),
    ("hy_v3", "first_k_dense_replace"): (1, DENSE_FIRST),
    ("deepseek_v4", "num_hash_layers"): (3, "the class calls it default_num_hash_layers"),
    **{(name, "sliding_window_pattern"): (value, KWARGS) for name, value in {"cohere2": 4, "gemma3_text": 6}.items()},
    **{(name, "global_head_dim"): (512, KWARGS) for name in ("gemma4_text", "gemma4_unified_text")},
    **{(name, "global_attn_every_n_layers"): (3, KWARGS) for name in ("modernbert", "modernbert-decoder")},
    **{(name, "full_attention_interval"): (4, KWARGS) for name in ("qwen3_5_moe_text", "qwen3_5_text", "qwen3_next", "qwen4_exp_text")},
    **{(name, "vision_use_head"): (True, HEAD) for name in ("phi4_multimodal_vision", "siglip2_vision_model", "siglip_vision_model")},
    **{("intern_vit_6b", key): (True, "OpenGVLab/InternVL2-8B modeling_intern_vit.py, which has no such key and does so") for key in ("use_absolute_position_embeddings", "use_mean_pooling")},
    ("intern_vit_6b", "norm_type"): ("layer_norm", "OpenGVLab/InternVL2-8B configuration_intern_vit.py, whose largest model alone states rms_norm"),
    ("ernie4_5_vl_moe_text", "moe_layer_start_index"): (1, DENSE_FIRST),
    ("internvl_chat", "downsample_ratio"): (0.5, "OpenGVLab/InternVL2-8B configuration_internvl_chat.py"),
    ("granite4_vision", "downsample_rate"): ("4/8", "the class leaves it open, and its code does not run without one"),
    ("minicpmv", "query_num"): (64, "openbmb/MiniCPM-V-2_6 configuration_minicpm.py"),
    ("ministral3", "multimodal_projector_bias"): (False, MISTRAL),
    ("ministral3", "spatial_merge_size"): (2, MISTRAL),
    ("hrm_text", "num_hidden_layers"): (16, "the class's signature; built, it counts each layer once for each cycle"),
    ("gemma3n_text", "intermediate_size"): (16384, "the class's signature; built, it is a list for its own depth"),
    ("got_ocr2", "num_key_value_heads"): (32, "the class of its text model alone; the composite builds it with 16"),
    ("nemotron_h_omni.audio_config", "model_type"): ("parakeet_encoder", "the class takes any; its own code falls back on this one"),
    **{(name, key): (value, FLA) for name, row in {
        "delta_net": dict(hidden_size=2048, num_hidden_layers=24, num_heads=16, vocab_size=32000, max_position_embeddings=2048, conv_size=4, expand_k=1, expand_v=1, hidden_ratio=4, use_beta=True, use_short_conv=True),
        "gated_deltanet": dict(hidden_size=2048, num_hidden_layers=21, num_heads=6, head_dim=256, vocab_size=32000, max_position_embeddings=2048, conv_size=4, expand_v=2, hidden_ratio=4, use_gate=True, use_short_conv=True),
        "gla": dict(hidden_size=2048, num_hidden_layers=24, num_heads=4, vocab_size=32000, max_position_embeddings=2048, conv_size=4, elementwise_affine=True, expand_k=0.5, expand_v=1, hidden_ratio=4, use_output_gate=True, use_short_conv=False),
        "retnet": dict(hidden_size=2048, num_hidden_layers=24, num_heads=8, vocab_size=32000, max_position_embeddings=2048, conv_size=4, elementwise_affine=True, expand_k=1, expand_v=2, hidden_ratio=2, use_output_gate=True),
        "rwkv7": dict(hidden_size=2048, num_hidden_layers=24, head_dim=64, vocab_size=32000, max_position_embeddings=2048, a_low_rank_dim=64, decay_low_rank_dim=64, gate_low_rank_dim=128, v_low_rank_dim=16, hidden_ratio=4),
    }.items() for key, value in row.items()},
}  # fmt: skip


def classes():
    """The configuration classes by `model_type`; a sub-config's class that has none goes by composite and key, as `ovis2.vision_config`."""
    found = {}
    for path in sorted(Path(models.__path__[0]).glob("*/configuration_*.py")):
        module = importlib.import_module(f"transformers.models.{path.parent.name}.{path.stem}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, PreTrainedConfig) and value.__module__ == module.__name__:
                found.setdefault(value.model_type, value)
    parts = {f"{name}.{part}": kind for name, composite in found.items() for part, kind in composite.sub_configs.items() if not getattr(kind, "model_type", "AutoConfig")}
    return found | parts


def plain(value):
    """A value as a file has it: lists for tuples, dictionaries for configs."""
    if isinstance(value, PreTrainedConfig):
        return value.to_dict()
    return value if value is ABSENT else json.loads(json.dumps(value, default=str))


@functools.cache
def built(kind):
    """An instance made without arguments; None where the class cannot do without some."""
    try:
        return kind()
    except Exception:
        return None


def value_of(config, key):
    """As the instance has it; ABSENT where it has no such key."""
    try:
        return plain(getattr(config, key, ABSENT))
    except Exception:  # sizes that differ from layer to layer, and setters without getters
        return ABSENT


def stated(kind, key):
    """The default in the class's signature."""
    name = kind.attribute_map.get(key, key)
    for field in dataclasses.fields(kind):
        if field.name == name and field.default is not dataclasses.MISSING:
            return plain(field.default)
        if field.name == name and field.default_factory is not dataclasses.MISSING:
            return plain(field.default_factory())
    return ABSENT


def part_of(config, part):
    inner = getattr(config, part, None)
    return inner if isinstance(inner, PreTrainedConfig) else None


def default(kind, key):
    """As the class is built, else as its signature has it; a composite without a key of its own stands for its text model."""
    if kind is None:
        return ABSENT
    config = built(kind)
    found = [value for value in (value_of(config, key), stated(kind, key), value_of(part_of(config, "text_config"), key)) if value is not ABSENT]
    return next((value for value in found if value is not None), None if found else ABSENT)


def part_default(kind, config, name, part, key):
    """Of a sub-config as the composite builds it, or of its class where the composite leaves it out."""
    if key != "model_type":
        return value_of(part_of(config, part), key)
    inner = part_of(config, part)
    name_of = getattr(type(inner) if inner is not None else kind.sub_configs[part], "model_type", ABSENT)
    return name_of or f"{name}.{part}"


def pick(name, key, value, problems):
    if (name, key) in OVERRIDES:
        return OVERRIDES[name, key][0]
    if value is ABSENT:
        problems.append(f"{name}: the class states no {key}, and no override does")
        return None
    return value


def composite_row(name, row, kind, problems):
    config = None if kind is None else built(kind)
    own = {key: pick(name, key, value_of(config, key), problems) for key in row["own"]}
    parts = {part: {key: pick(f"{name}.{part}", key, part_default(kind, config, name, part, key), problems) for key in keys} for part, keys in row["parts"].items()}
    return {"own": own, "parts": parts}


CODE = (
    r"""(?:get|has)attr\(\s*[\w.]*config\w*,\s*["'](\w+)["']""",
    r"""kwargs\.(?:pop|get)\(\s*["'](\w+)["']""",
    r"""["'](\w+)["'] (?:not )?in kwargs""",
)


@functools.cache
def asked_beside(folder):
    """Keys that configuration and modelling code ask for by name although they are no parameters."""
    text = "\n".join(path.read_text() for pattern in ("configuration_*.py", "modeling_*.py") for path in sorted(folder.glob(pattern)))
    return {key for pattern in CODE for key in re.findall(pattern, text)}


def settable(kind, key):
    """An attribute that the class itself has, and that a file's key takes the place of."""
    found = inspect.getattr_static(kind, key, ABSENT)
    if isinstance(found, property):
        return found.fset is not None
    return found is not ABSENT or key in vars(built(kind) or object.__new__(kind))


def names_of(kind, keys):
    fields = {field.name for field in dataclasses.fields(kind)}
    own = fields | set(kind.attribute_map) | asked_beside(Path(inspect.getfile(kind)).parent)
    return " ".join(sorted(key for key in keys if key in own or settable(kind, key)))


def generated(old):
    kinds, problems = classes(), []
    rows = {name: {key: pick(name, key, default(kinds.get(name), key), problems) for key in row} for name, row in old["classes"].items()}
    composites = {name: composite_row(name, row, kinds.get(name), problems) for name, row in old["composites"].items()}
    inside = {row["model_type"] for one in composites.values() for row in one["parts"].values()}
    keys = keys_read()
    every = {key for key in keys if key == "tie_word_embeddings" or settable(PreTrainedConfig, key)}
    names = {"": " ".join(sorted(every))} | {name: names_of(kinds[name], keys - every) for name in sorted({*rows, *composites, *inside}) if name in kinds}
    return {"classes": rows, "composites": composites, "names": names}, problems


def keys_read():
    """Every word that stands in quotes in the code that reads Hugging Face's configs, and what ends as a key does that the code puts together."""
    formats = [ROOT / "src" / "read" / "formats" / f"{name}.ts" for name in ("huggingface", "quantization", "mamba", "other-models")]
    text = "\n".join(path.read_text() for path in [*(ROOT / "src" / "families").rglob("*.ts"), *formats])
    return set(re.findall(r"'(\w+)'", text)) | {f"{start}_{end}" for start in ("encoder", "decoder") for end in ("attention_heads", "ffn_dim")}


def fresh(name):
    """A row for a type that has none: every key with a plain default that some line of src/ reads."""
    kind = classes()[name]
    keys = keys_read()
    return {field.name: None for field in dataclasses.fields(kind) if field.name in keys and isinstance(stated(kind, field.name), (bool, int, float, list))}


def written(table):
    def section(rows):
        return ",\n".join(f"{json.dumps(name)}:{json.dumps(rows[name], separators=(',', ':'))}" for name in sorted(rows))

    return "{\n" + ",\n".join(f'"{name}":{{\n{section(rows)}\n}}' for name, rows in table.items()) + "\n}\n"


if __name__ == "__main__":
    if transformers.__version__ != VERSION:
        sys.exit(f"transformers {VERSION} is needed, this is {transformers.__version__}")
    text = FILE.read_text()
    old = json.loads(text)
    for name in sys.argv[1:]:
        if name != "--check":
            old["classes"][name] = fresh(name)
    table, problems = generated(old)
    for problem in problems:
        print(problem, file=sys.stderr)
    if "--check" in sys.argv:
        changed = [f"{name}.{key}: {row[key]!r} in the file, {value!r} in the class" for section in ("classes",) for name, row in old[section].items() for key, value in table[section][name].items() if row[key] != value]
        changed += [f"{name} reads {names}" for name, names in table["names"].items() if names != old.get("names", {}).get(name)]
        changed += [f"{name}: {row} in the file, {table['composites'][name]} in the class" for name, row in old["composites"].items() if row != table["composites"][name]]
        print("\n".join(changed))
        sys.exit(1 if changed or problems or written(table) != text else 0)
    if problems:
        sys.exit(1)
    FILE.write_text(written(table))
