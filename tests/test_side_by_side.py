"""Copies of a small model that draw side by side, in processes."""

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import torch
from blocks import add, drain, poll
from tiny_checkpoint import rollouts, save_checkpoint

from resources.engines import copy_processes, gpus, open_engine, side_by_side
from resources.engines.gpus import gpus_of_copies
from resources.engines.prefix_queue import home_of
from resources.engines.side_by_side import SideBySideEngine, _num_copies
from resources.engines.transformers import TransformersEngine
from resources.sampling import stage
from shepherd.requests import Completion, Request
from shepherd.settings import EngineSettings, ModelSettings
from training.tokenizer import build_tokenizer

CPU, GPU = torch.device("cpu"), torch.device("cuda")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("model"), "llama", build_tokenizer())


@pytest.fixture(scope="module", autouse=True)
def _no_process_stays() -> Iterator[None]:
    yield
    copy_processes.end_idle_processes()


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(side_by_side, "_num_cores", lambda: 2)


def settings(batch_size: int, **fields: object) -> EngineSettings:
    fields = {"dtype": "float32", "device": "cpu", "batch_size": batch_size} | fields
    return EngineSettings.model_validate(fields)


def two(checkpoint: Path) -> SideBySideEngine:
    return SideBySideEngine(checkpoint, settings(6), [ONE_THREAD] * 2)


@pytest.mark.slow
def test_copies_draw_what_one_process_draws(checkpoint: Path) -> None:
    requests = rollouts(temperature=1.0)
    alone = TransformersEngine(checkpoint, batch_size=6, dtype="float32", device="cpu")
    add(alone, requests)
    expected = drain(alone)
    engine = two(checkpoint)
    started = time.perf_counter()
    add(engine, requests[:7])
    completions = poll(engine)
    add(engine, requests[7:])
    completions |= drain(engine)
    elapsed = time.perf_counter() - started
    assert not poll(engine)
    # A prompt that was drawn to its end is read again for later requests.
    own = {"seconds": 0.0, "cached_tokens": 0}
    assert {i: c._replace(**own) for i, c in completions.items()} == {
        i: c._replace(**own) for i, c in expected.items()
    }
    assert 0.5 * elapsed < sum(c.seconds for c in completions.values()) <= elapsed
    processes = {id(copy.process) for copy in engine._copies}
    engine.close()
    with closing(two(checkpoint)) as again:
        assert {id(copy.process) for copy in again._copies} == processes
        add(again, requests[:3])
        assert {i: c.text for i, c in drain(again).items()} == {
            r.id: expected[r.id].text for r in requests[:3]
        }


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no checkpoint that can be read") as caught:
        SideBySideEngine(tmp_path, settings(4), [ONE_THREAD])
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_killed_copy_ends_the_stage_in_one_line(checkpoint: Path) -> None:
    engine = SideBySideEngine(checkpoint, settings(4), [ONE_THREAD])
    copy = engine._copies[0].process
    os.kill(copy._process.pid, signal.SIGKILL)
    copy._process.wait()
    with pytest.raises(ValueError, match="was ended"):
        add(engine, rollouts(temperature=1.0))
    engine.close()
    assert copy not in copy_processes._idle


@pytest.mark.slow
def test_an_idle_process_that_was_killed_is_replaced(checkpoint: Path) -> None:
    first = two(checkpoint)
    killed = first._copies[0].process
    first.close()
    os.kill(killed._process.pid, signal.SIGKILL)
    killed._process.wait()
    with closing(two(checkpoint)) as again:
        add(again, rollouts(temperature=1.0)[:4])
        assert len(drain(again)) == 4
    kept = two(checkpoint)
    os.kill(kept._copies[1].process._process.pid, signal.SIGKILL)
    # It has nothing to draw: the engine is closed as asked.
    kept.close()


@pytest.mark.usefixtures("two_cores")
def test_small_models_are_copied_to_each_core(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _num_copies(checkpoint, 512, CPU) == 2
    assert _num_copies(checkpoint, 100, CPU) == 1, "two batches would be small"
    assert _num_copies(checkpoint, 512, GPU) == 1
    assert _num_copies("owner/model", 512, CPU) == 1
    with monkeypatch.context() as patch:
        patch.setattr(side_by_side, "SMALL_BYTES", 1000)
        assert _num_copies(checkpoint, 512, CPU) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert _num_copies(checkpoint, 512, CPU) == 1


@pytest.mark.usefixtures("two_cores")
def test_the_profile_need_not_ask_for_copies(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[object, ...]] = []

    class Noted(SideBySideEngine):
        def __init__(
            self, model: Path | str, settings: EngineSettings, copies: Sequence[Mapping[str, str]]
        ) -> None:
            opened.append((model, settings.batch_size, copies))

    monkeypatch.setattr(side_by_side, "SideBySideEngine", Noted)
    open_engine(settings(512), checkpoint)
    assert opened == [(checkpoint, 512, [ONE_THREAD] * 2)]


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000\n", 4), ("250000 100000\n", 2), ("50000 100000\n", 1)]
)
def test_a_container_has_the_cores_of_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    path = tmp_path / "cpu.max"
    monkeypatch.setattr(side_by_side, "CPU_LIMIT", path)
    assert side_by_side._num_cores() == 4
    path.write_text(limit)
    assert side_by_side._num_cores() == cores


