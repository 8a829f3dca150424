"""Does a shard go on elsewhere, without repeated requests, if Ray loses the node that draws it?

    python -m benchmarks.ray_nodes [--json] [--workers 2]

Needs root: a head and workers of Ray run in network namespaces of this machine, which have names
and process numbers of their own. Dagster's daemon runs a shard there with the settings of
``deploy/ray``, on PostgreSQL and with a home in SeaweedFS. All processes of the node are killed
while it draws from a server that answers after two seconds.
"""

import argparse
import os
import shutil
import sys
from unittest import mock

from benchmarks.command import Benchmark, Size
from benchmarks.object_server import bucket_in
from benchmarks.ray_cluster import check_networks, cluster, dashboard_of, network
from benchmarks.report import Result, at_most
from benchmarks.requirements import require_package
from benchmarks.shard_runs import Shards, instance_in

PROGRAMS = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}
"""What adds networks and namespaces, and the package that has it."""


def run(options: argparse.Namespace) -> list[Result]:
    """Kill a node, and return what its shard's retry repeats.

    Raises:
        ValueError: this is not root, or Ray, PostgreSQL, SeaweedFS or a program is not installed.
    """
    check_requirements()
    folder, secrets = options.folder, {"DAGSTER_PG_PASSWORD": "", "BENCHMARK_KEY": "key"}
    # Runs of Ray inherit the secrets from their node, so that they are set before the nodes start.
    with (
        network() as joined,
        bucket_in(folder, joined.host) as address,
        mock.patch.dict(os.environ, secrets),
        cluster(joined, folder, int(options.workers)) as nodes,
        mock.patch.dict(os.environ, {"RAY_ADDRESS": dashboard_of(nodes["node0"])}),
    ):
        shards = Shards(f"{address}/home", 1, int(options.problems), float(options.seconds))
        with instance_in(folder / "instance", shards, launcher="ray", host=joined.host) as instance:
            results = list(instance.killed(0, lambda each: nodes[each.host].kill(), "node"))
            hosts = [instance.process_of(number).host for number in (0, 1)]
    is_same = int(hosts[0] == hosts[1])
    return [*results, at_most("retries on the node that was killed", is_same, "runs", 0)]


def check_requirements() -> None:
    """Check that nodes can be started.

    Raises:
        ValueError: this is not root, networks cannot be added, or a package or program is not
            installed.
    """
    install = "pip install -c constraints.txt -e '.[scale,ray]'"
    for package in ("ray", "dagster_ray", "dagster_postgres"):
        require_package(package, install)
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            raise ValueError(f"the program {program} is not installed: apt-get install {package}")
    if os.geteuid() != 0:
        raise ValueError("networks cannot be added here: run it as root")
    check_networks()


BENCHMARK = Benchmark(
    "ray_nodes",
    __doc__,
    run,
    [
        Size("seconds", 2.0, 0.3, "seconds in which a server answers a request"),
        Size("workers", 2, 2, "nodes with a place for a run"),
        Size("problems", 12, 8, "problems of the shard"),
    ],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
