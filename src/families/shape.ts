/** The dimensions that nearly every family has. Letters as in `cost/operations.ts`. */
export type Shape = {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  /** F; 0 where the family has none */
  readonly width: number;
  readonly vocabularySize: number;
};

/** Names under which configs state a dimension. */
export const names = {
  hidden: ['hidden_size', 'n_embd', 'n_embed', 'd_model', 'dim', 'model_dim', 'embed_dim'],
  layers: ['num_hidden_layers', 'n_layer', 'n_layers', 'num_layers', 'num_transformer_layers', 'layers'],
  heads: ['num_attention_heads', 'n_head', 'n_heads', 'num_heads', 'attention_heads'],
  keyValueHeads: [
    'num_key_value_heads',
    'num_kv_heads',
    'n_head_kv',
    'multi_query_group_num',
    'kv_n_heads',
    'n_kv_heads',
  ],
  headDim: ['head_dim', 'kv_channels', 'attention_head_dim', 'dim_head'],
  width: [
    'intermediate_size',
    'n_inner',
    'ffn_dim',
    'ffn_hidden_size',
    'd_ff',
    'ff_intermediate_size',
    'dff',
    'dim_ff',
  ],
  vocabulary: ['vocab_size', 'padded_vocab_size'],
  experts: ['num_local_experts', 'num_experts', 'n_routed_experts', 'moe_num_experts'],
  activeExperts: [
    'num_experts_per_tok',
    'num_experts_per_token',
    'experts_per_token',
    'moe_topk',
    'moe_k',
    'moe_top_k',
    'top_k_experts',
  ],
  expertWidth: ['moe_intermediate_size', 'expert_ffn_hidden_size', 'expert_intermediate_size', 'intermediate_size'],
  positions: [
    'max_position_embeddings',
    'n_positions',
    'n_ctx',
    'max_seq_len',
    'max_sequence_length',
    'seq_length',
    'context_length',
    'model_max_length',
  ],
} as const;
