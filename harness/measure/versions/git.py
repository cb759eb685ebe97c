"""Ask git; nothing here changes a repository."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadCase
from harness.records import Change

_MODE_OF_SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class Repository:
    """The working tree that a file lies in.

    Attributes:
        root: Its top folder, without symbolic links.
    """

    root: Path

    @classmethod
    def of(cls, path: Path) -> "Repository":
        """Find the repository of a folder or file.

        Raises:
            BadCase: there is none, or git cannot be run.
        """
        folder = path if path.is_dir() else path.parent
        root = _run(folder, "rev-parse", "--show-toplevel").strip()
        if not root:
            raise BadCase(f"{folder} is in no working tree of git")
        return cls(Path(root).resolve())

    def git(self, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
        """Run a command of git in the root and return what it prints.

        Raises:
            BadCase: it fails; the text is the first line of git's own.
        """
        return _run(self.root, *arguments, variables=variables)

    def names(self, *arguments: str) -> list[str]:
        """Run a command that lists paths, each ended by a zero byte."""
        command, *more = arguments
        return [name for name in self.git(command, "-z", *more).split("\0") if name]

    def commit(self, revision: str) -> str:
        """Return the hash of a revision: a branch, a tag, `HEAD~1`.

        Raises:
            BadCase: the repository has no such commit.
        """
        try:
            spec = f"{revision}^{{commit}}"
            return self.git("rev-parse", "--verify", "--quiet", "--end-of-options", spec).strip()
        except BadCase as error:
            raise BadCase(f"no commit {revision!r} in {self.root}{self._hint()}") from error

    def _hint(self) -> str:
        if self.git("rev-parse", "--is-shallow-repository").strip() == "true":
            return "; it is a shallow clone: git fetch --unshallow brings the commits that it lacks"
        return ""

    def write_files(self, commit: str, folder: Path, index: Path) -> None:
        """Write the files of a commit into a new folder, those of its submodules too.

        `git worktree` would leave an entry in the repository where this process is killed; an
        index of its own leaves nothing.

        Args:
            commit: Its hash.
            folder: Is made.
            index: A path for the index.

        Raises:
            BadCase: a submodule lacks its commit, or a file cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        own = {"GIT_INDEX_FILE": str(index)}
        self.git("read-tree", "--no-sparse-checkout", commit, variables=own)
        prefix = f"--prefix={folder}{os.sep}"
        self.git("checkout-index", "--all", "--force", "--quiet", prefix, variables=own)
        index.unlink()
        for path, its_commit in self.submodules(commit).items():
            if not (self.root / path / ".git").exists():
                continue  # it has no files here, either
            inner = Repository(self.root / path)
            try:
                inner.git("cat-file", "-e", f"{its_commit}^{{commit}}")
            except BadCase as error:
                missing = f"the submodule {path} lacks its commit {its_commit[:7]}"
                raise BadCase(f"{missing}: git -C {path} fetch") from error
            inner.write_files(its_commit, folder / path, index)

    def submodules(self, commit: str) -> dict[str, str]:
        """Return the commit of each submodule of a commit, by path."""
        lines = (line.partition("\t") for line in self.names("ls-tree", "-r", commit))
        parts = [(head.split(), path) for head, _, path in lines]
        return {path: head[2] for head, path in parts if head[0] == _MODE_OF_SUBMODULE}

    def changes(self, commit: str) -> list[Change]:
        """List the files of the working tree that differ from a commit, new ones too."""
        options = ("--numstat", "--no-renames", "--no-ext-diff", "--no-textconv")
        found = []
        for line in self.names("diff", *options, commit):
            added, removed, path = line.split("\t", 2)
            lines = "binary" if added == "-" else f"+{added} -{removed}"
            found.append(Change("file", path, lines))
        new = self.names("ls-files", "--others", "--exclude-standard", "--directory")
        return found + [Change("file", path, "new") for path in new]


def _run(folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
    # Variables of a hook name another repository; without optional locks no index is refreshed.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or "CONFIG" in k}
    command = ["git", "-c", "core.quotePath=false", *arguments]  # the user's own
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**kept, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8", **(variables or {})},
            capture_output=True,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise BadCase("there is no git on the PATH") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise BadCase((said or [f"git {arguments[0]} failed"])[0]) from error
    return done.stdout.decode(errors="surrogateescape")
