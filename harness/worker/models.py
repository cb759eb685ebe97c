"""Build and compile the model of a case, and load its data."""

import contextlib
import dataclasses
import importlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from harness.errors import BadCase
from harness.records import Case
from harness.records.lever_declarations import LEVERS
from harness.worker.signature import loss_name
from harness.worker.user_errors import raised_by
from harness.workloads import (
    datasets,
    fitting,
    own_settings,
    registry,
    sources,
    user_data,
    variants,
)
from harness.workloads.datasets import HELD_BATCHES, Dataset, leaves, mapped

_LEGACY = (
    f"{{}} asks for legacy Keras by {own_settings.LEGACY}; only Keras 3 is measured: unset it, and "
    "import keras"
)


def configure(case: Case) -> None:
    """Execute the statements of a case's levers, and set the seed."""
    import keras

    for lever in LEVERS:
        if statement := lever.statement(case):
            module = statement.partition(".")[0]
            # A constant of `LEVERS` with a checked setting in it.
            exec(statement, {module: importlib.import_module(module)})  # noqa: S102
    with contextlib.nullcontext() if case.backend == "tensorflow" else _hidden("tensorflow"):
        keras.utils.set_random_seed(case.seed)


def policy() -> str:
    """The name of the dtype policy in force, `float32` if nobody has set another."""
    import keras

    return str(keras.config.dtype_policy().name)


@contextlib.contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Make a module that is not imported yet look as if it were not installed.

    Keras imports TensorFlow to set its seed, whatever the backend is: seconds and hundreds of MiB.
    """
    loaded = sys.modules.get(module)
    sys.modules[module] = loaded  # type: ignore[assignment]  # None means "not installed"
    try:
        yield
    finally:
        if loaded is None:
            del sys.modules[module]


def with_own_data(case: Case) -> tuple[Case, str]:
    """Replace the dataset `auto` by the `data` beside the model, else by random data; say why."""
    with raised_by(case.variant):
        name, reason = sources.data_of(case.variant)
    return dataclasses.replace(case, dataset=name or datasets.FITTED), reason


def load(case: Case, *, whole: bool) -> Dataset | None:
    """Load a case's data, of a pipeline what rounds need or the `whole`, as far as it is held.

    None for random data, which needs the model.
    """
    if case.dataset == datasets.FITTED:
        return None
    if sources.is_own(case.dataset):
        with raised_by(case.variant):
            registry.find(case.variant)  # its file may be executed up to its own `fit` only
        with raised_by(case.dataset):
            enough = [] if whole else [HELD_BATCHES * case.batch_size]
            return user_data.load(case.dataset, *enough)
    return datasets.load(case.dataset)


def fitted(case: Case, signature: fitting.Signature, data: Dataset | None) -> Dataset:
    """Fit the data to the model, or make random data.

    Raises:
        BadCase: the inputs of the model fix another batch size.
    """
    fixed = signature.batch_size
    if fixed is not None and fixed != case.batch_size:
        raise BadCase(fitting.other_batch(case.batch_size, fixed))
    if data is None:
        return fitting.make(signature, case.batch_size, case.seed)
    found = fitting.fit(data, signature, case.dataset)
    return found if fixed is None else found.of_whole_batches(fixed)


def build(case: Case, data: Dataset | None) -> Any:
    """Build the model of a case; compile it if it is not, or the case names loss or optimizer.

    The data gives the shapes to a model without an input of its own. `HarnessError` if it is no
    model or cannot be compiled, `Rejected` if the user's code raises an error.
    """
    import keras

    with raised_by(case.variant):
        source, _, name = case.variant.rpartition(":")
        is_application = source == "keras.applications"
        with _legacy(case.variant):
            found = None if is_application else registry.find(case.variant)()
        model = _application(name, case, data) if is_application else found
        if not isinstance(model, keras.Model):
            if type(model).__module__.startswith("tf_keras"):
                raise BadCase(_LEGACY.format(case.variant))
            raise BadCase(f"{case.variant} returned {type(model).__name__}, not a Keras model")
        if not model.compiled or case.loss or case.optimizer:
            _compile(model, case, is_application=is_application)
        if not model.built:
            _build_shapes(model, case, data)
        if not _knows_variables(model.optimizer, model.trainable_variables):
            model.optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
        return model


@contextlib.contextmanager
def _legacy(name: str) -> Iterator[None]:
    """Say so where a file fails since it asks for legacy Keras."""
    try:
        yield
    except ImportError as error:
        if os.environ.get(own_settings.LEGACY, "0").lower() in ("1", "true"):
            raise BadCase(_LEGACY.format(name)) from error
        raise


def _knows_variables(optimizer: Any, variables: Iterable[Any]) -> bool:
    """Whether an optimizer is not built yet, or for these variables.

    Keras builds that of a model from an `.h5` file for variables that it replaces.
    """
    known = getattr(optimizer, "_trainable_variables_indices", None)  # Keras has no public name
    if known is None or not getattr(optimizer, "built", False):
        return True
    return all(optimizer._var_key(variable) in known for variable in variables)


def _application(name: str, case: Case, data: Dataset | None) -> Any:
    """An application with the input and classes of the data, if there is data."""
    if data is None:
        return variants.application(name, case.input_shape)
    x, y = fitting.with_channel(leaves(data.x_train)[0]), leaves(data.y_train)[0]
    classes = int(y.max()) + 1 if y.ndim == 1 else int(y.shape[-1])
    return variants.application(name, case.input_shape or x.shape[1:], classes)


def _compile(model: Any, case: Case, *, is_application: bool) -> None:
    compiled = model.compiled
    loss = case.loss or (model.loss if compiled else None)
    optimizer = case.optimizer or (model.optimizer if compiled else None)
    if is_application:  # its output is a softmax over classes
        loss, optimizer = loss or "categorical_crossentropy", optimizer or "adam"
    if loss is None or optimizer is None:
        raise BadCase(
            f"{case.variant} returned a model that is not compiled; compile it, or give "
            "--loss and --optimizer"
        )
    names = {loss_name(one) for one in leaves(loss)}
    metrics = ["accuracy"] if names <= set(fitting.CLASSIFYING) and len(names) == 1 else None
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=case.jit)


def _build_shapes(model: Any, case: Case, data: Dataset | None) -> None:
    """Build a model without an input for the shapes of the data, or of the case."""
    if data is not None:
        x = data.x_train
        given = x if isinstance(x, (dict, tuple)) else fitting.with_channel(x)
        shapes = mapped(given, lambda array: (None, *array.shape[1:]))
        model.build([*shapes] if isinstance(x, tuple) else shapes)
    elif case.input_shape is not None:
        model.build((None, *case.input_shape))
