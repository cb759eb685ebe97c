"""Reject cases that no worker could train, before one is started."""

from harness.errors import BadCase
from harness.measure.machine.gpu import AnyGpu
from harness.records import DEVICES, Case
from harness.worker import backends


def check_case(case: Case, train_samples: int | None, cpus: int, gpu: AnyGpu) -> None:
    """Check that a worker could train a case.

    Raises:
        BadCase: batch size or threads out of range, or a device or backend that is not there.
        UnknownName: no such backend.
    """
    check_batch_size(case.batch_size, case.dataset, train_samples)
    if case.threads < 1:
        raise BadCase(f"threads must be at least 1, not {case.threads}")
    if case.threads > cpus:
        raise BadCase(f"{case.threads} threads requested, this process may use {cpus} CPUs")
    if case.device not in DEVICES:
        raise BadCase(f"no device {case.device!r}; known: {', '.join(DEVICES)}")
    backend = backends.find(case.backend)
    if lack := backend.missing():
        raise BadCase(lack)
    if case.replicas < 1:
        raise BadCase(f"replicas must be at least 1, not {case.replicas}")
    if case.replicas > 1 and (lack := backend.undistributed(case.hosts)):
        raise BadCase(lack)
    if case.hosts < 1 or case.replicas % case.hosts:
        raise BadCase(f"{case.replicas} devices cannot be divided equally among {case.hosts} hosts")
    if case.batch_size % case.replicas:
        devices = f"{case.replicas} devices"
        raise BadCase(f"a batch of {case.batch_size} cannot be divided equally among {devices}")
    if case.device == "gpu" and gpu.name is None:
        raise BadCase(f"a GPU was requested and there is none ({gpu.reason})")


def check_batch_size(batch_size: int, dataset: str, train_samples: int | None) -> None:
    """Check a batch size against the dataset, if the size of the dataset is known.

    Raises:
        BadCase: the batch size is below 1 or above the number of training samples.
    """
    if batch_size < 1:
        raise BadCase(f"batch size must be at least 1, not {batch_size}")
    if train_samples is not None and batch_size > train_samples:
        there = f"{dataset} with {train_samples} training samples"
        raise BadCase(f"batch size {batch_size} is larger than the dataset {there}")
