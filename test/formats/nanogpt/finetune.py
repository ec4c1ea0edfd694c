# GPT-2 XL goes on with a data set of its own, over a shorter context.
init_from = 'gpt2-xl'
block_size = 512
batch_size = 1
gradient_accumulation_steps = 32
max_iters = 20
dtype = 'float16'
compile = False
