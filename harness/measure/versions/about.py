"""Say what an interpreter has; run as a file by that interpreter, which may be an old one.

Prints JSON: the version of Python, the installed packages with their versions, and which of the
modules in the arguments cannot be found.
"""

import importlib.util
import json
import sys


def main(modules: "list[str]") -> None:
    """Print it."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    found = {"python": sys.version_info[:3], "missing": missing, "packages": _packages()}
    sys.stdout.write(json.dumps(found) + "\n")


def _packages() -> "dict[str, str]":
    try:
        from importlib.metadata import distributions
    except ImportError:  # too old to train
        return {}
    named = ((one.metadata["Name"], one.version) for one in distributions())
    found: dict[str, str] = {}
    for name, version in named:
        found.setdefault(str(name).lower().replace("_", "-"), version)
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
