"""Content-derived identities, seeds and shards: the same on every machine and in every order."""

from functools import lru_cache
from hashlib import blake2b


def content_id(*parts: str) -> str:
    """Return the 16-hex-digit blake2b hash of the parts, in order.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ.
    """
    return blake2b(b"".join(map(_with_length, parts)), digest_size=8).hexdigest()


def derive_seed(run_seed: int, stage: str, identity: str, index: int) -> int:
    """Return the non-negative 31-bit seed of one request.

    It depends on what is asked for only, never on batch size, order or partition.
    """
    return derive_seeds(run_seed, stage, identity, range(index, index + 1))[0]


def derive_seeds(run_seed: int, stage: str, identity: str, indices: range) -> list[int]:
    """Return :func:`derive_seed` of each index."""
    parts = (str(run_seed), stage, identity)
    begun = blake2b(b"".join(map(_with_length, parts)), digest_size=8)
    seeds = []
    for part in _index_parts(indices):
        digest = begun.copy()
        digest.update(part)
        seeds.append(int.from_bytes(digest.digest(), "big") & 0x7FFF_FFFF)
    return seeds


@lru_cache(maxsize=1024)
def _index_parts(indices: range) -> list[bytes]:
    return [_with_length(str(index)) for index in indices]


def _with_length(part: str) -> bytes:
    encoded = part.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(8, "little") + encoded


def shard_of(problem_id: str, num_shards: int) -> str:
    """Return the zero-padded shard key of a problem: ``hash(problem_id) mod num_shards``."""
    index = int(content_id("shard", problem_id), 16) % num_shards
    return shard_keys(num_shards)[index]


def shard_keys(num_shards: int) -> list[str]:
    """Return all shard keys in order, zero-padded to one width so that they sort as numbers."""
    width = max(2, len(str(num_shards - 1)))
    return [f"{index:0{width}d}" for index in range(num_shards)]
