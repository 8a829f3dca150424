import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from resources.files.hub import hub_refusal
from resources.storage import model_store as models
from resources.storage.model_store import ModelStore, check_hub
from resources.storage.model_versions import VERSIONS
from tests.versions import versions


def test_a_model_is_there_once_it_is_written(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    with pytest.raises(ValueError, match="materialize the asset weak first"):
        store.path("weak")
    assert store.save("weak", lambda folder: (folder / "config.json").write_text("one")) == 3
    store.save("weak", lambda folder: (folder / "config.json").write_text("two"))
    assert (store.path("weak") / "config.json").read_text() == "two"
    assert sorted(path.name for path in store.root.iterdir()) == [VERSIONS, "weak"]


def test_a_failed_training_leaves_the_model_of_before(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)

    def interrupted(folder: Path) -> None:
        (folder / "config.json").write_text("half")
        raise KeyboardInterrupt

    store.save("weak", lambda folder: (folder / "config.json").write_text("one"))
    with pytest.raises(KeyboardInterrupt):
        store.save("weak", interrupted)
    assert (store.path("weak") / "config.json").read_text() == "one"
    assert versions(store) == [store.path("weak").name]


@pytest.mark.parametrize("name", ["..", "a/b", ".a", ""])
def test_a_model_name_never_becomes_another_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="must match"):
        ModelStore(tmp_path).path(name)


def test_a_base_is_shipped_or_local_or_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, local = tmp_path / "shipped", tmp_path / "checkpoint"
    (shipped / "base-small").mkdir(parents=True)
    local.mkdir()
    monkeypatch.setattr(models, "BASE_MODELS", shipped)
    store = ModelStore(tmp_path / "models")
    assert store.resolve("base-small") == shipped / "base-small"
    assert store.resolve(str(local)) == local
    assert store.resolve("owner/model-7b") == "owner/model-7b"
    for wrong in ("base-smal", "../shipped", "./absent/model", "", "/absent/model"):
        with pytest.raises(ValueError, match=r"neither a shipped model \(base-small\)"):
            store.resolve(wrong)
    assert store.resolve("base-small", is_served=True) == shipped / "base-small"
    assert store.resolve("llama3:70b", is_served=True) == "llama3:70b"


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does for models by these names."""

    def do_HEAD(self) -> None:
        status, code = {
            "gated": (403, "GatedRepo"),
            "absent": (404, "RepoNotFound"),
            "other": (404, "EntryNotFound"),
            "broken": (500, ""),
            "open": (200, ""),
        }[self.path.split("/resolve/")[0].rpartition("/")[2]]
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", '"etag"')
        self.send_header("Content-Length", "2")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def set_hub(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    place = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + place)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", 0), Hub) as server:
        set_hub(monkeypatch, f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gated", "accepted its licence there: set HF_TOKEN"),
        ("absent", "no such model, or not for you"),
        ("other", r"has no config\.json: correct its name"),
        ("broken", r"out of reach \(.*500"),
    ],
)
def test_what_the_hub_does_not_give_is_one_line(hub: None, name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        check_hub(f"owner/{name}")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"base 'owner/{name}': ")
    assert message.endswith("or set `base` in the profile to a local folder")


def test_a_model_that_the_hub_gives_or_that_lies_here_is_fine(hub: None, tmp_path: Path) -> None:
    check_hub("owner/open")
    check_hub(tmp_path)
    assert hub_refusal("owner/open", "README.md", "dataset") is None
    refusal = hub_refusal("owner/absent", "README.md", "dataset")
    assert str(refusal).startswith("the hub has no such dataset")


def test_a_hub_out_of_reach_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    set_hub(monkeypatch, "http://127.0.0.1:9")
    # The hub's own client would sleep between its retries.
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(ValueError, match=r"the hub is out of reach .*set HF_HOME"):
        check_hub("owner/model")
    assert pauses == []
    assert capfd.readouterr() == ("", "")
