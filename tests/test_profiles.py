from pathlib import Path
from typing import Any

import pytest

from resources import profiles
from resources.files.problems import load_problems_of
from resources.profiles import load_settings, settings_from_env
from shepherd.settings import ModelSettings, RftSettings, SplittingSettings

MODELS = """
generators: {weak: {base: base-small}}
completer: {base: base-large}
"""


def write(folder: Path, text: str, name: str = "x.yaml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_what_is_incidental_changes_no_essence() -> None:
    fields: dict[str, Any] = {"kind": "rft", "start": "g", "training": {"batch_size": 4}}
    policy = RftSettings.model_validate(fields)
    training = fields["training"] | {"tokens_per_pass": 8, "checkpoint_steps": 7}
    same = RftSettings.model_validate(fields | {"training": training, "candidates": True})
    other = RftSettings.model_validate(fields | {"training": {"batch_size": 5}})
    assert policy.essence == same.essence != other.essence
    assert SplittingSettings().essence == SplittingSettings().model_dump_json()


def test_a_profile_states_what_differs_from_the_defaults(tmp_path: Path) -> None:
    settings = load_settings(
        write(
            tmp_path,
            "seed: 7\n"
            "datasets: {words: {source: word_problems, num_train: 10}}\n"
            "process_reward_model: {base: base-large, training: {learning_rate: 1e-4}}\n" + MODELS,
        )
    )
    assert settings.seed == 7
    assert settings.datasets["words"].num_train == 10
    assert settings.annotation.max_rollouts == 8
    assert settings.process_reward_model is not None
    assert settings.process_reward_model.training is not None
    assert settings.process_reward_model.training.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "annotation: {annotators: [{kind: adaptive, num_rollouts: none}]}",
            ["annotation.annotators[0].num_rollouts", "integer", "'none'"],
        ),
        (
            "sampling: {num_candidates: 0}",
            ["sampling.num_candidates", "greater than or equal to 1"],
        ),
        (
            "sampling: {num_rollouts: 4}",
            [
                "sampling.num_rollouts: is now annotation.annotators[].num_rollouts: write",
                "{kind: monte_carlo, num_rollouts: 4}",
            ],
        ),
        (
            "annotation: {judge: {base: b, num_votes: 2}, nli_model: m, confidence: 0.9}",
            [
                "annotation.judge: is now annotation.annotators[]: write {kind: judge, base: ...}",
                "is now annotation.annotators[].model: write {kind: nli, model: m}",
                "write {kind: adaptive, confidence: 0.9}",
            ],
        ),
        (
            "sampling: {max_token: 8}",
            ["sampling.max_token: unknown field (did you mean `max_tokens`?)", "docs/profiles.md"],
        ),
        (
            "annotation: {annotators: [{kind: adaptive, confidense: 0.9}]}",
            ["annotation.annotators[0].confidense", "`confidence`"],
        ),
        ("annotation: {annotators: [monte_carl]}", ["'monte_carl'", "did you mean `monte_carlo`?"]),
        (
            "policies: {x: {kind: ppoo, start: weak}}",
            [
                "policies.x.kind: must be one of 'rft', 'ppo', 'grpo', got 'ppoo'",
                "did you mean `ppo`?",
            ],
        ),
        ("policies: {x: {start: weak}}", ["policies.x.kind: Field required"]),
        ("engine: {kind: transformer}", ["engine.kind", "did you mean `transformers`?"]),
        ("annotation: {train_on: rule}", ["annotation.train_on", "rule labels nothing"]),
        ("annotation: {consensus: [monte_carlo, rule]}", ["rule is not in annotators"]),
        ("annotation: {annotators: [rule, rule]}", ["annotators: name each once"]),
        ("annotation: {annotators: [guess]}", ["'guess' is unknown", "judge, monte_carlo, nli"]),
        ("annotation: {annotators: [human]}", ["datasets.<name>.labels", "annotator: human"]),
        ("annotation: {annotators: [judge]}", ["annotation.annotators[0].base", "required"]),
        (
            "datasets: {g: {source: gsm8k}}\nannotation: {annotators: [monte_carlo, oracle]}",
            ["oracle knows word problems alone, not g"],
        ),
        ("engine: {kind: magic}", ["engine.kind", "'transformers'", "'magic'"]),
        ("datasets: {}", ["name at least one dataset"]),
        ("datasets: {../up: {source: word_problems}}", ["'../up'", "folder"]),
        ("datasets: {g: {num_test: 2}}", ["datasets.g.source", "required"]),
        ("generators: {}", ["generators and completer"]),
        (
            "generators: {weak: {base: b, solves: [train]}}\ncompleter: {base: b}\n"
            "process_reward_model: {base: b}",
            ["none solves test problems", "`solves`", "num_test"],
        ),
        (
            "generators: {weak: {base: b, solves: [test]}}\ncompleter: {base: b}",
            ["none solves train problems", "`solves`"],
        ),
        (
            "generators: {weak: {base: b, datasets: [w, v]}}\ncompleter: {base: b}",
            ["weak.datasets: v is not in the datasets"],
        ),
        ("seed: [1", ["not a YAML file", "line"]),
        ("- 1", ["must hold fields"]),
    ],
)
def test_an_error_is_one_line_with_file_field_and_way_out(
    tmp_path: Path, text: str, named: list[str]
) -> None:
    fields = {"datasets": "datasets: {w: {source: word_problems}}", "generators": MODELS}
    missing = [line for field, line in fields.items() if not text.startswith(("- 1", field))]
    path = write(tmp_path, "\n".join([text, *missing]) if text != "- 1" else text)
    with pytest.raises(ValueError, match=r"x\.yaml") as caught:
        load_settings(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(path)
    assert all(part in message for part in named), message


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (["\n\nQ", "\n"], r"'\\n\\nQ' holds '\\n', which ends a text before"),
        (["#", "#"], "'#' holds '#'"),
        ([""], "an empty string"),
        (list("abcde"), "at most 4"),
    ],
)
def test_a_stop_string_that_ends_no_text_is_refused(stop: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ModelSettings.model_validate({"base": "b", "stop": stop})


def test_all_wrong_fields_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: -1\ndatasets: {w: {source: magic}}\n" + MODELS)
    with pytest.raises(ValueError, match=r"datasets\.w\.source.*; |seed.*; ") as caught:
        load_settings(path)
    assert "seed" in str(caught.value)
    assert "datasets.w.source" in str(caught.value)


VARIABLES = """
datasets:
  g:
    source: gsm8k
    num_test: ${NUM_TEST:-3}
    train: ${GSM8K}/train.jsonl
    test: ${GSM8K}/test.jsonl
"""


@pytest.mark.parametrize("unset", [None, ""])
def test_a_value_with_an_unset_variable_is_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unset: str | None
) -> None:
    monkeypatch.delenv("NUM_TEST", raising=False)
    if unset is None:
        monkeypatch.delenv("GSM8K", raising=False)
    else:
        monkeypatch.setenv("GSM8K", unset)
    dataset = load_settings(write(tmp_path, VARIABLES + MODELS)).datasets["g"]
    assert (dataset.train, dataset.test, dataset.num_test) == (None, None, 3)


