"""Profiles that YAML or pydantic would take and no run could: refused in one line."""

from pathlib import Path

import pytest
from dagster._core.definitions.utils import DISALLOWED_NAMES

from resources.profiles import load_settings
from resources.strict_yaml import MAX_VALUES, read_yaml
from shepherd.section import RESERVED_NAMES

SECRET = "hunter2"
WORDS = "datasets: {w: {source: word_problems, num_train: 3, num_test: 3}}\n"
MODELS = "generators: {weak: {base: base-small}}\ncompleter: {base: base-large}\n"
BOMB = "\n".join(
    f"a{number}: &a{number} [{', '.join([f'*a{number - 1}' if number else 'x'] * 9)}]"
    for number in range(9)
)


def refusal(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r"x\.yaml: ") as caught:
        load_settings(str(path))
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.isprintable()
    assert len(message) < 1_000
    assert SECRET not in message
    return message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"seed: 1\n{WORDS}seed: 2\n", "line 3: the key `seed` repeats"),
        ("datasets: {w: {source: gsm8k, source: math}}\n", "line 1: the key `source` repeats"),
        (BOMB, f"stand for more than {MAX_VALUES:,} values"),
        ("datasets: &d {w: *d}\n", "an alias (*) refers to what it is in"),
        ("datasets: &d {<<: *d}\n", "an alias (*) refers to what it is in"),
        ("datasets: {on: {source: gsm8k}}\n", "the key `on` is no text to YAML: write it in"),
        ("datasets: {1: {source: gsm8k}}\n", "the key `1` is no text"),
        ("? [a]\n: b\n", "the key is no text"),
        ("seed: !!python/object/apply:os.system [ls]\n", "a tag (!) is not read"),
        ("seed: !!bool x\n", "a tag (!) is not read"),
        ("seed: !!timestamp x\n", "a tag (!) is not read"),
        ("x: " + "[" * 4_000, "nested too deeply"),
        ("seed: " + "9" * 5_000, "Exceeds the limit (4300 digits)"),
        ("seed: 2024-13-45\n", "month must be in 1..12"),
        ("seed: 1\0\n", "special characters are not allowed"),
        ("seed: é\n".encode("latin-1"), "can't decode byte 0xe9"),
        ("sampling: {temperature: .inf}\n", "sampling.temperature: Input should be a finite"),
        ("sampling: {temperature: .nan}\n", "sampling.temperature: Input should be a finite"),
        ("sampling: {temperature: 1.0e+999}\n", "sampling.temperature: Input should be a finite"),
        (f"seed: 1{'0' * 30}\n", "seed: write a number of at most 9,007,199,254,740,992"),
        (f"sampling: {{max_tokens: 1{'0' * 18}}}\n", "sampling.max_tokens: write a number of"),
        ('"\\e[31mx": 1\n', "unknown field"),
        ('seed: "\\e[31m"\n', "seed: "),
        (f"seed: '{'x' * 100_000}'\n", "seed: "),
    ],
)
def test_yaml_that_means_no_profile_is_refused(
    tmp_path: Path, text: str | bytes, says: str
) -> None:
    assert says in refusal(tmp_path, text)


def test_a_byte_order_mark_aliases_and_merged_sections_are_read() -> None:
    document = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]"
    first = {"x": 1, "y": 2}
    assert read_yaml(document) == {"a": first, "b": {"x": 1, "y": 3}, "c": [first, first]}


def test_a_profile_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"\ufeff{WORDS}{MODELS}", encoding="utf-8")
    assert list(load_settings(str(path)).datasets) == ["w"]


@pytest.mark.parametrize(
    "name", ["a...b", "a...", "a,b", "a|b", "a[b", "a b", "é", "..", "a/b", "-a", "*", "x" * 101]
)
def test_a_dataset_that_dagster_cannot_take_is_refused(tmp_path: Path, name: str) -> None:
    says = refusal(tmp_path, f"datasets: {{'{name}': {{source: word_problems}}}}\n{MODELS}")
    assert "datasets: name" in says
    assert any(way_out in says for way_out in ("choose another", "leave them out"))


@pytest.mark.parametrize("name", ["a.b", "class", "input", "type", "None"])
@pytest.mark.parametrize("section", ["generators", "policies"])
def test_a_model_that_dagster_cannot_take_is_refused(
    tmp_path: Path, section: str, name: str
) -> None:
    fields = {
        "generators": f"generators: {{'{name}': {{base: base-small}}}}\ncompleter: {{base: b}}\n",
        "policies": f"policies: {{'{name}': {{kind: rft, start: weak}}}}\n{MODELS}",
    }
    says = refusal(tmp_path, WORDS + fields[section])
    assert f"{section}: name '{name}' becomes an asset" in says


def test_names_that_dagster_reserves_are_known() -> None:
    assert RESERVED_NAMES == DISALLOWED_NAMES


def test_names_that_differ_by_case_only_are_refused(tmp_path: Path) -> None:
    text = "datasets: {GSM: {source: word_problems}, gsm: {source: word_problems}}\n"
    assert "names 'GSM' and 'gsm' are one folder" in refusal(tmp_path, text + MODELS)


@pytest.mark.parametrize(
    "engine",
    [
        "{kind: openai, openai: {base_urls: ['http://:${SECRET}@h/v1']}}",
        "{kind: openai, openai: {base_urls: ['http://h/v1?api_key=${SECRET}']}}",
        "{kind: openai, openai: {base_urls: 'http://:${SECRET}@h/v1'}}",
        "{kind: openai, openai: {base_urls: {a: 'http://:${SECRET}@h/v1'}}}",
        "{kind: openai, openai: 'http://h/v1?api_key=${SECRET}'}",
        "{kind: 'http://:${SECRET}@h/v1'}",
        f"{{'http://:{SECRET}@h/v1': 1}}",
        f"{{kind: openai, openai: {{base_urls: ['http://h/v1'], api_key_variable: sk-{SECRET}}}}}",
    ],
)
def test_no_message_shows_a_secret_of_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setenv("SECRET", SECRET)
    assert "engine." in refusal(tmp_path, f"engine: {engine}\n{WORDS}{MODELS}")
