"""Receive the answer of a server in bounded memory, whatever the server sends."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import httpx

MAX_BODY_BYTES = 16 * 2**20
"""Bytes of an unpacked body at most. A completion of 100,000 tokens has less than 1 MiB."""

_ZLIB_OR_GZIP = 47
"""The window size by which zlib recognizes both formats."""


@dataclass(frozen=True)
class HttpAnswer:
    """An answer: its status, its unpacked body, and what is wrong with the body."""

    status: int
    phrase: str
    content: bytes
    fault: str
    """Why ``content`` is not the whole body; empty if it is."""

    retry_after: str


async def receive(response: httpx.Response) -> HttpAnswer:
    """Read a streamed response, at most ``MAX_BODY_BYTES`` of it.

    Raises:
        httpx.TransportError: the connection broke.
    """
    content = bytearray()
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    fault = ""
    try:
        unpack = _unpacker(encoding)
        async for chunk in response.aiter_raw():
            content += unpack(chunk, MAX_BODY_BYTES + 1 - len(content))
            if len(content) > MAX_BODY_BYTES:
                fault = f"a body of more than {MAX_BODY_BYTES // 2**20} MiB"
                break
    except zlib.error as error:
        fault = f"a body that is not {encoding} as its header says ({error})"
    except LookupError:
        fault = f"a body in the encoding {encoding}, which was not asked for"
    retry_after = response.headers.get("retry-after", "")
    return HttpAnswer(
        response.status_code, response.reason_phrase, bytes(content), fault, retry_after
    )


def _cut(chunk: bytes, max_bytes: int) -> bytes:
    return chunk[:max_bytes]


def _unpacker(encoding: str) -> Callable[[bytes, int], bytes]:
    """Return the function that unpacks the next chunk into at most so many bytes.

    Raises:
        LookupError: no such encoding is read here.
    """
    if encoding in {"", "identity"}:
        return _cut
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return zlib.decompressobj(_ZLIB_OR_GZIP).decompress
    raise LookupError(encoding)
