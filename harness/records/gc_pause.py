"""Python's garbage collector, kept from objects that are many and never garbage."""

import contextlib
import gc
from collections.abc import Iterator

_NEW_OBJECTS = 50_000  # before it looks for garbage among them; by default some hundreds


@contextlib.contextmanager
def kept_out() -> Iterator[None]:
    """Keep it, now and later, from what is made within: modules, records.

    They make no cycles that anyone leaves, and neither do the rows and tables that are made of
    them: it looks for some only now and then.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(_NEW_OBJECTS)
        if enabled:
            gc.enable()