def test_variables_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSM8K", "/papers/gsm8k")
    monkeypatch.setenv("NUM_TEST", "5")
    dataset = load_settings(write(tmp_path, VARIABLES + MODELS)).datasets["g"]
    assert dataset.train == "/papers/gsm8k/train.jsonl"
    assert dataset.num_test == 5


def test_an_error_names_the_unset_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE", raising=False)
    path = write(tmp_path, "datasets: {g: {source: '${SOURCE}'}}" + MODELS)
    with pytest.raises(ValueError, match=r"datasets\.g\.source.*unset variables: SOURCE"):
        load_settings(path)


def test_the_environment_names_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "PROFILES", tmp_path)
    words = "datasets: {w: {source: word_problems}}" + MODELS
    write(tmp_path, words, "demo.yaml")
    write(tmp_path, "seed: 9\n" + words, "other.yaml")
    monkeypatch.delenv("SHEPHERD_PROFILE", raising=False)
    assert settings_from_env().seed == 0
    monkeypatch.setenv("SHEPHERD_PROFILE", "other")
    assert settings_from_env().seed == 9


@pytest.mark.parametrize("name", ["demoo", "../demo", "", "demo\n"])
def test_an_unknown_profile_lists_the_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(profiles, "PROFILES", tmp_path)
    write(tmp_path, "seed: 1", "demo.yaml")
    write(tmp_path, "seed: 1", "gsm8k.yaml")
    with pytest.raises(ValueError, match="SHEPHERD_PROFILE to one of demo, gsm8k"):
        load_settings(name)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.yaml: no such file"):
        load_settings(str(tmp_path / "absent.yaml"))


@pytest.mark.parametrize("variables", [{}, {"GSM8K_DIR": "papers", "GSM8K_SOLUTIONS": "s.jsonl"}])
def test_the_gsm8k_profile_takes_files_or_the_hub(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name in ("GSM8K_DIR", "GSM8K_SOLUTIONS"):
        monkeypatch.setenv(name, variables.get(name, ""))
    settings = load_settings("gsm8k")
    dataset = settings.datasets["gsm8k"]
    files = (dataset.train, dataset.test, dataset.solutions)
    assert files == (
        ("papers/train.jsonl", "papers/test.jsonl", "s.jsonl") if variables else (None, None, None)
    )
    assert settings.shards == 8


@pytest.mark.parametrize("path", sorted(profiles.PROFILES.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_profile_that_the_project_ships_is_valid(path: Path) -> None:
    assert load_settings(path.stem).datasets


PLACES = """
datasets:
  d:
    source: columns
    columns: {question: q, answer: a}
    train: [written/a.csv, "${FOLDER}/b.csv", "${NONE:-c.csv}", /root/d.csv, ~/e.csv]
    test: ../test.csv
"""


def test_a_written_path_starts_at_the_profile_and_a_variable_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDER", "mine")
    monkeypatch.delenv("NONE", raising=False)
    models = "generators: {g: {base: ./weights}}\ncompleter: {base: owner/name}"
    path = write(tmp_path, PLACES + models)
    settings = load_settings(path)
    dataset = settings.datasets["d"]
    expected = (f"{tmp_path}/written/a.csv", "mine/b.csv", "c.csv", "/root/d.csv", "~/e.csv")
    assert dataset.train == expected
    assert dataset.test == f"{tmp_path}/../test.csv"
    assert settings.generators["g"].base == f"{tmp_path}/weights"
    assert settings.completer is not None
    assert settings.completer.base == "owner/name"
    monkeypatch.chdir(tmp_path)
    # A run and the UI, which has the absolute path of the profile, agree.
    assert load_settings(Path(path).name) == settings


def test_what_an_unset_variable_leaves_out_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINE", raising=False)
    fields = "datasets: {d: {source: columns, columns: {question: q, answer: a}, train: '${MINE}'"
    for test in ("", ", test: t.csv"):
        settings = load_settings(write(tmp_path, f"{fields}{test}}}}}\n{MODELS}"))
        with pytest.raises(ValueError, match=r"datasets\.d: set .*unset variables: MINE"):
            load_problems_of(settings, "d")
