"""Nemotron 3 Nano from scratch: the provider says what the command line would say in other words."""

from megatron.bridge.models.hybrid.hybrid_provider import HybridModelProvider
from megatron.bridge.recipes.common import _pretrain_common
from megatron.bridge.training.config import ConfigContainer
from megatron.core.activations import squared_relu


def nemotron_nano_pretrain_8gpu_h100_bf16_config() -> ConfigContainer:
    cfg = _pretrain_common()
    cfg.model = HybridModelProvider(
        hybrid_layer_pattern="MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
        num_layers=52,
        hidden_size=2688,
        ffn_hidden_size=1856,
        num_attention_heads=32,
        num_query_groups=2,
        kv_channels=128,
        mamba_num_heads=64,
        mamba_head_dim=64,
        mamba_state_dim=128,
        num_moe_experts=128,
        moe_ffn_hidden_size=1856,
        moe_shared_expert_intermediate_size=3712,
        moe_router_topk=6,
        activation_func=squared_relu,
        vocab_size=131072,
        expert_model_parallel_size=8,
    )
    cfg.train.micro_batch_size = 1
    cfg.train.global_batch_size = 256
    return cfg
