# baseline at batch 256 on tensorflow, CPU: 2.28× [2.24, 2.32] (run 20261126-011713)
# In the shell, before Python starts:
#   export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
import keras
keras.config.set_dtype_policy("mixed_bfloat16")
