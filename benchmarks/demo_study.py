"""Does the demo show what the paper shows, in the mean of several seeds?

    python -m benchmarks.demo_study [--json] [--seeds 3] [--keep FOLDER]

Runs the demo's own pipeline (``python -m assets.run``) once a seed, each in a home of its own,
and reads the lake: other problems, other fine-tuning, other draws; the shipped base models are
the same. ``--keep`` resumes there. Every value is the mean over seeds; ``spread`` is the
standard deviation over seeds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import yaml

from benchmarks.report import Result, at_least, main
from resources.home import Home
from resources.lake import Lake
from resources.profiles import PROFILES, load_settings
from shepherd.labels import label_accuracy
from shepherd.schemas import (
    CANDIDATE_SCORES,
    CANDIDATES,
    EVALUATIONS,
    ORACLE_LABELS,
    STEP_LABELS,
    STEPS,
)
from shepherd.verification import aggregate, auc_within_problems


def run_seed(seed: int, home: Path) -> dict[str, float]:
    """Run the demo with another seed and return what it measured."""
    home.mkdir(parents=True, exist_ok=True)
    profile = home / "profile.yaml"
    fields = yaml.safe_load((PROFILES / "demo.yaml").read_text())
    profile.write_text(yaml.safe_dump(fields | {"seed": seed}))
    environment = os.environ | {"SHEPHERD_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    command = [sys.executable, "-m", "assets.run", "--profile", str(profile)]
    subprocess.run(command, env=environment, stdout=sys.stderr, check=True)
    return measure(Lake(Home(home).lake), str(profile))


def measure(lake: Lake, profile: str) -> dict[str, float]:
    """Return label accuracy, AUC within problems and accuracy by method at the largest N."""
    labels = label_accuracy(lake.read(STEP_LABELS), lake.read(ORACLE_LABELS), lake.read(STEPS))
    scored = lake.read(CANDIDATE_SCORES).join(
        lake.read(CANDIDATES).select("candidate_id", "is_correct"), on="candidate_id"
    )
    how = load_settings(profile).verification.aggregation
    assert labels.agreement is not None, "the demo labels steps that are not the last"
    measured = {"label accuracy": labels.agreement}
    for (name,), part in scored.group_by("reward_model", maintain_order=True):
        score = aggregate(part["step_scores"], how)
        measured[f"AUC {name}"] = auc_within_problems(
            score, part["is_correct"], part["problem_id"].to_list()
        )
    largest = lake.read(EVALUATIONS).sort("num_candidates").unique("method", keep="last")
    return measured | dict(largest.sort("method").select("method", "accuracy").iter_rows())


def study(num_seeds: int, folder: Path) -> list[Result]:
    """Run all seeds and return the results with the issue's expectations as targets."""
    frame = pl.DataFrame(
        [{"seed": seed, **run_seed(seed, folder / f"seed-{seed}")} for seed in range(num_seeds)]
    )
    print(frame, file=sys.stderr)
    mean = {name: float(frame[name].mean()) for name in frame.columns}  # type: ignore[arg-type]
    targets = {
        "label accuracy": 0.9,
        "AUC process_reward_model": 0.9,
        "AUC outcome_reward_model": 0.9,
        "SC": mean["pass@1"],
        "PRM": mean["SC"],
    }
    results = []
    for name in frame.columns[1:]:
        if name in targets:
            results.append(at_least(name, mean[name], "share", targets[name]))
        else:
            results.append(Result(name, mean[name], "share"))
        spread = float(frame[name].std() or 0.0)  # type: ignore[arg-type]
        results.append(Result(f"{name} spread", spread, "share"))
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder to keep the homes in, and to resume from")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main("demo_study", lambda: study(arguments.seeds, arguments.keep or Path(temporary)))
