"""Queue requests so that those of one prefix go to one server, whose prefix cache then holds it.

A question has a home among the servers by rendezvous hashing (Thaler and Ravishankar, 1998), a
form of consistent hashing: every process finds the same home, and a server more or less moves only
its own share of the questions. The prefixes of a question's solutions share its home, as they
begin alike.
"""

from collections import deque
from collections.abc import Collection

from xxhash import xxh3_64_intdigest

from shepherd.requests import Request


def home_of(question: str, urls: Collection[str]) -> str:
    """Return the server, of those at ``urls``, whose hash with the question is the highest."""
    return max(urls, key=lambda url: xxh3_64_intdigest(f"{url} {question}".encode()))


class PrefixQueue:
    """Requests that wait for a server, in groups of one prompt, at the home of their question."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, deque[Request]]] = {}

    def put(self, request: Request, urls: Collection[str]) -> None:
        """Queue a request at its home among the servers at ``urls``."""
        groups = self._groups.setdefault(home_of(request.question, urls), {})
        groups.setdefault(request.prompt, deque()).append(request)

    def waits_for(self, url: str) -> bool:
        """Return whether a request waits at a server."""
        return bool(self._groups.get(url))

    def take(self, url: str) -> Request:
        """Return the next request of a server; it takes over others' if none waits there.

        The last prompt of the longest queue moves to the server as a whole, so that the prompt is
        in the cache of as few servers as possible.
        """
        groups = self._groups.setdefault(url, {})
        if not groups:
            longest = max(self._groups.values(), key=len)
            assert longest, "callers take as many requests as wait"
            groups.update([longest.popitem()])
        prompt, requests = next(iter(groups.items()))
        request = requests.popleft()
        if not requests:
            del groups[prompt]
        return request
