"""The secret of a job: from a variable, or in a file that its user alone can read.

The first host writes the file into the output folder, and the others read it there.
"""

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.errors import BadCase, HarnessError
from harness.measure.hosts.discovery import Hosts

VARIABLE = "HARNESS_HOSTS_KEY"
EXPORT = f"export {VARIABLE} with the same secret on every host (openssl rand -hex 32)"
_SHORTEST = 16  # characters of a secret that a user has chosen
_LONGEST = 4096  # bytes that are read of a file


class NoKey(HarnessError):
    """The hosts of a job have no secret in common."""


def given(environ: Mapping[str, str] = os.environ) -> bytes | None:
    """Return the secret of the variable; None where it is not set.

    Raises:
        BadCase: the secret is too short.
    """
    text = environ.get(VARIABLE, "").strip()
    if not text:
        return None
    if len(text) < _SHORTEST:
        raise BadCase(f"{VARIABLE} has fewer than {_SHORTEST} characters; {EXPORT}")
    return text.encode()


def path(folder: Path, hosts: Hosts) -> Path:
    """Return where the secret of a job lies in its output folder."""
    address = re.sub(r"[^\w.-]", "_", hosts.address)
    return folder / f"hosts-{address}-{hosts.port}.key"


@contextlib.contextmanager
def written(folder: Path, hosts: Hosts) -> Iterator[bytes]:
    """Write a new secret, with mode 0600, for as long as the context lasts.

    Raises:
        NoKey: the file cannot be written, or others can read what is written there.
    """
    file, secret = path(folder, hosts), secrets.token_hex(32).encode()
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
            new.write(secret)
        partial.replace(file)
    except OSError as error:
        raise NoKey(f"cannot write {file}: {error.strerror}; {EXPORT}") from error
    try:
        read(folder, hosts)  # some file systems give every file to everybody
        yield secret
    finally:
        with contextlib.suppress(OSError):
            if file.read_bytes() == secret:
                file.unlink()


def read(folder: Path, hosts: Hosts) -> bytes | None:
    """Return the secret that the first host has written; None where there is none yet.

    Raises:
        NoKey: the file belongs to somebody else, or others can read it.
    """
    file = path(folder, hosts)
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW), "rb") as found:
            about, secret = os.fstat(found.fileno()), found.read(_LONGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoKey(f"cannot read {file}: {error.strerror}; {EXPORT}") from error
    mode = stat.S_IMODE(about.st_mode)
    if about.st_uid != os.geteuid() or mode & 0o077:
        who = f"user {about.st_uid}, mode {mode:04o}"
        raise NoKey(f"{file} is not private ({who}), so it proves nothing; {EXPORT}")
    return secret if len(secret) >= _SHORTEST else None
