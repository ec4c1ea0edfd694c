# A provider with sizes of its own in place of a published model.
from megatron.bridge.models.gpt_provider import GPTModelProvider


def tiny_pretrain_8gpu_h100_bf16_config() -> ConfigContainer:
    cfg = _pretrain_common()
    cfg.model = GPTModelProvider(
        num_layers=32,
        hidden_size=4096,
        ffn_hidden_size=14336,
        num_attention_heads=32,
        num_query_groups=8,
        vocab_size=128256,
        seq_length=8192,
        activation_func=F.silu,
        gated_linear_unit=True,
        normalization="RMSNorm",
        position_embedding_type="rope",
        add_bias_linear=False,
        share_embeddings_and_output_weights=False,
    )
    return cfg
