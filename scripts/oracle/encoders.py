"""Counts what the official modelling code builds for encoders, and for models with an encoder and a decoder.

    python scripts/oracle/encoders.py > test/oracle/encoders.json

Needs torch 2.13.0 and transformers 5.18.0. Each class of each type is built on the meta device with its default config and with one
of odd sizes. Tied matrices are counted once. A row is {model_type, variant, config, total}.
"""

import json
import sys

import torch
import transformers
from transformers import AutoConfig
from transformers.utils import logging

logging.set_verbosity_error()
TASKS = ["Model", "ForMaskedLM", "ForPreTraining", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMultipleChoice", "ForNextSentencePrediction"]
ENCODERS = {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "camembert": "Camembert", "distilbert": "DistilBert", "mpnet": "MPNet", "electra": "Electra", "albert": "Albert", "modernbert": "ModernBert", "gte": "Gte", "nomic_bert": "NomicBert", "deberta-v2": "DebertaV2", "eurobert": "EuroBert", "longformer": "Longformer", "big_bird": "BigBird"}
ODD = dict(hidden_size=328, num_hidden_layers=6, num_attention_heads=4, intermediate_size=517, vocab_size=1009, max_position_embeddings=203, type_vocab_size=3, pad_token_id=0, id2label={"0": "a", "1": "b", "2": "c"})
WITHOUT_SEGMENTS = {k: v for k, v in ODD.items() if k != "type_vocab_size"}
OWN = {
    "deberta-v2": dict(ODD, embedding_size=96, relative_attention=True, position_buckets=16, pos_att_type=["p2c", "c2p"], norm_rel_ebd="layer_norm", conv_kernel_size=3, conv_groups=2, position_biased_input=False),
    "eurobert": dict(WITHOUT_SEGMENTS, num_key_value_heads=2, attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    "longformer": dict(ODD, attention_window=[16, 32, 16, 32, 16, 32]),
    "big_bird": dict(ODD, use_bias=False, attention_type="original_full"),
    "distilbert": dict(dim=328, n_layers=5, n_heads=4, hidden_dim=517, vocab_size=1009, max_position_embeddings=203),
    "electra": dict(ODD, embedding_size=96),
    "albert": dict(ODD, embedding_size=96, num_hidden_groups=2, inner_group_num=2),
    "modernbert": dict(WITHOUT_SEGMENTS, attention_bias=True, mlp_bias=True, norm_bias=True, classifier_bias=True, decoder_bias=False, global_attn_every_n_layers=2),
}
STACKS = dict(d_model=328, encoder_layers=3, decoder_layers=5, encoder_attention_heads=4, decoder_attention_heads=2, encoder_ffn_dim=517, decoder_ffn_dim=601, vocab_size=1009, pad_token_id=0)
T5 = dict(d_model=328, d_kv=48, d_ff=517, num_layers=3, num_decoder_layers=5, num_heads=5, vocab_size=1009, relative_attention_num_buckets=16, feed_forward_proj="gated-gelu")
PAIRS = {
    "t5": ("T5ForConditionalGeneration", T5),
    "mt5": ("MT5ForConditionalGeneration", T5),
    "umt5": ("UMT5ForConditionalGeneration", dict(T5, feed_forward_proj="relu")),
    "bart": ("BartForConditionalGeneration", dict(STACKS, max_position_embeddings=203)),
    "mbart": ("MBartForConditionalGeneration", dict(STACKS, max_position_embeddings=203)),
    "pegasus": ("PegasusForConditionalGeneration", dict(STACKS, max_position_embeddings=203)),
    "m2m_100": ("M2M100ForConditionalGeneration", dict(STACKS, max_position_embeddings=203)),
    "marian": ("MarianMTModel", dict(STACKS, max_position_embeddings=203)),
    "whisper": ("WhisperForConditionalGeneration", dict(STACKS, num_mel_bins=128, max_source_positions=307, max_target_positions=203)),
}


def count(name, config):
    with torch.device("meta"):
        model = getattr(transformers, name)(config)
    model.tie_weights()
    return sum(parameter.numel() for parameter in {id(one): one for one in model.parameters()}.values())


# Shapes beside, of the kinds whose switches turn weights on and off.
MORE = {
    "deberta-v2": [
        dict(ODD, relative_attention=True, max_relative_positions=24, pos_att_type="c2p", share_att_key=False),
        dict(ODD, relative_attention=True, position_buckets=16, pos_att_type=["p2c", "c2p"], share_att_key=True, norm_rel_ebd="layer_norm", tie_word_embeddings=False, legacy=False),
    ],
}


def rows():
    for kind, prefix in ENCODERS.items():
        for task in TASKS:
            if hasattr(transformers, prefix + task):
                yield kind, prefix + task, {}
                yield kind, prefix + task, OWN.get(kind, {k: v for k, v in ODD.items() if kind != "mpnet" or k != "type_vocab_size"})
        for shape in MORE.get(kind, []):
            for task in ("Model", "ForMaskedLM", "ForSequenceClassification"):
                yield kind, prefix + task, shape
    for kind, (name, shape) in PAIRS.items():
        yield kind, name, {}
        yield kind, name, shape


if __name__ == "__main__":
    found = []
    for kind, name, shape in rows():
        try:
            total = count(name, AutoConfig.for_model(kind, **json.loads(json.dumps(shape))))
        except Exception as error:
            print(f"{kind} {name}: {type(error).__name__}: {str(error)[:120]}", file=sys.stderr)
            continue
        found.append(dict(model_type=kind, variant=f"{name}, {'odd' if shape else 'default'}", config={"model_type": kind, "architectures": [name], **shape}, total=total))
    print("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in found) + "\n]")
