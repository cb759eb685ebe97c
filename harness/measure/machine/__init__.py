"""The machine: CPUs, GPUs, cgroups and what disturbs it."""
