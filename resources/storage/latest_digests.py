"""Look up the content of many commits: a few are read one by one, many are listed."""

from resources.storage.commits import Commit, Commits

MOST_SINGLE_REQUESTS = 100
"""Pointers that are read before all are listed: more than those of one shard."""


class LatestDigests:
    """The content of commits as it was when it was asked for first."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._digests: dict[str, str | None] = {}
        self._listed: dict[str, Commit] | None = None

    def of(self, key: str) -> str | None:
        """Return the content of a key's latest commit; None if there is none."""
        if key not in self._digests:
            if self._listed is None and len(self._digests) >= MOST_SINGLE_REQUESTS:
                self._listed = self._commits.below("")
            is_listed = self._listed is not None
            commit = (self._listed or {}).get(key) if is_listed else self._commits.current(key)
            self._digests[key] = commit.content if commit else None
        return self._digests[key]
