"""Divide the examples of an optimisation step among processes and forward passes."""

import heapq
from collections.abc import Sequence


def share_out(lengths: Sequence[int], num_groups: int) -> list[list[int]]:
    """Distribute indices over groups of about equally many tokens, none of them empty.

    Raises:
        ValueError: there are fewer examples than groups. Raise ``batch_size``.
    """
    if len(lengths) < num_groups:
        raise ValueError(
            f"{len(lengths)} examples a step for {num_groups} processes: raise training.batch_size"
        )
    groups: list[list[int]] = [[] for _ in range(num_groups)]
    heap = [(0, 0, number) for number in range(num_groups)]
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        tokens, size, number = heapq.heappop(heap)
        groups[number].append(index)
        heapq.heappush(heap, (tokens + lengths[index], size + 1, number))
    return groups


def padded_passes(
    lengths: Sequence[int], num_processes: int, tokens_per_pass: int
) -> list[list[list[int]]]:
    """Return the passes of :func:`split_passes` where examples are padded to the longest of a pass.

    Every process gets an example. If there are fewer, indices from ``len(lengths)`` on fill the
    gap: they stand for any example, which counts nothing.
    """
    num_missing = max(0, num_processes - len(lengths))
    filled = [*lengths, *[min(lengths)] * num_missing]
    return split_passes(filled, num_processes, tokens_per_pass, are_padded=True)


def split_passes(
    lengths: Sequence[int], num_processes: int, tokens_per_pass: int, *, are_padded: bool = False
) -> list[list[list[int]]]:
    """Return the indices of each forward pass of each process: ``[process][pass]``.

    All processes get equally many passes, which sharded models need. A pass has at most
    ``tokens_per_pass`` tokens or one example. The examples of a pass have similar lengths.
    ``are_padded`` says whether they take the length of the longest of their pass.
    """
    shares = share_out(lengths, num_processes)
    most = min(map(len, shares))
    num_passes = min(most, max(1, -(-sum(lengths) // (num_processes * tokens_per_pass))))
    while True:
        passes = [split_share(share, lengths, num_passes) for share in shares]
        fullest = max(
            max(lengths[index] for index in part) * len(part)
            if are_padded
            else sum(lengths[index] for index in part)
            for parts in passes
            for part in parts
        )
        if fullest <= tokens_per_pass or num_passes == most:
            return passes
        num_passes += 1


def split_share(share: Sequence[int], lengths: Sequence[int], num_parts: int) -> list[list[int]]:
    """Split indices, in order of length, into parts of about equally many tokens, none empty."""
    pending = sorted(share, key=lambda index: lengths[index])
    pending_tokens = sum(lengths[index] for index in pending)
    parts: list[list[int]] = []
    for num_later_parts in reversed(range(num_parts)):
        goal, num_tokens = pending_tokens / (num_later_parts + 1), 0
        part: list[int] = []
        while len(pending) > num_later_parts and (
            not part or not num_later_parts or num_tokens < goal
        ):
            part.append(pending.pop(0))
            num_tokens += lengths[part[-1]]
        pending_tokens -= num_tokens
        parts.append(part)
    return parts
