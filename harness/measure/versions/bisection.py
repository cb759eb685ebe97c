"""Search the commits between a good and a bad one; git says which to try, and nothing changes.

`git bisect` keeps its state in the repository and checks commits out. `git rev-list --bisect-all`
gives the same order of commits, and keeps nothing.
"""

import re
from dataclasses import dataclass, field

from harness.errors import BadCase
from harness.measure.versions.git import Repository

_LINE = re.compile(r"^([0-9a-f]{40,64}) \(.*dist=\d+\)$")  # after names of branches, if any


@dataclass
class Bisection:
    """The state of a search.

    Attributes:
        repository: Of the commits.
        good: Hashes of commits that are not after the change.
        bad: Hash of the earliest known commit that is.
        skipped: Hashes of commits that could not be tried.
    """

    repository: Repository
    good: list[str]
    bad: str
    skipped: list[str] = field(default_factory=list)

    @classmethod
    def between(cls, repository: Repository, good: str, bad: str) -> "Bisection":
        """Begin a search between two revisions.

        Raises:
            BadCase: there is no such commit, or the good one is no ancestor of the bad one.
        """
        first, last = repository.commit(good), repository.commit(bad)
        try:
            repository.git("merge-base", "--is-ancestor", first, last)
        except BadCase as error:
            raise BadCase(f"--good {good} is no ancestor of --bad {bad}") from error
        if first == last:
            raise BadCase(f"--good and --bad are the same commit, {first[:7]}")
        return cls(repository, [first], last)

    def left(self) -> list[str]:
        """List the commits that may be the first bad one, the best one to try first."""
        excluded = [f"^{commit}" for commit in self.good]
        text = self.repository.git("rev-list", "--bisect-all", self.bad, *excluded)
        found = (_LINE.match(line) for line in text.splitlines())
        return [match[1] for match in found if match]

    def next(self) -> str | None:
        """Return the commit to try next; None if the search is over."""
        untried = (c for c in self.left() if c != self.bad and c not in self.skipped)
        return next(untried, None)

    def found(self) -> list[str]:
        """Return the first bad commit; several where skipped commits leave it open."""
        return [commit for commit in self.left() if commit == self.bad or commit in self.skipped]

    def subject(self, commit: str) -> str:
        """Return the first line of a commit's message, and who wrote it when."""
        return self.repository.git("show", "-s", "--format=%s (%an, %as)", commit).strip()
