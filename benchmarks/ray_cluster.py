"""Run Ray nodes on this machine, each with a network, a name and processes of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.cluster import ROOT

SECONDS_TO_START = 300.0
"""The longest time in which a node starts, on a busy machine."""

STARTS = 3
"""How often a node is started: on a busy machine a raylet may give up its own parts."""

PATIENCE = {
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": f"{SECONDS_TO_START:.0f}",
    "RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT": f"{SECONDS_TO_START:.0f}",
    "RAY_raylet_start_wait_time_s": f"{SECONDS_TO_START:.0f}",
    "RAY_agent_register_timeout_ms": f"{SECONDS_TO_START * 1000:.0f}",
}
"""Ray's own limits for its parts to start. They say nothing of when a node is given up."""

AGENT_PORTS = (
    *("--dashboard-agent-grpc-port=50001", "--metrics-export-port=50002"),
    *("--runtime-env-agent-port=50003", "--dashboard-agent-listen-port=50004"),
)
"""Each node has its own. A raylet that does not know them waits for a fixed time, and aborts."""

DASHBOARD_PORT, CLUSTER_PORT = 8265, 6379

NODE = """
set -e
hostname "$NAME"
ip link add eth0 type veth peer name "$CABLE" netns "$OUTSIDE"
nsenter --target "$OUTSIDE" --net ip link set "$CABLE" master "$BRIDGE" up
ip address add "$ADDRESS/24" dev eth0
ip link set lo up
ip link set eth0 up
exec unshare --pid --fork --kill-child --mount-proc "$@"
"""
"""Joins a new network to a bridge, then runs a command as the first of its processes."""


@dataclass(frozen=True)
class Network:
    """A bridge to which nodes are joined, and through which they reach this machine."""

    bridge: str
    subnet: str
    """The first three bytes of all addresses."""

    @property
    def host(self) -> str:
        """The address of this machine."""
        return f"{self.subnet}.1"


@contextmanager
def network() -> Iterator[Network]:
    """Add a bridge to this machine, which needs root; it is removed at the end.

    Its addresses are among those that RFC 2544 reserves for benchmarks.
    """
    made = Network(f"ray{os.getpid()}", f"198.18.{os.getpid() % 256}")
    _ip("link", "add", made.bridge, "type", "bridge")
    try:
        _ip("address", "add", f"{made.host}/24", "dev", made.bridge)
        _ip("link", "set", made.bridge, "up")
        yield made
    finally:
        _ip("link", "delete", made.bridge)


@dataclass(frozen=True)
class Node:
    """A node of Ray. Its first process ends with ``process``, and so do all others."""

    name: str
    address: str
    log: Path
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """Kill all processes of the node at once."""
        self.process.kill()
        self.process.wait()


@contextmanager
def node(
    joined: Network, number: int, variables: Mapping[str, str], log: Path, *arguments: str
) -> Iterator[Node]:
    """Run ``ray start`` on a node of its own, with variables and arguments."""
    name, address = f"node{number}", f"{joined.subnet}.{10 + number}"
    own = {
        "NAME": name,
        "ADDRESS": address,
        "BRIDGE": joined.bridge,
        "CABLE": f"{joined.bridge}n{number}",
        "OUTSIDE": str(os.getpid()),
    }
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
    flags = [f"--node-ip-address={address}", "--object-store-memory=100000000", *AGENT_PORTS]
    # If this process is killed, the node ends, too.
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--net",
        "--uts",
        "sh",
        "-c",
        NODE,
        "sh",
        *ray,
        *flags,
        *arguments,
    ]
    with log.open("w") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **PATIENCE, **variables, **own},
            stdout=file,
            stderr=file,
        )
    started = Node(name, address, log, process)
    try:
        yield started
    finally:
        started.kill()


@contextmanager
def cluster(joined: Network, folder: Path, num_workers: int) -> Iterator[dict[str, Node]]:
    """Run a head without a place for runs, and workers with one each; yield the nodes by name.

    Each has a folder of copies of its own (``SHEPHERD_CACHE``). Their logs are in the folder.

    Raises:
        ValueError: a node does not start.
    """
    # Not in the folder: paths of sockets have at most 107 characters.
    with ExitStack() as stack, TemporaryDirectory(prefix="ray-") as session:
        nodes: dict[str, Node] = {}

        def start(number: int, *arguments: str) -> Node:
            variables = {"SHEPHERD_CACHE": str(folder / f"cache-{number}")}
            log = folder / f"node-{number}.log"
            for _ in range(STARTS):
                started = stack.enter_context(node(joined, number, variables, log, *arguments))
                nodes[started.name] = started
                if _joins(started, nodes["node0"], 1 + number):
                    return started
                started.kill()
            lines = log.read_text().split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "its log is empty")
            raise ValueError(f"Ray does not start here: {last.strip()}")

        head = start(
            0,
            *("--head", f"--port={CLUSTER_PORT}", "--num-cpus=0", "--disable-usage-stats"),
            *("--include-dashboard=true", f"--dashboard-port={DASHBOARD_PORT}"),
            *("--dashboard-host=0.0.0.0", f"--temp-dir={session}"),
        )
        # One after another: they name their sockets in the folder of the session by what is there.
        for number in range(1, 1 + num_workers):
            start(number, f"--address={head.address}:{CLUSTER_PORT}", "--num-cpus=1")
        try:
            yield nodes
        finally:
            # The folder of the session is removed after its writers.
            stack.close()


def dashboard_of(head: Node) -> str:
    """Return where jobs are sent."""
    return f"http://{head.address}:{DASHBOARD_PORT}"


def _joins(started: Node, head: Node, count: int) -> bool:
    """Return whether the head comes to know ``count`` living nodes while one runs."""
    deadline = time.monotonic() + SECONDS_TO_START
    while _num_alive(head) < count:
        if started.process.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def _num_alive(head: Node) -> int:
    try:
        answer = httpx.get(f"{dashboard_of(head)}/nodes?view=summary", timeout=10)
        nodes = answer.raise_for_status().json()["data"]["summary"]
    except httpx.HTTPError:
        return 0
    return sum(each["raylet"].get("state") == "ALIVE" for each in nodes)


def check_networks() -> None:
    """Check that networks can be added to this machine.

    Raises:
        ValueError: they cannot.
    """
    trial = ["unshare", "--net", "--uts", "ip", "link", "add", "trial", "type", "bridge"]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"networks cannot be added here: {' '.join(done.stderr.split())}")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