class Recorded:
    """A process that records what it is sent, and finishes what it is told to."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.finished: list[str] = []

    @property
    def connection(self) -> "Recorded":
        return self

    def send(self, message: tuple[object, ...]) -> None:
        if message[0] == "add":
            assert isinstance(message[1], list)
            self.requests += [row[0] for row in message[1]]

    def receive_done(self) -> None:
        """Answer that the engine is open."""

    def receive_completions(self) -> list[Completion]:
        finished, self.finished = self.finished, []
        return [Completion(i, "a", "stop", 5, 0, 3, 0.0) for i in finished]


def nested(question: str, num_prompts: int, num_rollouts: int) -> list[Request]:
    """Return rollouts of prompts of which each begins the next."""
    return [
        Request(f"{p}/{k}", f"{question}{'step ' * p}", k, 1.0, 9, prefix_length=5 * p)
        for p in range(num_prompts)
        for k in range(num_rollouts)
    ]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """The processes of the next engine of two copies."""
    recorded = [Recorded(), Recorded()]
    lent = iter(recorded)
    monkeypatch.setattr(side_by_side, "borrow", lambda _: next(lent))
    return recorded


def test_a_question_stays_with_one_copy_and_idle_copies_take_over_whole_prompts(
    processes: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        side_by_side, "wait", lambda connections: [c for c in connections if c.finished]
    )
    engine = SideBySideEngine("model", settings(8), [ONE_THREAD] * 2)
    homes = {"0": processes[0], "1": processes[1]}
    question = "question 0\n"
    home = homes.pop(home_of(question, ["0", "1"]))
    [other] = homes.values()
    # Three prompts of one question, four requests each, and four rows in each copy.
    add(engine, nested(question, 3, 4))
    # Its home has six: as many as run at once and a half. The other takes the last prompt.
    assert home.requests == ["0/0", "0/1", "0/2", "0/3", "1/0", "1/1"]
    assert other.requests == ["2/0", "2/1", "2/2", "2/3"]
    home.finished = ["0/1", "0/2", "0/0", "0/3"]
    assert len(poll(engine)) == 4
    # Of eight that are left, each has its share.
    assert home.requests[6:] == ["1/2", "1/3"]


def test_no_copy_idles_where_one_question_has_all_requests(processes: list[Recorded]) -> None:
    engine = SideBySideEngine("model", settings(200), [ONE_THREAD] * 2)
    add(engine, nested("question 0\n", 2, 3))
    assert [len(process.requests) for process in processes] == [3, 3]


def test_each_copy_of_vllm_has_gpus_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpus_of_copies(2, 1) == [{}, {}], "without GPUs they share the CPU"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    assert gpus_of_copies(2, 2) == [{gpus.VISIBLE: "0,1"}, {gpus.VISIBLE: "2,3"}]
    monkeypatch.setenv(gpus.VISIBLE, "7,5,3,-1,2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert gpus_of_copies(3, 1) == [{gpus.VISIBLE: name} for name in "753"]
    with pytest.raises(ValueError, match=r"2 copies on 2 GPUs each need 4, and 3 are here: lower"):
        gpus_of_copies(2, 2)


def test_a_model_draws_on_the_gpus_that_it_names(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[EngineSettings] = []

    def note(settings: EngineSettings, *_: object, **__: object) -> SideBySideEngine:
        opened.append(settings)
        raise ValueError("no vLLM")

    monkeypatch.setattr(stage, "open_engine", note)
    all_gpus = settings(8, kind="vllm", vllm={"tensor_parallel_size": 4, "max_model_len": 64})
    for placement in ({"copies": 4}, None):
        model = ModelSettings.model_validate({"base": "m", "vllm": placement})
        drawn = stage.completion_model_of("generator", model, checkpoint, all_gpus)
        with pytest.raises(ValueError, match="no vLLM"):
            drawn.open_engine()
    placed, as_it_is = (each.vllm for each in opened)
    assert (placed.copies, placed.num_gpus, placed.max_model_len) == (4, 1, 64)
    assert (as_it_is.copies, as_it_is.num_gpus_of_all) == (1, 4)
