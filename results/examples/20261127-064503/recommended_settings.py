# baseline at batch 256 on tensorflow, CPU: 1.73× [1.68, 1.77] (run 20261127-064503)
import keras
keras.config.set_dtype_policy("mixed_bfloat16")
