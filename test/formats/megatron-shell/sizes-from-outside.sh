SIZE=$1
TP=${2:-1}
if [ $SIZE = 7B ]; then
  LAYERS=32; HIDDEN=4096
elif [ $SIZE = 70B ]; then
  LAYERS=80; HIDDEN=8192
fi
torchrun --nproc_per_node 8 pretrain_gpt.py --num-layers $LAYERS --hidden-size $HIDDEN --num-attention-heads 32 \
  --seq-length 4096 --micro-batch-size 1 --tensor-model-parallel-size $TP --bf16
