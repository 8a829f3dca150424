"""A served report: its page, the marks beside it, and who may read and write them."""

import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from benchmarks.browser import find_chromium, open_page
from cli.app import main
from resources.report.server import MARKS_FILE, report_server
from resources.storage.store import FolderStore
from shepherd.label_formats import parse_review
from tests.report_pages import DRAWN, FRAMES, build

ROW = {
    "solution_id": "s",
    "dataset": "words",
    "split": "train",
    "generator": "weak",
    "question": "How many?",
    "steps": ["one\n", "two\n", "three"],
    "is_correct": True,
    "is_cut": False,
    "marks": [None, "wrong", None],
    "notes": [None, "adds twice", None],
}


@contextmanager
def served(report: Path) -> Iterator[str]:
    """Serve a report on a free port and yield its address."""
    with report_server(report, FolderStore(report.parent), 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Return the address of a served page of a few words."""
    (tmp_path / "report.html").write_text("<p>page</p>")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "report_files").mkdir()
    (tmp_path / "report_files" / "texts-0.js").write_text("receive()")
    with served(tmp_path / "report.html") as url:
        yield url


def ask(url: str, method: str = "GET", body: str | None = None, **headers: str) -> bytes:
    """Return the answer of a request."""
    data = None if body is None else body.encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())


def refusal(url: str, method: str = "GET", body: str | None = None, **headers: str) -> str:
    """Return the status and the reason of a request that is refused."""
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(url, method, body, **headers)
    return f"{error.value.code}: {error.value.read().decode()}"


def test_the_page_and_its_files_are_served_and_nothing_else(address: str) -> None:
    assert ask(f"{address}/") == b"<p>page</p>"
    assert ask(f"{address}/report_files/texts-0.js") == b"receive()"
    for path in ("/secret.txt", "/report_files/../secret.txt", "/report_files/none.js", "/x/y.js"):
        assert refusal(address + path).startswith("404: ")


def test_marks_are_written_beside_the_report(address: str, tmp_path: Path) -> None:
    assert ask(f"{address}/marks") == b""
    text = json.dumps(ROW) + "\n"
    assert ask(f"{address}/marks", "PUT", text) == b""
    assert (tmp_path / MARKS_FILE).read_text() == text
    assert ask(f"{address}/marks") == text.encode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", "row 1: "),
        (json.dumps({**ROW, "marks": ["good"] * 3}), "row 1: marks: 'good' is neither right"),
        (json.dumps(ROW) + "\n" + json.dumps({**ROW, "notes": []}), "row 2: notes: is missing"),
    ],
)
def test_marks_that_are_none_are_refused(
    body: str, reason: str, address: str, tmp_path: Path
) -> None:
    assert refusal(f"{address}/marks", "PUT", body).startswith(f"400: marks: {reason}")
    assert not (tmp_path / MARKS_FILE).exists()


def test_pages_of_other_origins_can_neither_read_nor_write(address: str, tmp_path: Path) -> None:
    text = json.dumps(ROW) + "\n"
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        for method, body in (("GET", None), ("PUT", text)):
            assert refusal(f"{address}/marks", method, body, **headers).startswith("403: ")
    assert not (tmp_path / MARKS_FILE).exists()
    assert ask(f"{address}/marks", "PUT", text, Origin=address) == b""


def test_a_selection_becomes_parquet(address: str) -> None:
    rows = [{"steps": ["a", "b"], "prm_scores": None}, {"steps": ["c"], "prm_scores": [0.5]}]
    body = "".join(f"{json.dumps(row)}\n" for row in rows)
    parquet = ask(f"{address}/selection.parquet", "POST", body)
    assert pl.read_parquet(io.BytesIO(parquet)).to_dicts() == rows
    assert refusal(f"{address}/selection.parquet", "POST", "[").startswith("400: selection: ")


def test_marks_decide_labels_only_where_they_say_enough() -> None:
    def hard(*marks: str | None) -> list[tuple[int, ...]]:
        row = {**ROW, "steps": ["x"] * len(marks), "marks": marks, "notes": [None] * len(marks)}
        return [solution.hard for solution in parse_review(json.loads(json.dumps(row)))]

    assert hard(None, "wrong", None) == [(1, 0, 0)]
    assert hard("wrong", "right", None) == [(0, 1, 0)]
    assert hard(None, None, "right") == [(1, 1, 1)]
    assert hard("right", None, None) == []
    with pytest.raises(ValueError, match="the report holds the beginning of a text"):
        parse_review({**ROW, "is_cut": True})
    with pytest.raises(ValueError, match="marks: 2 for 3 steps"):
        parse_review({**ROW, "marks": [None, None]})


def test_marks_of_two_servers_of_one_home_do_not_replace_each_other(
    tmp_path: Path, address: str
) -> None:
    with served(tmp_path / "report.html") as other:
        for url in (address, other):
            assert ask(f"{url}/marks") == b""
        text = json.dumps(ROW) + "\n"
        ask(f"{address}/marks", "PUT", text)
        ask(f"{address}/marks", "PUT", text * 2)
        assert "another reader has changed the marks" in refusal(f"{other}/marks", "PUT", text)
        assert ask(f"{other}/marks").decode() == text * 2
        ask(f"{other}/marks", "PUT", text)
    assert (tmp_path / MARKS_FILE).read_text() == text


def test_marks_of_a_served_report_are_imported_as_human_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    report = build(FRAMES, tmp_path)
    marks = tmp_path / MARKS_FILE
    problem_id = FRAMES["solutions"]["problem_id"][0]
    with served(report) as url, open_page(chromium) as tab:
        tab.open(f"{url}/#problem={problem_id}")
        tab.wait_for(DRAWN)
        solution_id = tab.run("new URLSearchParams(location.hash.slice(1)).get('solution')")
        if solution_id is None:
            tab.run("document.querySelectorAll('.step')[1].focus()")
            solution_id = tab.run("new URLSearchParams(location.hash.slice(1)).get('solution')")
        tab.run("document.querySelectorAll('.step')[1].querySelector('.mark.wrong').click()")
        tab.wait_for("document.body.innerText.includes('Written to report_marks.jsonl')")
        # Another browser, or this one later, reads them again.
        tab.open("about:blank")
        tab.open(f"{url}/#problem={problem_id}")
        tab.wait_for(DRAWN)
        tab.wait_for("document.querySelectorAll('.mark.wrong[aria-pressed=true]').length === 1")
    out = tmp_path / "labels"
    assert main(["labels", "import", str(marks), "--format", "review", "--out", str(out)]) == 0
    (row,) = pl.read_parquet(out / "labeled_solutions" / "*.parquet").iter_rows(named=True)
    (solution,) = FRAMES["solutions"].filter(solution_id=solution_id).iter_rows(named=True)
    # The id is that of the lake, so that the labels join with those of other annotators.
    assert row["solution_id"] == solution_id
    assert (row["annotator"], row["dataset"]) == ("human", "word_problems")
    assert (row["is_correct"], "".join(row["steps"])) == (solution["is_correct"], solution["text"])
    assert row["hard"] == [1] + [0] * (len(row["steps"]) - 1)
