"""Remember what a step has read, so that it commits nothing that is made of older tables."""

from collections.abc import Iterator
from contextlib import contextmanager

from resources.storage.commits import Commit, Commits, ConflictError


class Reads:
    """The content of what the present step has read, by key; empty where there was nothing."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._contents: dict[str, str] = {}

    def note(self, key: str, commit: Commit | None) -> None:
        """Note what was read."""
        self._contents[key] = commit.content if commit else ""

    def forget(self) -> None:
        """Begin a step."""
        self._contents.clear()

    @contextmanager
    def within(self) -> Iterator[None]:
        """Forget at the end what the body has read."""
        before = dict(self._contents)
        yield
        # What the body has committed is not read any more.
        self._contents = {key: before[key] for key in before.keys() & self._contents.keys()}

    def replaced(self, key: str) -> None:
        """Note that the step itself has committed a key."""
        self._contents.pop(key, None)

    def check(self, key: str) -> None:
        """Check that all that was read is the latest, before a key is committed.

        Raises:
            ConflictError: something is not.
        """
        read = [each for each in self._contents if each != key]
        if not read:
            return
        for each, commit in zip(read, self._commits.latest(read), strict=True):
            if self._contents[each] != (commit.content if commit else ""):
                raise ConflictError(
                    f"{self._commits.store.url}/{key}: another run has replaced {each} since it "
                    "was read here: the same command makes it again"
                )
