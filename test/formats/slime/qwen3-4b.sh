NUM_GPUS=${NUM_GPUS:-8}
MODEL_ARGS=(
  --swiglu --num-layers 36 --hidden-size 2560 --ffn-hidden-size 9728 --num-attention-heads 32
  --group-query-attention --num-query-groups 8 --use-rotary-position-embeddings --disable-bias-linear
  --normalization "RMSNorm" --vocab-size 151936 --kv-channels 128 --qk-layernorm
)
PERF_ARGS=(
  --tensor-model-parallel-size 2 --sequence-parallel --recompute-granularity full --recompute-method uniform
  --recompute-num-layers 1 --use-dynamic-batch-size --max-tokens-per-gpu 9216
)
ray job submit --address="http://127.0.0.1:8265" -- python3 train.py \
  --actor-num-nodes 1 --actor-num-gpus-per-node $NUM_GPUS --colocate ${MODEL_ARGS[@]} ${PERF_ARGS[@]} \
  --ref-load /data/ref --use-kl-loss --rollout-batch-size 32 --rollout-max-response-len 8192 --global-batch-size 256 \
  --attention-dropout 0.0 --hidden-dropout 0.0 --sglang-mem-fraction-static 0.7
