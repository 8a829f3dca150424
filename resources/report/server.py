"""Serve a report on this machine, and keep the marks of its readers in its home.

The server answers this machine alone. A web page of another origin can neither read nor write: its
requests carry the name of another host or origin.
"""

import io
import json
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl

from resources.report import DATA_FOLDER
from resources.storage.store import Store
from shepherd.label_formats import check_review

MARKS_FILE = "report_marks.jsonl"
"""The marks and notes of the readers of a served report, in its home."""

MAX_BODY_BYTES = 512 * 2**20
"""The largest request: a selection of all solutions of a page is smaller."""

_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript"}
_HOSTS = ("localhost", "127.0.0.1")


class RefusedError(ValueError):
    """A request that the server does not answer."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def report_server(report: Path, documents: Store, port: int) -> ThreadingHTTPServer:
    """Return a server of a report; ``serve_forever`` starts it. Port 0 chooses a free one.

    ``GET`` answers the page, its data files and the marks. ``PUT /marks`` replaces the marks among
    the home's ``documents``, and ``POST /selection.parquet`` returns rows of JSONL as Parquet.
    """
    handler = partial(_Handler, report, Marks(documents))
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


class Marks:
    """The marks of a home's readers, who may serve its report on several machines."""

    def __init__(self, documents: Store) -> None:
        self._documents = documents
        self._tag: str | None = None

    def read(self) -> bytes:
        """Return the marks of all readers."""
        blob = self._documents.get(MARKS_FILE)
        self._tag = blob.tag if blob else None
        return blob.data if blob else b""

    def write(self, marks: bytes) -> None:
        """Replace the marks that were read last.

        Raises:
            ValueError: another server has replaced them since.
        """
        if not self._documents.swap(MARKS_FILE, marks, self._tag):
            raise ValueError("another reader has changed the marks meanwhile: load the page again")
        blob = self._documents.get(MARKS_FILE)
        if blob and blob.data == marks:
            self._tag = blob.tag


class _Handler(BaseHTTPRequestHandler):
    """Answers a request; every answer is made whole before it is sent."""

    def __init__(self, report: Path, marks: Marks, *arguments: object) -> None:
        self._report, self._marks = report, marks
        super().__init__(*arguments)  # type: ignore[arg-type]  # as `socketserver` calls it

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_PUT(self) -> None:
        self._answer(self._put)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing for each request."""

    def _answer(self, method: Callable[[], tuple[str, bytes]]) -> None:
        try:
            self._check_origin()
            kind, body = method()
            status = HTTPStatus.OK
        except RefusedError as error:
            status, kind, body = error.status, "text/plain; charset=utf-8", str(error).encode()
        except ValueError as error:
            status, kind, body = HTTPStatus.BAD_REQUEST, "text/plain; charset=utf-8", b""
            body = str(error).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def _check_origin(self) -> None:
        assert isinstance(self.server, ThreadingHTTPServer)
        hosts = {f"{host}:{self.server.server_port}" for host in _HOSTS}
        origin = self.headers.get("Origin")
        is_own = origin is None or origin.removeprefix("http://") in hosts
        if self.headers.get("Host") not in hosts or not is_own:
            raise RefusedError(HTTPStatus.FORBIDDEN, "this report is served to its own page alone")

    def _get(self) -> tuple[str, bytes]:
        path = self.path.partition("?")[0]
        if path == "/marks":
            return "application/jsonl", self._marks.read()
        folder, _, name = path.strip("/").rpartition("/")
        file = self._report if path == "/" else self._report.with_name(DATA_FOLDER) / name
        is_data = folder == DATA_FOLDER and name.endswith(".js") and not name.startswith(".")
        if not (path == "/" or is_data) or not file.is_file():
            raise RefusedError(HTTPStatus.NOT_FOUND, f"{path}: no such file of the report")
        return _TYPES[file.suffix], file.read_bytes()

    def _put(self) -> tuple[str, bytes]:
        if self.path != "/marks":
            raise RefusedError(HTTPStatus.NOT_FOUND, f"{self.path}: cannot be written")
        body = self._body()
        for number, line in enumerate(body.splitlines(), start=1):
            try:
                check_review(json.loads(line))
            except ValueError as error:
                raise ValueError(f"marks: row {number}: {error}") from None
        self._marks.write(body)
        return "text/plain", b""

    def _post(self) -> tuple[str, bytes]:
        if self.path != "/selection.parquet":
            raise RefusedError(HTTPStatus.NOT_FOUND, f"{self.path}: cannot be made")
        try:
            rows = pl.read_ndjson(self._body(), infer_schema_length=None)
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"selection: no rows of JSON: {error}") from None
        parquet = io.BytesIO()
        rows.write_parquet(parquet)
        return "application/vnd.apache.parquet", parquet.getvalue()

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has {length or 'unknown'} bytes"
            )
        return self.rfile.read(int(length))
