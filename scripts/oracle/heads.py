"""Counts what the official modelling code builds under other classes than a language model's: the body alone and its classifiers.

    python scripts/oracle/heads.py > test/oracle/heads.json

Needs torch 2.13.0 and transformers 5.18.0. Each type is built on the meta device by each such class that it has, in the odd sizes
of test/oracle/transformers.json or, where it has an encoder and a decoder, of encoders.py, with three labels. Parameters are
counted as count.py counts them. A row is {model_type, variant, config, total}.
"""

import json
import sys

import torch
import transformers
from transformers import AutoConfig
from transformers.models.auto import modeling_auto as auto
from transformers.utils import logging

from count import HERE, count
from encoders import PAIRS

logging.set_verbosity_error()
KINDS = {
    "body": auto.MODEL_MAPPING_NAMES,
    "text encoder": auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES,
    "sequence": auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "token": auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    "answers": auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    "audio": auto.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES,
}
LABELS = {"id2label": {"0": "a", "1": "b", "2": "c"}}
# Its code ties the output whatever this key says; a checkpoint that states it has a matrix of its own, which these classes lack.
UNTIED = {"tie_word_embeddings": False}


def shapes():
    rows = json.loads((HERE / "transformers.json").read_text())
    for kind in sorted({row["model_type"] for row in rows}):
        own = {row["variant"]: row["config"] for row in rows if row["model_type"] == kind}
        shape = own.get("odd") or own.get("wide") or own.get("small")
        if shape is not None and "text_config" not in shape:
            yield kind, {key: value for key, value in shape.items() if key != "model_type"}
    for kind, (_, shape) in PAIRS.items():
        yield kind, {**shape, **UNTIED} if kind.endswith("t5") else shape


def built(kind, name, shape):
    config = AutoConfig.for_model(kind, **json.loads(json.dumps(shape)))
    config.pad_token_id = 0
    with torch.device("meta"):
        model = getattr(transformers, name)(config)
    model.tie_weights()
    return model


if __name__ == "__main__":
    found, met = [], set()
    for kind, shape in shapes():
        for task, names in KINDS.items():
            stated = names.get(kind)
            for name in [stated] if isinstance(stated, str) else stated or []:
                if (kind, name) in met:
                    continue
                met.add((kind, name))
                full = shape if task in ("body", "text encoder") else {**shape, **LABELS}
                try:
                    total = count(built(kind, name, full))
                except Exception as error:
                    print(f"{kind} {name}: {type(error).__name__}: {str(error)[:120]}", file=sys.stderr)
                    continue
                found.append(dict(model_type=kind, variant=name, config={"model_type": kind, "architectures": [name], **full}, total=total))
    print("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in found) + "\n]")
