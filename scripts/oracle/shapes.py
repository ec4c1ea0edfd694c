"""Shapes for the kinds of model whose classes refuse the common ones, or whose own keys those leave at their defaults.

For each `model_type` two configs as a file would have them. They are given to the class as they are.
"""

KINDS = ["linear_attention", "full_attention"]
MAMBA = dict(mamba_n_heads=16, mamba_d_state=32, mamba_n_groups=2, mamba_chunk_size=64)
COMMON = dict(hidden_size=512, num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=2, intermediate_size=1408, vocab_size=1024)
WIDE = dict(hidden_size=768, num_hidden_layers=8, num_attention_heads=12, num_key_value_heads=4, intermediate_size=2048, vocab_size=2000, tie_word_embeddings=True)
QWEN_TEXT = dict(COMMON, head_dim=64, moe_intermediate_size=256, shared_expert_intermediate_size=128, num_experts=8, num_experts_per_tok=2, linear_num_value_heads=8, linear_num_key_heads=4, linear_key_head_dim=32, linear_value_head_dim=64)
QWEN_VISION = dict(depth=3, hidden_size=256, intermediate_size=640, num_heads=4, out_hidden_size=512, patch_size=14, num_position_embeddings=576)

OWN = {
    "bamba": [
        dict(COMMON, **MAMBA, attn_layer_indices=[1, 4], mamba_d_conv=3),
        dict(WIDE, mamba_n_heads=12, mamba_d_head=128, attention_bias=True, mlp_bias=True, mamba_proj_bias=True, mamba_conv_bias=False, attn_layer_indices=[0]),
    ],
    "falcon_h1": [
        dict(COMMON, **MAMBA, mamba_d_ssm=768, head_dim=128, mamba_rms_norm=True, projectors_bias=True),
        dict(WIDE, mamba_d_ssm=None, mamba_n_heads=24, mamba_d_head=64, attention_bias=True, mlp_bias=True, mamba_proj_bias=True, mamba_conv_bias=False),
    ],
    "granitemoehybrid": [
        dict(COMMON, **MAMBA, layer_types=[KINDS[i % 2] for i in range(6)], num_local_experts=6, num_experts_per_tok=3, shared_intermediate_size=640, position_embedding_type="nope"),
        dict(WIDE, layer_types=["mamba", "attention"] * 4, num_local_experts=0, num_experts_per_tok=0, mamba_n_heads=24, attention_bias=True, mamba_proj_bias=True, mamba_conv_bias=False),
    ],
    "jamba": [
        dict(COMMON, attn_layer_period=3, attn_layer_offset=1, mamba_dt_rank=20, mamba_d_state=8, mamba_d_conv=3, num_experts=4),
        dict(WIDE, expert_layer_period=3, expert_layer_offset=2, mamba_expand=3, mamba_proj_bias=True, mamba_conv_bias=False),
    ],
    "kimi_linear": [
        dict(COMMON, pad_token_id=0, moe_intermediate_size=256, num_experts=8, num_experts_per_token=2, num_shared_experts=2, kv_lora_rank=64, q_lora_rank=None, linear_attn_config=dict(full_attn_layers=[3, 6], kda_layers=[1, 2, 4, 5], head_dim=64, num_heads=6, short_conv_kernel_size=3)),
        dict(WIDE, pad_token_id=0, moe_intermediate_size=128, num_experts=4, num_experts_per_token=1, q_lora_rank=96, first_k_dense_replace=3, attention_bias=True, linear_num_heads=8, linear_head_dim=96, layer_types=["full_attention", "linear_attention"] * 4),
    ],
    "lfm2": [
        dict(COMMON, full_attn_idxs=[2, 4], conv_L_cache=4, conv_bias=True, block_ff_dim=2000, tie_embedding=False),
        dict(WIDE, layer_types=["conv", "full_attention"] * 4, block_ffn_dim_multiplier=1.3, block_multiple_of=128, tie_word_embeddings=False),
    ],
    "lfm2_moe": [
        dict(COMMON, layer_types=["conv", "full_attention"] * 3, moe_intermediate_size=256, num_experts=8, num_experts_per_tok=2, num_dense_layers=1),
        dict(WIDE, layer_types=["conv", "conv", "full_attention", "conv"] * 2, num_experts=4, use_expert_bias=False, conv_bias=True, conv_L_cache=5, tie_embedding=False),
    ],
    "mamba": [
        dict(hidden_size=512, num_hidden_layers=6, vocab_size=1024, state_size=8, conv_kernel=3, expand=3, time_step_rank=20, use_bias=True),
        dict(hidden_size=768, num_hidden_layers=8, vocab_size=2000, use_conv_bias=False, tie_word_embeddings=False),
    ],
    "mamba2": [
        dict(hidden_size=512, num_hidden_layers=6, vocab_size=1024, num_heads=16, head_dim=64, state_size=64, n_groups=2, conv_kernel=3, tie_word_embeddings=True),
        dict(hidden_size=768, num_hidden_layers=8, vocab_size=2000, num_heads=48, head_dim=32, n_groups=1, use_bias=True, use_conv_bias=False),
    ],
    "nemotron_h": [
        dict(COMMON, head_dim=64, moe_intermediate_size=256, moe_shared_expert_intermediate_size=384, n_routed_experts=6, num_experts_per_tok=3, mamba_num_heads=16, mamba_head_dim=32, n_groups=4, ssm_state_size=32, hybrid_override_pattern="MEM*M-"),
        dict(WIDE, layers_block_type=["mamba", "moe", "attention", "mlp"] * 2, moe_latent_size=256, mlp_bias=True, use_bias=True, use_conv_bias=False),
    ],
    "olmo_hybrid": [
        dict(COMMON, pad_token_id=0, layer_types=[KINDS[i % 2] for i in range(6)], linear_num_key_heads=4, linear_num_value_heads=8, linear_key_head_dim=48, linear_value_head_dim=96),
        dict(WIDE, pad_token_id=0, attention_bias=True, linear_conv_kernel_dim=3),
    ],
    "phi4_multimodal": [
        dict(COMMON, pad_token_id=0, vision_config=dict(num_hidden_layers=3, hidden_size=256, num_attention_heads=4, intermediate_size=640, image_size=224), audio_config=dict(num_blocks=2, hidden_size=256, num_attention_heads=4, intermediate_size=512, ext_pw_out_channel=256, depthwise_separable_out_channel=256, nemo_conv_channels=128, time_reduction=4)),
        dict(WIDE, pad_token_id=0, audio_config=dict(input_size=128, kernel_size=5, bias_symmetric=True, depthwise_multiplier=2)),
    ],
    "qwen3_5": [
        dict(text_config=dict(QWEN_TEXT, model_type="qwen3_5_text"), vision_config=QWEN_VISION),
        dict(text_config=dict(WIDE, model_type="qwen3_5_text", full_attention_interval=2, attention_bias=True), tie_word_embeddings=True),
    ],
    "qwen3_5_moe": [
        dict(text_config=dict(QWEN_TEXT, model_type="qwen3_5_moe_text"), vision_config=QWEN_VISION),
        dict(text_config=dict(WIDE, model_type="qwen3_5_moe_text", num_experts=16), tie_word_embeddings=True),
    ],
    "recurrent_gemma": [
        dict(COMMON, lru_width=640, conv1d_width=3, attention_bias=True),
        dict(WIDE, block_types=["recurrent", "attention"], attention_window_size=256, tie_word_embeddings=False),
    ],
    "rwkv": [
        dict(hidden_size=512, num_hidden_layers=6, vocab_size=1024, attention_hidden_size=640, intermediate_size=1408),
        dict(hidden_size=768, num_hidden_layers=8, vocab_size=2000, tie_word_embeddings=True),
    ],
    "xlstm": [
        dict(hidden_size=512, num_hidden_layers=6, vocab_size=1024, num_heads=4, qk_dim_factor=0.25, v_dim_factor=0.75, ffn_proj_factor=3.1, ffn_round_up_to_multiple_of=96),
        dict(embedding_dim=768, num_blocks=8, num_hidden_layers=8, hidden_size=768, vocab_size=2000, use_bias=True, weight_mode="fused"),
    ],
    "zamba": [
        dict(COMMON, num_hidden_layers=14, num_key_value_heads=8, attn_layer_period=4, attn_layer_offset=2, n_mamba_heads=4, mamba_d_state=8, mamba_dt_rank=20),
        dict(WIDE, num_key_value_heads=12, layers_block_type=["mamba", "hybrid"] * 4, mamba_proj_bias=True, mamba_conv_bias=False),
    ],
    "zamba2": [
        dict(COMMON, layers_block_type=["mamba", "hybrid", "mamba", "hybrid", "mamba", "hybrid"], num_mem_blocks=2, use_shared_attention_adapter=True, adapter_rank=16, n_mamba_heads=8, mamba_ngroups=2, mamba_d_state=32, num_key_value_heads=8),
        dict(WIDE, layers_block_type=["mamba", "mamba", "hybrid"] * 3, n_mamba_heads=24, adapter_rank=32, add_bias_linear=True, num_key_value_heads=12, num_hidden_layers=9),
    ],
    "zaya": [
        dict(COMMON, head_dim=64, moe_intermediate_size=256, num_experts=4, router_hidden_size=64, cca_time0=3, cca_time1=4),
        dict(WIDE, num_experts=6, attention_bias=True, lm_head_bias=True, layer_types=["hybrid", "hybrid_sliding"] * 4, sliding_window=128),
    ],
}
