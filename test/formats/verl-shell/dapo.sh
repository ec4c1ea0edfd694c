NNODES=${NNODES:-4}
max_response=$((1024 * 7))
python3 -m verl.trainer.main_ppo --config-name=ppo_trainer \
    data.max_prompt_length=1024 data.max_response_length=$max_response \
    actor_rollout_ref.model.path=Qwen/Qwen3-8B \
    +actor_rollout_ref.model.lora_rank=32 \
    actor_rollout_ref.actor.use_dynamic_bsz=True \
    actor_rollout_ref.actor.ppo_max_token_len_per_gpu=16384 \
    actor_rollout_ref.actor.ulysses_sequence_parallel_size=2 \
    actor_rollout_ref.actor.ppo_mini_batch_size=32 actor_rollout_ref.rollout.n=16 \
    algorithm.adv_estimator=grpo trainer.nnodes=$NNODES trainer.n_gpus_per_node=8 $@
