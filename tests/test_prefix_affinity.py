"""Prompts of one prefix go to one server while it has room."""

from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing

import pytest
from blocks import add, drain
from planned_server import Server, settings

from resources.engines.openai import OpenAIEngine
from resources.engines.prefix_queue import PrefixQueue, home_of
from shepherd.requests import Request

pytestmark = pytest.mark.usefixtures("fast_retries")

Serve = Callable[..., Server]
URLS = ("http://a/v1", "http://b/v1", "http://c/v1", "http://d/v1")


def rollouts(questions: int, prefixes: int, repeats: int, begin: int = 0) -> list[Request]:
    """Return the requests of a stage: each prefix of each question, ``repeats`` times."""
    texts = [
        (f"question {question}\n", "step\n" * prefix)
        for question in range(begin, begin + questions)
        for prefix in range(1, prefixes + 1)
    ]
    return [
        Request(f"{question}{prefix}{k}", question + prefix, k, 0.7, 5, prefix_length=len(prefix))
        for question, prefix in texts
        for k in range(repeats)
    ]


def servers_of(servers: list[Server]) -> dict[str, set[str]]:
    """Return the servers that were asked each prompt."""
    asked = defaultdict(set)
    for server in servers:
        for body in server.asked:
            asked[body["prompt"]].add(server.url)
    return asked


def test_a_question_has_one_home_and_a_new_server_takes_only_its_share() -> None:
    homes = {f"q{n}": home_of(f"q{n}", URLS[:3]) for n in range(3000)}
    assert all(900 < count < 1100 for count in Counter(homes.values()).values())
    moved = {q: home_of(q, URLS) for q in homes if home_of(q, URLS) != homes[q]}
    assert set(moved.values()) == {URLS[3]}
    assert 650 < len(moved) < 850
    assert homes == {q: home_of(q, URLS[2::-1]) for q in homes}


def test_a_server_without_waiting_requests_takes_over_a_whole_prompt_of_the_longest_queue() -> None:
    waiting = PrefixQueue()
    home = home_of("question 0\n", URLS)
    other = next(url for url in URLS if url != home)
    for request in rollouts(questions=1, prefixes=3, repeats=2):
        waiting.put(request, URLS)
    assert waiting.waits_for(home)
    assert not waiting.waits_for(other)
    taken = [waiting.take(url).prefix.count("step") for url in (home, other, other, home, home)]
    assert taken == [1, 3, 3, 1, 2]
    assert waiting.take(other).prefix.count("step") == 2
    assert not any(map(waiting.waits_for, URLS))


def test_all_prefixes_of_a_question_go_to_one_server_while_it_has_room(serve: Serve) -> None:
    servers = [serve(seconds=0.02) for _ in range(3)]
    with closing(OpenAIEngine("m", settings(*servers), batch_size=12)) as engine:
        for question in range(6):
            add(engine, rollouts(1, prefixes=2, repeats=4, begin=question))
            drain(engine)
    asked = servers_of(servers)
    questions = {prompt.split("\n")[0] for prompt in asked}
    assert len(questions) == 6
    for question in questions:
        used = {url for prompt, urls in asked.items() if question in prompt for url in urls}
        assert used == {home_of(f"{question}\n", [server.url for server in servers])}
    assert sum(bool(server.asked) for server in servers) > 1


def test_full_servers_share_the_work_and_few_prompts_are_at_two(serve: Serve) -> None:
    servers = [serve(seconds=0.02) for _ in range(3)]
    with closing(OpenAIEngine("m", settings(*servers), batch_size=4)) as engine:
        asked = rollouts(questions=15, prefixes=4, repeats=4)
        add(engine, asked)
        assert len(drain(engine)) == len(asked)
    assert [server.most_at_once for server in servers] == [4, 4, 4]
    assert min(len(server.asked) for server in servers) > 0.8 * len(asked) / 3
    # A first-come queue sent all 60 prompts to several servers.
    assert sum(len(urls) > 1 for urls in servers_of(servers).values()) <= 9


def test_others_serve_the_prompts_of_a_dead_server(serve: Serve) -> None:
    servers = [serve(), serve(), serve()]
    servers[0].stop()
    with closing(OpenAIEngine("m", settings(*servers), batch_size=4)) as engine:
        add(engine, rollouts(questions=12, prefixes=2, repeats=2))
        assert {one.finish_reason for one in drain(engine).values()} == {"stop"}
    assert all(server.asked for server in servers[1:])


def test_a_retry_goes_to_another_server(serve: Serve) -> None:
    # Two failures leave the circuit closed, and the home has room.
    home_fails = {"left": 2}

    def fault(_: object) -> tuple[int, dict[str, str], bytes] | None:
        if not home_fails["left"]:
            return None
        home_fails["left"] -= 1
        return 503, {}, b"busy"

    servers = [serve(fault), serve(fault)]
    [request] = rollouts(1, 1, 1)
    with closing(OpenAIEngine("m", settings(*servers), batch_size=4)) as engine:
        add(engine, [request])
        drain(engine)
    home = home_of(request.question, [server.url for server in servers])
    assert {server.url: len(server.asked) for server in servers}[home] == 2
    assert sum(len(server.asked) for server in servers) == 3
