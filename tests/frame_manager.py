"""Run checks of partitions on frames that tests make."""

from collections.abc import Mapping

import dagster as dg

from resources.storage.io_manager import Frames, Partition


class FrameManager:
    """Gives a check its frames, in place of the IO manager of a lake."""

    def __init__(self, frames: Mapping[str, Frames]) -> None:
        self._frames = frames

    def partitions(self, name: str) -> tuple[Partition, ...]:
        return self._frames[name].partitions

    def frames(self, name: str, partitions: tuple[Partition, ...]) -> Frames:
        return Frames(partitions, self._frames[name].make)


def result_of(check: dg.AssetChecksDefinition, **frames: Frames) -> dg.AssetCheckResult:
    """Return the result of a check in a run without partitions."""
    result = check(dg.build_asset_check_context(), io_manager=FrameManager(frames))
    assert isinstance(result, dg.AssetCheckResult)
    return result
