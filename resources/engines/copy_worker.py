"""The process that draws with one copy of a model: ``python -m resources.engines.copy_worker FD``.

It receives ``("open", model, engine settings as JSON)``, which it answers by None or by the reason
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

from resources.engines import open_local
from resources.engines.new_weights import ReloadableEngine, StoredWeights
from shepherd.requests import REQUESTS, Completion, completion_rows
from shepherd.settings import EngineSettings

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
            _, model, settings = message
            try:
                engine = open_local(EngineSettings.model_validate_json(settings), model)
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
            # With the processes of vLLM, which do not notice that this one ends.
            os.killpg(0, signal.SIGKILL)


def _draw(
    engine: ReloadableEngine,
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
