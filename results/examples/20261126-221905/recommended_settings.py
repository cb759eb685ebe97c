# baseline at batch 256 on tensorflow, CPU: 1.74× [1.70, 1.77] (run 20261126-221905)
import keras
keras.config.set_dtype_policy("mixed_bfloat16")
