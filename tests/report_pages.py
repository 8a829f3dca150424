"""Write reports of small lakes, read their data, and open them in a browser."""

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.browser import Page
from resources.report import DATA_FOLDER, Run, build_report
from resources.storage.store import FolderStore
from resources.storage.warehouse import build_warehouse
from tests.small_lake import small_lake, write_lake

FRAMES = small_lake()
HOSTILE = (
    "</script><script>document.title = 'owned'</script>"
    "<img src=x onerror=\"document.title = 'owned'\"><!-- ]]> %%SCRIPT%% ${1} `x` <b>bold</b> "
    "[link](javascript:alert(1)) &lt; \u202eright to left\u202c \u0000 \U0001f40f"
)
DRAWN = "performance.getEntriesByName('drawn').length > 0"
FACTS = [("date", "2026-01-02"), ("seed", "7"), ("commit", "abc1234"), ("models", "-"), ("N", "-")]


def build(frames: dict[str, pl.DataFrame], root: Path, profile: str = "demo") -> Path:
    """Build a warehouse of frames and its page."""
    build_warehouse(write_lake(frames, root / "lake"), root / "warehouse.duckdb")
    return page_of(root / "warehouse.duckdb", root, profile)


def page_of(warehouse: Path, root: Path, profile: str = "demo", **run: Any) -> Path:
    """Write the page of a warehouse, with the studies of a folder."""
    page = root / "report.html"
    build_report(warehouse, FolderStore(root), page, Run(profile, **{"facts": FACTS, **run}))
    return page


def content_of(page: Path) -> dict[str, Any]:
    """Unpack the data of a page, with the texts and rollouts of each problem."""
    html = page.read_text()
    packed = {name: re.search(rf'id="{name}">([^<]*)<', html) for name in ("data", "pieces")}
    assert packed["data"]
    assert packed["pieces"]
    content: dict[str, Any] = unpack(packed["data"][1])
    pieces = {}
    for line in packed["pieces"][1].split("\n"):
        name, *parts = line.split(" ")
        pieces[name] = parts
    for path in page.with_name(DATA_FOLDER).glob("*.js"):
        name, build_id, parts = json.loads(f"[{path.read_text()[len('receive(') : -2]}]")
        assert build_id == content["pieces"]["build"]
        pieces[name] = parts
    for index, problem in enumerate(content["problems"]):
        piece, place = divmod(index, content["pieces"]["problems"])
        problem["texts"] = unpack(pieces[f"texts-{piece}"][0])[place]
        problem["drawn"] = unpack(pieces[f"rollouts-{piece}"][place])
    return content


def unpack(packed: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def hostile_frames() -> dict[str, pl.DataFrame]:
    """Plant hostile text wherever a model or a file could have written it."""
    hostile = pl.lit(HOSTILE)
    frames = dict(FRAMES)
    frames["problems"] = frames["problems"].with_columns(
        question=pl.col("question") + hostile, gold_answer=hostile, level=hostile
    )
    for table in ("solutions", "candidates", "rollouts"):
        frames[table] = frames[table].with_columns(
            text=pl.col("text") + hostile + "y" * 100_000, answer=hostile
        )
    for table in ("solutions", "candidates"):
        frames[table] = frames[table].with_columns(generator=hostile)
    frames["steps"] = frames["steps"].with_columns(text=pl.col("text") + hostile)
    frames["step_labels"] = frames["step_labels"].with_columns(annotator=hostile)
    frames["evaluations"] = frames["evaluations"].with_columns(generator=hostile)
    return frames


def show(tab: Page, page: Path, fragment: str = "") -> Page:
    """Open a report afresh, at a fragment, and wait until it has drawn itself."""
    tab.open("about:blank")
    tab.open(page.as_uri() + fragment)
    tab.wait_for(DRAWN)
    return tab


def dom_of(tab: Page) -> str:
    """Return the document as it is now."""
    return str(tab.run("document.documentElement.outerHTML"))


def choose(tab: Page, control: str, value: str) -> None:
    """Set a control by its label, to an option by its name or to a text."""
    tab.run(
        f"""(() => {{
          const control = document.querySelector('[aria-label="{control}"]');
          const named = [...control.options ?? []].find((one) => one.text === {json.dumps(value)});
          control.value = named ? named.value : {json.dumps(value)};
          control.dispatchEvent(new Event("input"));
          return new Promise((done) => setTimeout(done, 50));
        }})()"""
    )


def listed(tab: Page) -> set[str]:
    """Return the ids of the problems in the list."""
    hashes = tab.run("[...document.querySelectorAll('.list a')].map((link) => link.hash)")
    return {address.removeprefix("#problem=") for address in hashes}
