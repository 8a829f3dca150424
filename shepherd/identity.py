"""Content-derived identities, seeds and shards: the same on every machine and in every order."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from struct import Struct

import numpy as np
from numpy.typing import NDArray


def content_id(*parts: str) -> str:
    """Return the 16-hex-digit blake2b hash of the parts, in order.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ.
    """
    hashed = blake2b(digest_size=8)
    for part in parts:
        hashed.update(_with_length(part))
    return hashed.hexdigest()


def content_ids(first: str, others: Iterable[str]) -> list[str]:
    """Return :func:`content_id` of ``first`` with each of the others."""
    begun = blake2b(_with_length(first), digest_size=8)
    ids = []
    for other in map(_with_length, others):
        # Creating a hash takes half its time; copying one is faster.
        whole = begun.copy()
        whole.update(other)
        ids.append(whole.hexdigest())
    return ids


SEEDING = 2
"""Version of :func:`derive_seed`. Journals hold it, so that draws of an older version are not taken
for draws of this one."""


def derive_seed(run_seed: int, stage: str, identity: str, index: int) -> int:
    """Return the non-negative 31-bit seed of one request.

    It depends on these arguments only, never on batch size, order or partition.
    """
    number, place = divmod(index, _SEEDS_A_HASH)
    parts = (str(run_seed), stage, identity, str(number))
    words = blake2b(b"".join(map(_with_length, parts)), digest_size=64).digest()
    return int.from_bytes(words[4 * place : 4 * place + 4], "big") & 0x7FFF_FFFF


def seed_table(
    run_seed: int, stage: str, identities: Sequence[str], count: int
) -> NDArray[np.int64]:
    """Return :func:`derive_seed` of the first indices of each identity: (identities, count)."""
    begun = blake2b(b"".join(map(_with_length, (str(run_seed), stage))), digest_size=64)
    ends = [_with_length(str(number)) for number in range(-(-count // _SEEDS_A_HASH))]
    digests = []
    for named in map(_with_length, identities):
        for end in ends:
            whole = begun.copy()
            whole.update(named + end)
            digests.append(whole.digest())
    words = np.frombuffer(b"".join(digests), ">u4")
    words = words.reshape(len(identities), len(ends) * _SEEDS_A_HASH)
    return (words[:, :count] & 0x7FFF_FFFF).astype(np.int64)


_SEEDS_A_HASH = 16
"""Seeds of one hash: 64 bytes are 16 words of 4 bytes. Seeds are needed by the million."""


def _with_length(part: str) -> bytes:
    encoded = part.encode("utf-8", "surrogatepass")
    return _LENGTH(len(encoded)) + encoded


_LENGTH = Struct("<Q").pack


def shard_of(problem_id: str, num_shards: int) -> str:
    """Return the zero-padded shard key of a problem: ``hash(problem_id) mod num_shards``."""
    index = int(content_id("shard", problem_id), 16) % num_shards
    return shard_keys(num_shards)[index]


def shard_keys(num_shards: int) -> list[str]:
    """Return all shard keys in order, zero-padded to one width so that they sort as numbers."""
    width = max(2, len(str(num_shards - 1)))
    return [f"{index:0{width}d}" for index in range(num_shards)]
