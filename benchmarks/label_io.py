"""How fast do published labels go in and out, and in how much memory?

    python -m benchmarks.label_io [--json] [--rows 445000]

Varies the published Math-Shepherd rows under the folder that SHEPHERD_SHARED_DATA names into a
file as long as the release, every thousandth row with a tag inside a line. Imports it, counts
labels by task and step position, and exports it in two formats. The baseline is
``datasets.load_dataset("json")`` with ``map`` of the same parser on as many processes, from an
empty cache. Each stage runs in a process of its own; its peak memory is that process' and, for
each of its workers, the largest worker's.
"""

import argparse
import gzip
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.report import Result, at_least, at_most, main

SHARED_DATA = Path(os.environ.get("SHEPHERD_SHARED_DATA", "../shared/data"))
PUBLISHED = SHARED_DATA / "step_labels" / "openr_samples_math-shepherd.jsonl.gz"
ROWS = 445_000
FEW = 4
"""The memory of an import is compared with that of a file as many times shorter."""
NUM_WORKERS = 2
BAD_EVERY = 1_000
MIB = 2**20


@dataclass(frozen=True)
class Measured:
    """What a stage returned, how long it took and how much memory it held at most.

    ``cpu_seconds`` are those of all its processes, which another program's load hardly changes.
    """

    value: Any
    seconds: float
    cpu_seconds: float
    peak_mib: float


def measure(stage: Callable[..., Any], *arguments: object, num_workers: int = 0) -> Measured:
    """Run a stage in a new process, so that its memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, stage, arguments, num_workers).result()


def _measured(
    stage: Callable[..., Any], arguments: tuple[object, ...], num_workers: int
) -> Measured:
    start = time.perf_counter()
    value = stage(*arguments)
    seconds = time.perf_counter() - start
    own, workers = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu_seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, workers))
    peak = own.ru_maxrss + num_workers * workers.ru_maxrss
    return Measured(value, seconds, cpu_seconds, peak / 1024)


def write_varied(path: Path, num_rows: int) -> str:
    """Write ``num_rows`` rows, no two alike; return the hash of the good lines."""
    published = [json.loads(line) for line in gzip.decompress(PUBLISHED.read_bytes()).splitlines()
                 if line.strip()]  # fmt: skip
    good = hashlib.blake2b()
    with path.open("w", encoding="utf-8") as file:
        for number in range(num_rows):
            row = dict(published[number % len(published)])
            row["task"] = ("GSM8K", "MATH")[number % 2]
            for field in ("input", "label"):
                row[field] = f"Case {number}: {row[field]}"
            is_bad = number % BAD_EVERY == BAD_EVERY - 1
            if is_bad:
                for field, tag in (("input", "ки"), ("label", "+")):
                    row[field] = row[field].replace("Step 1:", f"Step 1: so {tag} ", 1)
            line = json.dumps(row, ensure_ascii=False) + "\n"
            file.write(line)
            if not is_bad:
                good.update(line.encode())
    return good.hexdigest()


def import_file(path: Path, out: Path) -> Any:
    """Import a file; return what was counted."""
    from resources.files.label_import import LabelRules, import_labels

    rules = LabelRules("math_shepherd", annotator="math_shepherd")
    return import_labels([path], out, rules, max_rejected_share=0.01, num_workers=NUM_WORKERS)


def query(folder: Path) -> int:
    """Count labels by task and step position in SQL; return the labels counted."""
    import duckdb

    files = str(folder / "labeled_solutions" / "*.parquet").replace("'", "''")
    counts = (
        duckdb.connect()
        .execute(
            f"""
        select dataset, position, count(*) as labels, sum(label) as positive
        from (
            select dataset, unnest(hard) as label, generate_subscripts(hard, 1) as position
            from read_parquet('{files}')
        )
        group by all order by all
        """
        )
        .fetchall()
    )
    print(*counts, sep="\n", file=sys.stderr)
    return sum(row[2] for row in counts)


def export_file(folder: Path, out: Path, format_name: str, file_type: str) -> int:
    """Export imported labels; return the rows written."""
    from resources.files.label_export import export_labels, read_batches
    from shepherd.dataset_card import CardFacts

    paths = sorted((folder / "labeled_solutions").glob("*.parquet"))
    facts = CardFacts(title=out.name, license="mit")
    return export_labels(read_batches(paths), out, format_name, file_type, facts).num_written


def load_and_map(path: Path, cache: Path) -> int:
    """Do with ``datasets`` what an import does; return the rows that are left."""
    import datasets

    loaded = datasets.load_dataset(
        "json", data_files=str(path), split="train", cache_dir=str(cache)
    )
    mapped = loaded.map(
        parse_batch, batched=True, num_proc=NUM_WORKERS, remove_columns=loaded.column_names
    )
    return int(mapped.num_rows)


def parse_batch(rows: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Parse a batch of rows with the import's own parser; leave bad rows out."""
    from shepherd.label_formats import labeled_frame, parse_math_shepherd

    solutions = []
    for text, label, task in zip(rows["input"], rows["label"], rows["task"], strict=True):
        try:
            solutions.append(parse_math_shepherd({"input": text, "label": label, "task": task}))
        except ValueError:
            continue
    return labeled_frame(solutions, "math_shepherd", None).to_dict(as_series=False)


