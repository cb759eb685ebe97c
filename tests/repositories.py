"""Small repositories of git."""

import subprocess


def git(folder, *arguments):
    """Run a command of git; what it prints."""
    identity = ("-c", "user.name=A", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    command = ["git", *identity, *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def begin(folder):
    """Make a repository with a branch `main` and no commit."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")


def commit(folder, **files):
    """Write files and commit all; `net_py` is `net.py`, `a__b` is `a/b`. The hash."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "--allow-empty", "-m", f"{len(files)} files")
    return git(folder, "rev-parse", "HEAD")
