"""How fast are published labels imported and exported, and in how much memory?

    python -m benchmarks.label_io [--json] [--rows 445000]

Writes variations of the published Math-Shepherd rows (folder ``SHEPHERD_SHARED_DATA``, else
``../shared/data``) into a file as long as the release. Every thousandth row has a tag inside a
line. Imports the file, counts labels by task and step position, and exports them in two formats.
The baseline is ``datasets.load_dataset("json")`` with ``map`` of the same parser in as many
processes, from an empty cache. Each stage runs in a new process. Its peak memory is that of the
process plus, for each of its workers, that of the largest worker.
"""

import argparse
import gzip
import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_least, at_most
from benchmarks.requirements import require_package, shared_file

PUBLISHED = ("step_labels", "openr_samples_math-shepherd.jsonl.gz")
SHORTER = 4
"""The memory of an import is compared with that of a file that is this many times shorter."""
NUM_WORKERS = 2
BAD_EVERY = 1_000
MIB = 2**20


@dataclass(frozen=True)
class Measurement:
    """A stage's return value, wall-clock seconds, CPU seconds and peak memory (MiB).

    ``cpu_seconds`` is the sum over all its processes, which other load hardly changes.
    """

    value: Any
    seconds: float
    cpu_seconds: float
    peak_mib: float


def measure(stage: Callable[..., Any], *arguments: object, num_workers: int = 0) -> Measurement:
    """Run a stage in a new process, so that its peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, stage, arguments, num_workers).result()


def _measured(
    stage: Callable[..., Any], arguments: tuple[object, ...], num_workers: int
) -> Measurement:
    start = time.perf_counter()
    value = stage(*arguments)
    seconds = time.perf_counter() - start
    own, workers = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu_seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, workers))
    peak = own.ru_maxrss + num_workers * workers.ru_maxrss
    return Measurement(value, seconds, cpu_seconds, peak / 1024)


def write_varied(path: Path, num_rows: int) -> str:
    """Write ``num_rows`` different rows; return the hash of the lines without a misplaced tag."""
    lines = gzip.decompress(shared_file(*PUBLISHED).read_bytes()).splitlines()
    published = [json.loads(line) for line in lines if line.strip()]
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
    """Import a file; return the counts of the import."""
    from resources.files.label_import import LabelRules, import_labels

    rules = LabelRules("math_shepherd", annotator="math_shepherd")
    return import_labels([path], out, rules, max_rejected_share=0.01, num_workers=NUM_WORKERS)


def query(folder: Path) -> int:
    """Count labels by task and step position in SQL; return their number."""
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
    """Import with ``datasets``; return the number of rows without a misplaced tag."""
    import datasets

    loaded = datasets.load_dataset(
        "json", data_files=str(path), split="train", cache_dir=str(cache)
    )
    mapped = loaded.map(
        parse_batch, batched=True, num_proc=NUM_WORKERS, remove_columns=loaded.column_names
    )
    return int(mapped.num_rows)


def parse_batch(rows: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Parse a batch of rows with the import's parser; leave out rows that it refuses."""
    from shepherd.label_formats import labeled_frame, parse_math_shepherd

    solutions = []
    for text, label, task in zip(rows["input"], rows["label"], rows["task"], strict=True):
        try:
            solutions.append(parse_math_shepherd({"input": text, "label": label, "task": task}))
        except ValueError:
            continue
    return labeled_frame(solutions, "math_shepherd", None).to_dict(as_series=False)


def run(options: argparse.Namespace) -> list[Result]:
    """Write the file, import, query, export, and run the baseline.

    Raises:
        ValueError: the published rows are not there, or ``datasets`` is not installed.
    """
    require_package("datasets", "pip install '.[hub]'")
    num_rows, folder = options.rows, options.folder
    file, labels = folder / "published.jsonl", folder / "labels"
    short_file = folder / "short.jsonl"
    write_varied(short_file, num_rows // SHORTER)
    short = measure(import_file, short_file, folder / "short_labels", num_workers=NUM_WORKERS)
    good_hash = write_varied(file, num_rows)
    imported = measure(import_file, file, labels, num_workers=NUM_WORKERS)
    queried = measure(query, labels)
    shepherd = measure(export_file, labels, folder / "math_shepherd", "math_shepherd", "jsonl")
    parquet = measure(export_file, labels, folder / "trl", "trl", "parquet")
    with (folder / "math_shepherd" / "train.jsonl").open("rb") as exported:
        same = hashlib.file_digest(exported, "blake2b").hexdigest() == good_hash
    baseline = measure(load_and_map, file, folder / "cache", num_workers=NUM_WORKERS)
    num_good = num_rows - num_rows // BAD_EVERY
    assert baseline.value == imported.value.num_solutions == num_good
    return [
        Result("file", file.stat().st_size / MIB, "MiB"),
        *import_results(num_rows, imported, baseline, short),
        Result("labels counted by task and position in", queried.seconds, "s"),
        Result("export, math_shepherd JSONL", num_rows / shepherd.seconds, "rows/s"),
        Result("export, trl Parquet", num_rows / parquet.seconds, "rows/s"),
        at_most("export, peak memory", max(shepherd.peak_mib, parquet.peak_mib), "MiB", 2_048),
        at_least("exported rows are the imported ones to the byte", float(same), "yes", 1),
    ]


def import_results(
    num_rows: int, imported: Measurement, baseline: Measurement, short: Measurement
) -> list[Result]:
    """Return rows, speed and memory of the import, beside ``datasets`` and a shorter file."""
    num_bad = num_rows // BAD_EVERY
    return [
        at_least("rows in", imported.value.num_solutions, "rows", num_rows - num_bad),
        at_least("misplaced tags set aside", imported.value.num_rejected, "rows", num_bad),
        at_least(
            "import",
            num_rows / imported.seconds,
            "rows/s",
            20_000,
            num_rows / baseline.seconds,
        ),
        Result(
            "import, rows a CPU second",
            num_rows / imported.cpu_seconds,
            "rows/s",
            num_rows / baseline.cpu_seconds,
        ),
        at_most("import, peak memory", imported.peak_mib, "MiB", 2_048, baseline.peak_mib),
        at_most(
            f"import, peak memory over that of {SHORTER} times fewer rows",
            imported.peak_mib / short.peak_mib,
            "ratio",
            1.25,
        ),
    ]


BENCHMARK = Benchmark(
    "label_io",
    __doc__,
    run,
    sizes=[Size("rows", 445_000, 1_000, "rows of the file")],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
