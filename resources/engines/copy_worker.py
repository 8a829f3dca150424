"""The process that draws with one copy of a model: ``python -m resources.engines.copy_worker FD``.

It receives ``("open", checkpoint, batch size, dtype)``, which it answers by None or by the reason
why it cannot; ``("load", folder of weights)``, which it answers by None; ``("add", rows of
REQUESTS)``; and ``("close",)``. It sends lists of completions.
"""

import os
import queue
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import polars as pl

from resources.engines.new_weights import StoredWeights
from resources.engines.transformers import TransformersEngine
from shepherd.requests import REQUESTS, Completion, completion_rows

SECONDS_BETWEEN_SENDS = 0.05
"""Completions of that time go in one message: each costs both sides some time."""


def main() -> None:
    """Draw until the parent closes the connection."""
    # The parent ends its copies when it is interrupted.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(int(sys.argv[1]))
    messages: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, messages), daemon=True).start()
    while True:
        message = messages.get()
        if message[0] == "open":
            _, model, batch_size, dtype = message
            try:
                engine = TransformersEngine(model, batch_size=batch_size, dtype=dtype, device="cpu")
            except ValueError as error:
                connection.send(str(error))
                continue
            connection.send(None)
            _draw(engine, connection, messages)


def _receive(connection: Connection, messages: "queue.SimpleQueue[tuple[Any, ...]]") -> None:
    """Pass messages on while the engine draws; end the process with the parent."""
    while True:
        try:
            messages.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)


def _draw(
    engine: TransformersEngine,
    connection: Connection,
    messages: "queue.SimpleQueue[tuple[Any, ...]]",
) -> None:
    """Draw what is added until the engine is to be closed."""
    num_running = 0
    pending: list[Completion] = []
    sent = time.monotonic()
    while True:
        while not num_running or not messages.empty():
            message = messages.get()
            if message[0] == "close":
                engine.close()
                return
            if message[0] == "load":
                engine.load_weights(StoredWeights(Path(message[1])))
                connection.send(None)
                continue
            engine.add(pl.DataFrame(message[1], schema=REQUESTS, orient="row"))
            num_running += len(message[1])
        finished = list(completion_rows(engine.poll()))
        num_running -= len(finished)
        pending += finished
        now = time.monotonic()
        if not num_running or now - sent > SECONDS_BETWEEN_SENDS:
            connection.send(pending)
            pending, sent = [], now


if __name__ == "__main__":
    main()
