"""The command ``shepherd``: help, exit codes, near names, and flags above the environment."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from cli import choices
from cli.app import main
from cli.dagster_home import prepare_dagster_home, set_environment
from cli.options import home_at
from cli.parsing import repeat_options
from resources.files.label_export import FILE_TYPES
from shepherd.label_formats import PARSERS, RENDERERS
from shepherd.reward_formats import FormatChoice, RewardFormat
from shepherd.settings import ScoringSettings, SplittingSettings
from shepherd.verification import Aggregation
from training.scoring import Kind

ROOT = Path(__file__).parent.parent
COMMANDS = (
    "run",
    "status",
    "estimate",
    "score",
    "labels",
    "export",
    "report",
    "warehouse",
    "verify",
    "copy",
    "ui",
)


def test_help_lists_the_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {command} " in out for command in COMMANDS)
    assert all(f"\n    {code} " in out for code in (0, 1, 2, 130))
    assert "..." not in out.replace("[ARGS]...", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"Usage: shepherd {command}" in capsys.readouterr().out


def test_help_imports_no_heavy_package() -> None:
    script = (
        "import sys; from cli.app import main; assert main(['--help']) == 0; "
        "print([name for name in ('torch', 'dagster', 'polars', 'duckdb') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "No such command 'rnu'. Did you mean 'run'?"),
        (["run", "--profle", "x"], "No such option: --profle. Did you mean --profile?"),
        (["run", "--partitions", "words|00"], "--partitions: needs --assets"),
        (["export", "--out", "o", "--format", "trll"], "Did you mean 'trl'?"),
        (["score"], "Missing option '--model'"),
        (["score", "--model", "m", "--solution", "s"], "--solution: needs --question"),
        (["score", "--model", "m", "--question", "q", "file"], "--question: cannot go with FILE"),
        (["estimate", "--tokens-per-second", "fast"], "'--tokens-per-second'"),
        (["export", "--format", "trl", "--out", "o", "--home", "/nowhere"], "/nowhere/lake"),
        (["ui", "--profile", "nothing"], "no profile 'nothing'"),
    ],
)
def test_a_mistake_is_one_line_on_stderr(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    [line] = captured.err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert captured.out == ""


def test_an_option_takes_several_values() -> None:
    given = ["run", "--assets", "steps", "rollouts", "--home", "h", "--assets", "problems"]
    assert repeat_options(given, ["--assets"]) == [
        *("run", "--assets", "steps", "--assets", "rollouts"),
        *("--home", "h", "--assets", "problems"),
    ]


def test_a_flag_wins_over_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHEPHERD_HOME", str(tmp_path / "variable"))
    assert main(["warehouse", "test"]) == 2
    assert str(tmp_path / "variable") in capsys.readouterr().err
    assert main(["warehouse", "test", "--home", str(tmp_path / "flag")]) == 2
    assert str(tmp_path / "flag") in capsys.readouterr().err


def test_dagster_gets_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHEPHERD_HOME", "SHEPHERD_PROFILE", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.chdir(tmp_path)
    folder = set_environment("mine.yaml", home_at(Path("home")), None)
    assert folder == tmp_path / "home" / "dagster"
    assert os.environ["SHEPHERD_PROFILE"] == str(tmp_path / "mine.yaml")
    assert os.environ["SHEPHERD_HOME"] == str(tmp_path / "home")
    assert set_environment("demo", home_at(Path("home")), Path("events")) == tmp_path / "events"
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "events")


def test_a_dagster_yaml_is_not_replaced(tmp_path: Path) -> None:
    prepare_dagster_home(tmp_path / "dagster")
    settings = tmp_path / "dagster" / "dagster.yaml"
    assert settings.read_text()
    settings.write_text("mine: 1\n")
    prepare_dagster_home(tmp_path / "dagster")
    assert settings.read_text() == "mine: 1\n"


def test_choices_are_those_of_the_product() -> None:
    assert set(get_args(choices.ImportFormat)) == set(PARSERS)
    assert set(get_args(choices.ExportFormat)) == set(RENDERERS)
    assert get_args(choices.FileType) == FILE_TYPES
    calculations = SplittingSettings.model_fields["calculations"].annotation
    assert get_args(choices.Calculations) == get_args(calculations)
    assert get_args(choices.RewardModelKind) == get_args(Kind)
    assert get_args(choices.ScoreAggregation) == get_args(Aggregation)
    engine = ScoringSettings.model_fields["engine"].annotation
    assert get_args(choices.ScoringEngine) == get_args(engine)
    assert get_args(FormatChoice) == ("auto", *get_args(RewardFormat))


def test_the_package_installs_the_command() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"shepherd": "cli.__main__:command"}
