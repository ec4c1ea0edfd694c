#!/bin/bash
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
NNODES=${NNODES:-8}

torchrun --nproc_per_node=$GPUS_PER_NODE --nnodes=$NNODES pretrain_gpt.py \
  --use-mcore-models --num-layers 32 --hidden-size 4096 --ffn-hidden-size 14336 --num-attention-heads 32 \
  --group-query-attention --num-query-groups 8 --swiglu --normalization RMSNorm --disable-bias-linear \
  --position-embedding-type rope --untie-embeddings-and-output-weights \
  --num-experts 8 --moe-router-topk 2 --moe-grouped-gemm \
  --tokenizer-type Llama2Tokenizer --tokenizer-model "$1" \
  --seq-length 4096 --max-position-embeddings 32768 --micro-batch-size 1 --global-batch-size 256 --bf16 \
  --tensor-model-parallel-size 1 --pipeline-model-parallel-size 4 --expert-model-parallel-size 8 \
  --use-distributed-optimizer --sequence-parallel
