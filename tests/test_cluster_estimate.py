"""GPU hours, replicas and shards of a profile on several machines."""

from pathlib import Path
from typing import Any

import pytest

from cli.app import main
from cli.cluster_estimate import Cluster, cluster_of, hours
from resources.storage.model_store import ModelStore
from shepherd.estimates import Estimate
from shepherd.settings import Settings


def profile(base: str, gib: float = 79.0, **fields: Any) -> Settings:
    model = {"base": base, "solves": ["train"]}
    return Settings.model_validate(
        {
            "datasets": {"words": {"source": "word_problems", "num_train": 4, "num_test": 0}},
            "generators": {"generator": model},
            "completer": model,
            "engine": {"kind": "openai", "openai": {"base_urls": ["http://a/v1"]}},
            "gpus": {"name": "H100", "count": 8, "memory_gib": gib},
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("base", "gpus"),
    [
        ("meta-llama/Llama-2-7b-hf", 1),
        ("EleutherAI/llemma_34b", 2),
        ("meta-llama/Llama-2-70b-hf", 4),
    ],
)
def test_the_largest_model_decides_how_many_gpus_a_replica_has(
    tmp_path: Path, base: str, gpus: int
) -> None:
    cluster = cluster_of(profile(base), ModelStore(tmp_path), 3, None, 1000.0)
    assert (cluster.gpus_per_replica, cluster.replicas) == (gpus, 3 * (8 // gpus))
    assert cluster_of(profile(base), ModelStore(tmp_path), 3, 3, 1000.0).replicas == 6


def test_gpu_hours_do_not_depend_on_the_number_of_machines() -> None:
    estimates = [Estimate("words", "rollouts", 10, 1e6, 7.2e6, "a guess")]
    for machines in (1, 2):
        [row] = hours(estimates, Cluster(machines, 8, 4, 1000.0)).to_dicts()
        # Two hours of one replica, which has four GPUs; two replicas a machine.
        assert (row["gpu_hours"], row["hours"]) == (8.0, 1.0 / machines)


@pytest.mark.parametrize(
    ("settings", "per_replica", "speed", "says"),
    [
        (
            profile("meta-llama/Llama-2-7b-hf"),
            None,
            None,
            "give --tokens-per-second of one replica",
        ),
        (profile("meta-llama/Llama-2-7b-hf", gpus=None), None, 1.0, "name the GPUs of one machine"),
        (profile("meta-llama/Llama-2-7b-hf"), 9, 1.0, "a machine has 8"),
        (profile("owner/secret"), None, 1.0, "owner/secret is not known here: give --gpus-per-"),
        (profile("meta-llama/Llama-2-70b-hf", gib=10.0), None, 1.0, "have no room for the largest"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, settings: Settings, per_replica: int | None, speed: float | None, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        cluster_of(settings, ModelStore(tmp_path), 2, per_replica, speed)


def test_the_command_says_how_long_a_shard_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "profile.yaml"
    runs = {"sampling_pool": "clients", "pool_limits": {"clients": 8}}
    settings = profile("meta-llama/Llama-2-70b-hf", shards=2, runs=runs)
    path.write_text(settings.model_dump_json())
    options = ["estimate", "--profile", str(path), "--home", str(tmp_path)]
    assert main([*options, "--machines", "2", "--tokens-per-second", "100"]) == 0
    out = capsys.readouterr().out
    assert "2 machines x 8 GPUs: 4 replicas of 4 GPUs, 100 tokens/s each (16 GPUs used)" in out
    assert "with 2 shards and 8 workers" in out
    assert main([*options, "--gpus-per-replica", "2"]) == 2
    assert "needs --machines" in capsys.readouterr().err
