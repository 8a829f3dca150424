"""What a run prints at its end: the paths and the commands that use what it made."""

import shlex
from pathlib import Path

import pytest

from assets.deployment import Deployment
from cli.app import main
from cli.next_steps import next_commands, print_next_steps
from resources.storage.home import Home
from shepherd.settings import ExportSettings
from tests.profiles import TINY
from tests.small_lake import small_lake, write_lake


def test_commands_name_the_profile_the_home_and_a_solution_of_it(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / "my home")
    frames = small_lake(num_train=2, num_test=1)
    write_lake(frames, home.lake)
    deployment = Deployment(TINY, home, "x")
    ui, export = map(shlex.split, next_commands(deployment, "mine/x.yaml"))
    assert ui == ["shepherd", "ui", "--profile", "mine/x.yaml", "--home", str(home.root)]
    assert main(export[1:]) == 0
    assert (home.exports / "math-shepherd" / "train.jsonl").is_file()
    home.models.mkdir()
    (home.models / "process_reward_model").symlink_to(base)
    _, score, _ = map(shlex.split, next_commands(deployment, "x"))
    assert score[score.index("--question") + 1] in frames["problems"]["question"].to_list()
    assert main([*score[1:], "--format", "tags"]) == 0
    assert capsys.readouterr().out.count("Step ") >= 2


def test_exports_of_the_profile_are_named_instead_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path)
    write_lake(small_lake(num_train=2, num_test=1), home.lake)
    exports = {"mine": ExportSettings(format="trl", license="mit")}
    (home.exports / "mine").mkdir(parents=True)
    print_next_steps(Deployment(TINY.model_copy(update={"exports": exports}), home), "tiny")
    printed = capsys.readouterr().out
    assert f"the export     {home.exports / 'mine'}" in printed
    assert "shepherd export" not in printed
