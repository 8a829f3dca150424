"""Content-derived identities, seeds and shards: the same on every machine and in every order."""

from hashlib import blake2b
from struct import unpack


def content_id(*parts: str) -> str:
    """Return the 16-hex-digit blake2b hash of the parts, in order.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ.
    """
    hashed = blake2b(digest_size=8)
    for part in parts:
        hashed.update(_with_length(part))
    return hashed.hexdigest()


def derive_seed(run_seed: int, stage: str, identity: str, index: int) -> int:
    """Return the non-negative 31-bit seed of one request.

    It depends on what is asked for only, never on batch size, order or partition.
    """
    return derive_seeds(run_seed, stage, identity, range(index, index + 1))[0]


def derive_seeds(run_seed: int, stage: str, identity: str, indices: range) -> list[int]:
    """Return :func:`derive_seed` of each index."""
    if not indices:
        return []
    begun = b"".join(map(_with_length, (str(run_seed), stage, identity)))
    first, last = indices[0] // _SEEDS_A_HASH, indices[-1] // _SEEDS_A_HASH
    digests = [
        blake2b(begun + _with_length(str(number)), digest_size=64).digest()
        for number in range(first, last + 1)
    ]
    words = unpack(f">{_SEEDS_A_HASH * len(digests)}I", b"".join(digests))
    return [words[index - first * _SEEDS_A_HASH] & 0x7FFF_FFFF for index in indices]


_SEEDS_A_HASH = 16
"""A 64-byte hash is as many words of four bytes: seeds are drawn by the million."""


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
