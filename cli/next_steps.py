"""Print what a finished run has made, and the commands that use it."""

import shlex
from pathlib import Path

from assets.deployment import Deployment
from shepherd.schemas import CANDIDATES, LABELED_SOLUTIONS, PROBLEMS

MAX_CHARACTERS = 240
"""The longest question or solution that a command shows in full."""


def print_next_steps(deployment: Deployment, profile: str) -> None:
    """Print the paths to open and the next commands, with the profile and the home."""
    home = deployment.home
    print("\nLook next at")
    if home.address:
        print(f"  the home       {home.address}, of which this machine has copies:")
    if home.report.exists():
        print(f"  the report     {home.report}")
    print(f"  the datasets   {home.lake}")
    if home.warehouse.exists():
        print(f"  the warehouse  {home.warehouse} (DuckDB)")
    for name in deployment.settings.exports:
        if (folder := home.exports / name).is_dir():
            print(f"  the export     {folder}")
    print("\nGo on with")
    for command, use in next_commands(deployment, profile).items():
        print(f"  {command}\n      {use}")


def next_commands(deployment: Deployment, profile: str) -> dict[str, str]:
    """Return the commands that use what a run has made, and what each is good for."""
    home, lake = deployment.home, deployment.lake
    here = ["--home", home.location]
    commands = {
        _shown("ui", "--profile", profile, *here): "the lineage, on http://localhost:3000",
    }
    model = deployment.models.link("process_reward_model")
    if model.exists():
        commands[_shown("score", "--model", str(model), *_example(deployment))] = (
            "a score for each step of a solution"
        )
    if lake.partitions(LABELED_SOLUTIONS) and not deployment.settings.exports:
        out = str(home.exports / "math-shepherd")
        commands[_shown("export", *here, "--format", "math_shepherd", "--out", out)] = (
            "the step labels in the format of Math-Shepherd"
        )
    return commands


def _example(deployment: Deployment) -> list[str]:
    """Return a short question of the lake and a candidate; ``FILE`` if there is none."""
    lake = deployment.lake
    if not lake.partitions(CANDIDATES):
        return ["FILE"]
    candidates = lake.read(CANDIDATES).join(
        lake.read(PROBLEMS).select("problem_id", "question"), on="problem_id"
    )
    for question, text in candidates.select("question", "text").iter_rows():
        line = " ".join(text.split())
        # In one line a text keeps its steps only if they are numbered.
        if line.startswith("Step 1:") and max(len(question), len(line)) <= MAX_CHARACTERS:
            return ["--question", question, "--solution", line]
    return ["FILE"]


def _shown(*arguments: str | Path) -> str:
    return shlex.join(["shepherd", *map(str, arguments)])
