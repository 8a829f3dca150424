"""The process that draws with one copy of a model: ``python -m resources.engines.copy_worker FD``.

It receives ``("open", model, engine settings as JSON)``, which it answers by None or by the reason
why it cannot; ``("load", folder of weights)`` and ``("close",)``, which it answers by None; and
``("add", rows of REQUESTS)``. It sends lists of completions.
"""

import os
import queue
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from resources.engines import open_local
from resources.engines.new_weights import ReloadableEngine, StoredWeights
from shepherd.requests import REQUESTS, completion_rows
from shepherd.settings import EngineSettings

SECONDS_BETWEEN_SENDS = 0.05
"""Completions of that time go in one message: each costs both sides some time."""


Messages: TypeAlias = "queue.SimpleQueue[Any]"
"""Messages have different parts; completions and answers go back."""


def main() -> None:
    """Draw until the parent closes the connection."""
    connection = Connection(int(sys.argv[1]))
    # A forked process of vLLM would keep it open: the parent would not notice the end of this one.
    os.register_at_fork(after_in_child=connection.close)
    messages: Messages = queue.SimpleQueue()
    answers: Messages = queue.SimpleQueue()
    for work, items in ((_receive, messages), (_send, answers)):
        threading.Thread(target=work, args=(connection, items), daemon=True).start()
    while True:
        message = messages.get()
        if message[0] == "open":
            _, model, settings = message
            try:
                engine = open_local(EngineSettings.model_validate_json(settings), model)
            except ValueError as error:
                answers.put(str(error))
                continue
            answers.put(None)
            _draw(engine, messages, answers)
            answers.put(None)


def _receive(connection: Connection, messages: Messages) -> None:
    """Pass messages on while the engine draws; end the process with the parent."""
    while True:
        try:
            messages.put(connection.recv())
        except (EOFError, OSError):
            # With the processes of vLLM, which do not notice that this one ends.
            os.killpg(0, signal.SIGKILL)


def _send(connection: Connection, answers: Messages) -> None:
    """Send answers, and completions of some time together."""
    while True:
        answer = answers.get()
        if isinstance(answer, list):
            time.sleep(SECONDS_BETWEEN_SENDS)
            while not answers.empty():
                # Nothing else is asked while requests are unfinished.
                answer += answers.get()
        connection.send(answer)


def _draw(engine: ReloadableEngine, messages: Messages, answers: Messages) -> None:
    """Draw what is added until the engine is to be closed; close it."""
    num_running = 0
    while True:
        while not num_running or not messages.empty():
            message = messages.get()
            if message[0] == "close":
                engine.close()
                return
            if message[0] == "load":
                engine.load_weights(StoredWeights(Path(message[1])))
                answers.put(None)
                continue
            engine.add(pl.DataFrame(message[1], schema=REQUESTS, orient="row"))
            num_running += len(message[1])
        finished = list(completion_rows(engine.poll()))
        num_running -= len(finished)
        answers.put(finished)


if __name__ == "__main__":
    main()
