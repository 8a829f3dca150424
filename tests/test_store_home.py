"""A home in a bucket of a real server: a worker that stops and wakes, imports, refusals, a run."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from object_store import serve_objects
from small_lake import small_lake
from test_commits import AT, Machine
from test_label_files import row

from benchmarks.compare_homes import compare_lakes, compare_models
from cli.app import main
from resources.files.rows import read_rows
from resources.storage import leases
from resources.storage.home import Home
from resources.storage.model_store import ModelStore
from resources.storage.object_store import ObjectStore
from resources.storage.store import Entry, open_store
from resources.user_paths import expanded
from shepherd.schemas import PROBLEMS

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_objects(tmp_path_factory.mktemp("seaweed")) as url:
        yield url


@pytest.fixture
def address(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The address of an empty home; the environment has the credentials."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("SHEPHERD_CACHE", str(tmp_path / "cache"))
    open_store("s3://bucket").put("exists", b"")
    return f"s3://bucket/{uuid.uuid4().hex}"


ZOMBIE = """
import sys, time
# The clock of this machine is five minutes ahead.
time.time = lambda now=time.time: now() + 300
time.time_ns = lambda now=time.time_ns: now() + 300_000_000_000
from pathlib import Path
from resources.storage import leases
from resources.storage.store import open_store
from tests.test_commits import AT, PROBLEMS, Machine, small_lake
leases.SECONDS_BETWEEN_RENEWALS = 0.1
machine = Machine(open_store(sys.argv[1]), Path(sys.argv[2]))
with machine.mirror.holding("problems/words/00", machine.paths, "draws problems"):
    print("holds", flush=True)
    sys.stdin.read()
    machine.lake.write(PROBLEMS, small_lake()["problems"], *AT)
"""


@pytest.mark.slow
def test_a_stopped_process_with_a_wrong_clock_cannot_commit_when_it_wakes(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SECONDS_UNTIL_EXPIRED", 2.0)
    rows = small_lake()["problems"].head(4)
    machine = Machine(open_store(address), tmp_path / "machine")
    zombie = subprocess.Popen(
        [sys.executable, "-c", ZOMBIE, address, tmp_path / "zombie"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert zombie.stdout is not None
        assert zombie.stdout.readline() == "holds\n"
        with ThreadPoolExecutor() as workers:
            label = workers.submit(machine.label, rows)
            time.sleep(3)
            assert not label.done()
            zombie.send_signal(signal.SIGSTOP)
            assert label.result(60) == "written"
        zombie.send_signal(signal.SIGCONT)
        _, errors = zombie.communicate("", timeout=60)
    finally:
        zombie.kill()
        zombie.wait()
    last = errors.splitlines()[-1]
    assert "LeaseLostError" in last
    assert "another worker has taken the lease over" in last
    assert machine.lake.read(PROBLEMS, *AT).equals(rows)


def test_files_of_problems_are_imported_from_a_bucket(address: str, tmp_path: Path) -> None:
    store = open_store(address)
    store.put("files/train.jsonl", b'{"question": "1 + 1?", "answer": "2"}\n')
    store.put("files/train.jsonl.old", b"no JSON")
    store.put("math/algebra/1.json", b"{}")
    store.put("math/algebra/2.json", b"{}")
    path = expanded(f"{address}/files/train.jsonl")
    [line] = read_rows(path, "datasets.words.train")
    assert line.parse() == {"question": "1 + 1?", "answer": "2"}
    assert expanded(f"{address}/files/train.jsonl") == path
    store.put("files/train.jsonl", b'{"question": "1 + 2?", "answer": "3"}\n')
    assert expanded(f"{address}/files/train.jsonl") != path
    folder = expanded(f"{address}/math")
    assert sorted(file.name for file in folder.rglob("*.json")) == ["1.json", "2.json"]
    with pytest.raises(ValueError, match=r"none\.csv: no such file or folder in the store"):
        expanded(f"{address}/files/none.csv")


def test_labels_and_solutions_are_read_from_a_bucket(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bucket, listed, list_all = open_store("s3://bucket"), list[str](), ObjectStore.list

    def list_(self: ObjectStore, folder: str) -> list[Entry]:
        listed.append(folder)
        return list_all(self, folder)

    monkeypatch.setattr(ObjectStore, "list", list_)
    labels, imported = "\n".join([row(1), row(2)]) + "\n", tmp_path / "imported"
    bucket.put("labels.jsonl", labels.encode())
    published = ["--annotator", "published", "--format", "math_shepherd", "--out", str(imported)]
    assert main(["labels", "import", "s3://bucket/labels.jsonl", *published]) == 0
    # A file at the root of a bucket is found without a list of all that is in it.
    assert listed == []
    for path in imported.rglob("*.parquet"):
        bucket.put(f"labels/{path.relative_to(imported)}", path)
    out = tmp_path / "out"
    to_folder = ["--format", "math_shepherd", "--out", str(out)]
    assert main(["export", "s3://bucket/labels", *to_folder]) == 0
    assert (out / "train.jsonl").read_text() == labels
    assert listed == ["labels"]
    bucket.put("solutions.jsonl", b"{}\n")
    capsys.readouterr()
    assert main(["score", "--model", "none", "s3://bucket/solutions.jsonl"]) == 2
    assert "solutions.jsonl line 1: question" in capsys.readouterr().err
    assert main(["export", "--format", "math_shepherd", "--out", "s3://bucket/out"]) == 2
    assert "--out s3://bucket/out: is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "the secret key is wrong: correct AWS_SECRET_ACCESS_"),
        ("AWS_ACCESS_KEY_ID", "reader", "the credentials do not allow this: let them read and wr"),
    ],
)
def test_a_home_that_refuses_ends_a_run_in_one_line(
    address: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    value: str,
    message: str,
) -> None:
    monkeypatch.setenv(variable, value)
    options = ["--home", address, "--dagster-home", str(tmp_path / "dagster")]
    assert main(["run", "--profile", "tiny", *options]) == 2
    error = capfd.readouterr().err
    assert error.startswith(f"error: {address}/")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_a_run_in_a_bucket_gives_the_rows_of_a_run_in_a_folder(
    address: str, tmp_path: Path
) -> None:
    dagster = tmp_path / "dagster"

    def run(home: str, *options: str) -> str:
        command = [sys.executable, "-m", "cli", "run", "--profile", "tiny", "--home", home]
        environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
        done = subprocess.run(
            [*command, *options],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(str(tmp_path / "local"))
    run(address, "--dagster-home", str(dagster))
    assert not open_store(address).list("journals")
    # Another machine has nothing but the address and Dagster's databases.
    home = Home.at(address)
    shutil.rmtree(home.root)
    assert "never made" not in run(address, "--dagster-home", str(dagster))
    home.files.fetch(home.files.below(home.lake))
    for model in ("generator", "completer", "process_reward_model", "step_ppo"):
        ModelStore(home.models, home.files).path(model)
    local = Home(tmp_path / "local")
    results = compare_lakes(local.lake, home.lake)
    assert len(results) > 20
    assert [result for result in results if not result.met] == []
    models = {result.name: result.met for result in compare_models(local.models, home.models)}
    assert models["model step_ppo"]
    assert models["model process_reward_model"]
