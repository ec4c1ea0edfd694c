# OLMo 2 of 7 B parameters; the command line may change the sequence's length.
DEFAULT_SEQUENCE_LENGTH = 4096


def build_config(opts, overrides):
    sequence_length = opts.sequence_length or DEFAULT_SEQUENCE_LENGTH
    model_config = TransformerConfig.olmo2_7B(vocab_size=100_352)
    train_module_config = TransformerTrainModuleConfig(
        rank_microbatch_size=2 * 4096,
        max_sequence_length=sequence_length,
        optim=SkipStepAdamWConfig(lr=3e-4),
        compile_model=True,
        dp_config=TransformerDataParallelConfig(
            name=DataParallelType.hsdp, param_dtype=DType.bfloat16, reduce_dtype=DType.float32
        ),
        ac_config=TransformerActivationCheckpointingConfig(TransformerActivationCheckpointingMode.full),
    )
    return ExperimentConfig(
        model=model_config,
        data_loader=NumpyDataLoaderConfig(global_batch_size=1024 * 4096),
        train_module=train_module_config,
    ).merge(overrides)


if __name__ == "__main__":
    main(build_config)
