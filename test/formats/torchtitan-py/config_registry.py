# Two jobs in one file, the second made of the first.
from torchtitan.config import ActivationCheckpointConfig, CompileConfig, ParallelismConfig, TrainingConfig
from torchtitan.models.llama3 import model_registry
from torchtitan.trainer import Trainer

CONTEXT = 8 * 1024


def llama3_8b() -> Trainer.Config:
    return Trainer.Config(
        loss=ChunkedCELoss.Config(),
        model_spec=model_registry("8B"),
        training=TrainingConfig(local_batch_size=1, seq_len=CONTEXT, steps=1000),
        activation_checkpoint=ActivationCheckpointConfig(mode="selective"),
    )


def llama3_8b_tensor() -> Trainer.Config:
    config = llama3_8b()
    config.training.local_batch_size *= 4
    config.parallelism = ParallelismConfig(tensor_parallel_degree=4, data_parallel_shard_degree=16)
    config.activation_checkpoint.mode = "full"
    config.compile = CompileConfig(enable=True)
    return config
