"""The store of objects: a folder, and a bucket of a real S3 server, with faults before it."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from object_store import FaultProxy, fault_proxy, serve_objects

from resources.storage.object_store import ObjectStore, part_bytes
from resources.storage.store import FolderStore, OutOfReachError, Store, StoreError, open_store

NUM_WORKERS = 16


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_objects(tmp_path_factory.mktemp("seaweed")) as url:
        yield url


@pytest.fixture
def bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty prefix; the environment has the credentials."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return f"s3://bucket/{uuid.uuid4().hex}"


@pytest.fixture
def proxy(bucket: str, address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    with fault_proxy(address) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(str(tmp_path / "store"))
    return open_store(request.getfixturevalue("bucket"))


def test_objects_are_written_read_listed_and_deleted(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 50_000)
    store.put("a/one", b"1")
    store.put("a/one", b"first")
    store.put("a/b/two", file)
    assert store.put_new("ab", b"3")
    assert [(entry.key, entry.size) for entry in store.list("a")] == [
        ("a/b/two", 12_800_000),
        ("a/one", 5),
    ]
    assert len(store.list("")) == 3
    blob = store.get("a/one")
    assert blob is not None
    assert blob.data == b"first"
    assert store.get("a") is None
    assert store.get("nothing") is None
    head = store.head("a/one")
    assert head == next(entry for entry in store.list("a") if entry.key == "a/one")
    assert store.head("a") is None
    assert store.head("nothing") is None
    store.download("a/b/two", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == file.read_bytes()
    store.delete(["a/one", "a/b/two", "never"])
    assert [entry.key for entry in store.list("")] == ["ab"]


def test_an_object_is_created_once_and_replaced_by_its_tag_alone(store: Store) -> None:
    assert store.put_new("key", b"one")
    # An answer may be lost: what is there already counts as written.
    assert store.put_new("key", b"one")
    assert not store.put_new("key", b"two")
    first = store.get("key")
    assert first is not None
    assert store.swap("key", b"two", first.tag)
    assert not store.swap("key", b"three", first.tag)
    assert not store.swap("absent", b"three", first.tag)
    second = store.get("key")
    assert second is not None
    assert second.data == b"two"


def num_winners(write: Callable[[bytes], bool]) -> int:
    """Return how many of racing workers write their own bytes."""
    with ThreadPoolExecutor(NUM_WORKERS) as workers:
        return sum(workers.map(write, (b"of %d" % worker for worker in range(NUM_WORKERS))))


def test_of_racing_workers_one_creates_and_one_swaps(store: Store) -> None:
    # SeaweedFS lets racing creators wait for each other by the second.
    for number in range(1 if isinstance(store, ObjectStore) else 10):
        key = f"race/{number}"
        assert num_winners(partial(store.put_new, key)) == 1
        assert store.swap(key, b"again", tag_of(store, key))
        assert num_winners(partial(store.swap, key, tag=tag_of(store, key))) == 1


def tag_of(store: Store, key: str) -> str:
    blob = store.get(key)
    assert blob is not None
    return blob.tag


def test_a_failing_server_and_lost_answers_change_nothing(bucket: str, proxy: FaultProxy) -> None:
    store = ObjectStore(bucket, timedelta(seconds=20))
    proxy.faults = [("PUT", "503"), ("PUT", "lost"), ("PUT", "503"), ("GET", "503")]
    assert store.put_new("key", b"one")
    proxy.faults += [("PUT", "lost"), ("PUT", "lost"), ("PUT", "lost")]
    blob = store.get("key")
    assert blob is not None
    assert store.swap("key", b"two", blob.tag)
    assert not store.swap("key", b"three", blob.tag)
    after = store.get("key")
    assert after is not None
    assert after.data == b"two"
    assert proxy.faults == []


def test_a_store_that_is_down_ends_in_one_line(bucket: str, proxy: FaultProxy) -> None:
    store = ObjectStore(bucket, timedelta(seconds=0.2))
    store.put("key", b"one")
    proxy.is_down = True
    for request in (
        lambda: store.get("key"),
        lambda: store.put("key", b"two"),
        lambda: store.swap("key", b"two", None),
        lambda: store.list(""),
        lambda: store.delete(["key"]),
    ):
        with pytest.raises(
            OutOfReachError, match=r"^s3://\S+: the store does not answer \(.*"
        ) as e:
            request()
        assert "\n" not in str(e.value)
    proxy.is_down = False
    blob = store.get("key")
    assert blob is not None
    assert blob.data == b"one"


@pytest.mark.parametrize(
    ("key", "secret", "where", "message"),
    [
        ("key", "wrong", "bucket/x", "secret key is wrong: correct AWS_SECRET_ACCESS_KEY"),
        ("nobody", "secret", "bucket/x", "correct AWS_ACCESS_KEY_ID"),
        ("reader", "secret", "bucket/x", "do not allow this: let them read and write"),
        ("key", "secret", "none/x", "there is no such bucket"),
    ],
)
def test_refusals_say_what_to_do(
    bucket: str, monkeypatch: pytest.MonkeyPatch, key: str, secret: str, where: str, message: str
) -> None:
    open_store("s3://bucket").put("x/there", b"")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    store = open_store(f"s3://{where}")
    # SeaweedFS creates a bucket at the first write of an administrator.
    with pytest.raises(StoreError, match=message) as error:
        store.get("y") if where == "none/x" else store.put("y", b"")
    assert str(error.value).startswith(f"s3://{where}/y: ")
    if key != "reader":
        with pytest.raises(StoreError, match=message):
            store.list("")


def test_a_folder_that_cannot_be_written_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written: .*remove it, or choose another"):
        FolderStore(tmp_path / "file").put("key", b"")


class Generations(BaseHTTPRequestHandler):
    """Answers as Google's XML API: each write has a number, by which a swap names it."""

    objects: ClassVar[dict[str, tuple[int, bytes]]] = {}

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        present, _ = self.objects.get(self.path, (0, b""))
        expected = self.headers.get("x-goog-if-generation-match")
        if expected not in (None, str(present)):
            self.answer(412, b"")
            return
        self.objects[self.path] = (present + 7, body)
        self.answer(200, b"", present + 7)

    def do_GET(self) -> None:
        found = self.objects.get(self.path)
        self.answer(404, b"") if found is None else self.answer(200, found[1], found[0])

    def answer(self, status: int, body: bytes, generation: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Sat, 28 Nov 2026 08:00:00 GMT")
        self.send_header("ETag", f'"etag {generation}"')
        self.send_header("x-goog-generation", str(generation))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_google_swaps_by_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Generations)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    account = {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": ""}
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps({**account, "private_key_id": ""}))
    # An address without encryption is allowed for all stores.
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    try:
        store = open_store("gs://bucket/home")
        assert store.put_new("key", b"one")
        assert not store.put_new("key", b"two")
        first = store.get("key")
        assert first == (b"one", "7")
        assert store.swap("key", b"two", first.tag)
        assert not store.swap("key", b"three", first.tag)
        assert store.get("key") == (b"two", "14")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_large_objects_have_as_many_parts_as_a_store_takes() -> None:
    assert part_bytes(0) == part_bytes(2**30) == 5 * 2**20
    for size in (49 * 2**30, 4 * 2**40):
        assert -(-size // part_bytes(size)) <= 10_000