def run(num_rows: int, folder: Path) -> list[Result]:
    """Write, import, query, export, and let the baseline do its part."""
    file, labels = folder / "published.jsonl", folder / "labels"
    few = folder / "few.jsonl"
    write_varied(few, num_rows // FEW)
    small = measure(import_file, few, folder / "few_labels", num_workers=NUM_WORKERS)
    good_hash = write_varied(file, num_rows)
    size = file.stat().st_size
    done = measure(import_file, file, labels, num_workers=NUM_WORKERS)
    num_bad = num_rows // BAD_EVERY
    queried = measure(query, labels)
    shepherd = measure(export_file, labels, folder / "math_shepherd", "math_shepherd", "jsonl")
    parquet = measure(export_file, labels, folder / "trl", "trl", "parquet")
    with (folder / "math_shepherd" / "train.jsonl").open("rb") as exported:
        same = hashlib.file_digest(exported, "blake2b").hexdigest() == good_hash
    baseline = measure(load_and_map, file, folder / "cache", num_workers=NUM_WORKERS)
    assert baseline.value == done.value.num_solutions == num_rows - num_bad

    def rate(measured: Measured) -> float:
        return num_rows / measured.seconds

    return [
        Result("file", size / MIB, "MiB"),
        at_least("rows in", done.value.num_solutions, "rows", num_rows - num_bad),
        at_least("misplaced tags set aside", done.value.num_rejected, "rows", num_bad),
        at_least("import", rate(done), "rows/s", 20_000, rate(baseline)),
        Result(
            "import, rows a CPU second",
            num_rows / done.cpu_seconds,
            "rows/s",
            num_rows / baseline.cpu_seconds,
        ),
        at_most("import, peak memory", done.peak_mib, "MiB", 2_048, baseline.peak_mib),
        at_most(
            f"import, peak memory over that of {FEW} times fewer rows",
            done.peak_mib / small.peak_mib,
            "ratio",
            1.25,
        ),
        Result("labels counted by task and position in", queried.seconds, "s"),
        Result("export, math_shepherd JSONL", rate(shepherd), "rows/s"),
        Result("export, trl Parquet", rate(parquet), "rows/s"),
        at_most("export, peak memory", max(shepherd.peak_mib, parquet.peak_mib), "MiB", 2_048),
        at_least("exported rows are the imported ones to the byte", float(same), "yes", 1),
    ]


def _run() -> list[Result]:
    parser = argparse.ArgumentParser("python -m benchmarks.label_io")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return run(options.rows, Path(folder))


if __name__ == "__main__":
    main("label_io", _run)
