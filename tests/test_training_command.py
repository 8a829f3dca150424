"""The command line of the trainers explains its flags and answers mistakes in one line."""

import argparse
import re
from pathlib import Path

import polars as pl
import pytest

from shepherd.section import Section
from shepherd.settings import GrpoSettings, PpoSettings, TrainingSet, TrainingSettings
from tests.written import flawed_solutions
from training.__main__ import build_parser, run
from training.command_line import add_fields, exit_on_mistake, read_fields


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    flawed_solutions(4).write_parquet(folder / "examples.parquet")
    pl.DataFrame({"problem_id": ["p"], "question": ["?"]}).write_parquet(folder / "short.parquet")
    (folder / "text.parquet").write_text("no Parquet")
    (folder / "empty").mkdir()
    return folder


def test_the_help_explains_every_flag_with_its_default() -> None:
    text = " ".join(build_parser().format_help().split())
    for section in (TrainingSettings, TrainingSet, PpoSettings, GrpoSettings):
        for name, field in section.model_fields.items():
            if section in (PpoSettings, GrpoSettings) and name in ("kind", "start", "candidates"):
                continue
            flag = f"--{name.replace('_', '-')}"
            assert re.search(rf"{flag} (\S+) [^\]]*?\((default: [^)]+|required)\)", text), flag
            if field.description:
                # argparse breaks long words of a description at hyphens.
                assert field.description.split()[0] in text
    assert "Undefined" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("prm --base {base} --data {files}/none.parquet", "--data: no file .*none.parquet"),
        ("prm --base {base} --data {files}/text.parquet", "--data: .* cannot be read as Parquet"),
        ("prm --base {base} --data {files}/short.parquet", "--data: needs columns solution_id, "),
        ("sft --base {base} --data {files}/short.parquet", "--data: needs columns split, gold_sol"),
        ("sft --base {base} --data {files}/examples.parquet", "--data: needs columns solution, "),
        (
            "ppo --base {base} --data {files}/short.parquet --reward-checkpoint {base}",
            "--reward-model: Field ",
        ),
        ("prm --base {files}/none --data {files}/examples.parquet", "--base: no folder .*none"),
        ("prm --base {files}/empty --data {files}/examples.parquet", "has no config.json"),
        (
            "prm --base {base} --data {files}/examples.parquet --learning-rate 0",
            "--learning-rate: Input should be greater than 0",
        ),
        (
            "prm --base {base} --data {files}/examples.parquet --held-out {files}/none.parquet",
            "--held-out: no file",
        ),
    ],
)
def test_a_mistake_names_the_flag_and_the_way_out(
    arguments: str, message: str, base: Path, files: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        run([*arguments.format(base=base, files=files).split(), "--out", str(tmp_path / "out")])


def test_a_mistake_ends_the_process_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, exit_on_mistake("python -m training"):
        raise ValueError("--data: no file\nof this name")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "python -m training: error: --data: no file of this name\n"


def test_an_engine_that_cannot_load_new_weights_is_no_choice(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = f"ppo --base {base} --reward-checkpoint {base} --data x --out y --engine openai"
    with pytest.raises(SystemExit):
        run(arguments.split())
    assert "invalid choice: 'openai'" in capsys.readouterr().err


def test_flags_are_read_as_their_fields() -> None:
    class SmallSection(Section):
        share: float = 0.5
        is_on: bool = False

    parser = argparse.ArgumentParser()
    add_fields(parser, SmallSection)
    args = parser.parse_args(["--share", "0.25", "--is-on", "true"])
    assert read_fields(args, SmallSection) == SmallSection(share=0.25, is_on=True)
    assert "(default: false)" in parser.format_help()
