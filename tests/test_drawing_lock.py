"""Two processes that draw in one partition: the second ends, and takes nothing from the first."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.annotation import solutions as solutions_asset
from assets.annotation.problems import problems_of
from assets.annotation.solutions import solutions_of
from assets.definitions import resources_of
from assets.deployment import Deployment
from resources.sampling.earlier import FINGERPRINTS
from resources.sampling.stage import CompletionModel
from resources.storage.commits import Commit, Commits
from resources.storage.home import Home
from resources.storage.lake import Lake
from resources.storage.leases import Lease
from resources.storage.mirror import Mirror
from resources.storage.store import FolderStore
from shepherd.schemas import PROBLEMS, SOLUTIONS
from tests.fake_engine import FakeEngine
from tests.profiles import TINY
from tests.small_lake import DATASET, small_lake

ROOT = Path(__file__).parent.parent
AT = (DATASET, "00")
FINGERPRINT = {"weights": "none"}

DRAW = """
import sys
from pathlib import Path
from tests.test_drawing_lock import draw
draw(Path(sys.argv[1]))
"""


def draw(home: Home | Path) -> dg.ExecuteInProcessResult:
    """Draw the solutions of a partition with an engine that needs no weights."""
    home = home if isinstance(home, Home) else Home(home)
    solutions_asset.open_samplers = lambda deployment, names: [  # type: ignore[assignment]
        CompletionModel("generator", "plain", FINGERPRINT, FakeEngine)
    ]
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [problems_of(TINY), solutions_of(TINY)],
            selection=dg.AssetSelection.assets("solutions").required_multi_asset_neighbors(),
            resources=resources_of(Deployment(TINY, home)),
            instance=instance,
            partition_key="|".join(AT),
        )


def test_a_run_that_begins_before_another_has_written_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solutions_asset, "open_samplers", None)
    lake = Lake(tmp_path / "lake")
    lake.write(PROBLEMS, small_lake()["problems"], *AT)
    write, second = Lake.write, list[str]()

    def write_after_another_run(self: Lake, *args: object, **metadata: object) -> Path:
        if not second:
            done = subprocess.run(
                [sys.executable, "-c", DRAW, tmp_path],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 1
            second.append(done.stderr)
        return write(self, *args, **metadata)  # type: ignore[arg-type]

    monkeypatch.setattr(Lake, "write", write_after_another_run)
    assert draw(tmp_path).success
    refusal = "another run draws solutions of word_problems|00: wait until it ends, or end it"
    assert refusal in second[0]
    footer = lake.metadata(SOLUTIONS, *AT)
    assert json.loads(footer[FINGERPRINTS])["generator"]["weights"] == "none"
    assert list((tmp_path / "journals").rglob("*.*")) == []


def test_in_a_store_all_tables_are_committed_under_the_lease_of_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solutions_asset, "open_samplers", None)
    mirror = Mirror(FolderStore(tmp_path / "store"), tmp_path / "mirror")
    home = Home(mirror.root, mirror, "store")
    Lake(home.lake, mirror).write(PROBLEMS, small_lake()["problems"], *AT)
    push, epochs = Commits.push, dict[str, int | None]()

    def push_and_note(
        self: Commits,
        key: str,
        files: dict[str, Path],
        content: str,
        lease: Lease | None,
        *old: Any,
    ) -> Commit:
        epochs[key.split("/")[1]] = lease and lease.epoch
        return push(self, key, files, content, lease, *old)

    monkeypatch.setattr(Commits, "push", push_and_note)
    assert draw(home).success
    assert epochs == {"solution_costs": 1, "rejected_solutions": 1, "solutions": 1}
    footer = Lake(home.lake, mirror).metadata(SOLUTIONS, *AT)
    assert json.loads(footer[FINGERPRINTS])["generator"]["weights"] == "none"
    assert mirror.commits.store.list("journals") == []
