"""Queue requests so that those of one prefix go to one place, whose prefix cache then holds it.

A place is a server, by its address, or a copy of the model on this machine. A question has a home
among the places by rendezvous hashing (Thaler and Ravishankar, 1998), a form of consistent hashing:
every process finds the same home, and a place more or less moves only its own share of the
questions. The prefixes of a question's solutions share its home, as they begin alike.
"""

from collections import deque
from collections.abc import Collection

from xxhash import xxh3_64_intdigest

from shepherd.requests import Request


def home_of(question: str, places: Collection[str]) -> str:
    """Return the place whose hash with the question is the highest."""
    return max(places, key=lambda place: xxh3_64_intdigest(f"{place} {question}".encode()))


class PrefixQueue:
    """Requests that wait, in groups of one prompt, at the home of their question."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, deque[Request]]] = {}

    def put(self, request: Request, places: Collection[str]) -> None:
        """Queue a request at its home among the places."""
        groups = self._groups.setdefault(home_of(request.question, places), {})
        groups.setdefault(request.prompt, deque()).append(request)

    def waits_for(self, place: str) -> bool:
        """Return whether a request waits at a place."""
        return bool(self._groups.get(place))

    def take(self, place: str) -> Request:
        """Return the next request of a place; it takes over others' if none waits there.

        The last prompt of the longest queue moves to the place as a whole, so that the prompt is
        in as few caches as possible.
        """
        groups = self._groups.setdefault(place, {})
        if not groups:
            longest = max(self._groups.values(), key=len)
            assert longest, "callers take as many requests as wait"
            groups.update([longest.popitem()])
        prompt, requests = next(iter(groups.items()))
        request = requests.popleft()
        if not requests:
            del groups[prompt]
        return request
