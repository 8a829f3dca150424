"""``shepherd estimate``: requests, tokens, hours and GPU memory of a run before it starts."""

from typing import Annotated

import typer

from cli.options import DEFAULT_HOME, DEFAULT_PROFILE, HomeOption, ProfileOption, home_at


def estimate(
    profile: ProfileOption = DEFAULT_PROFILE,
    home: HomeOption = DEFAULT_HOME,
    tokens_per_second: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="TOKENS/S",
            show_default="as measured in finished shards",
            help="Completion tokens per second of all engines together; with --machines of one "
            "replica.",
        ),
    ] = None,
    machines: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default=False,
            help="Print GPU hours, replicas and minutes of a shard on N machines with the GPUs of "
            "the profile.",
        ),
    ] = None,
    gpus_per_replica: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default="the fewest that hold the largest sampled model",
            help="GPUs that share a model, with --machines.",
        ),
    ] = None,
    published_models: Annotated[
        bool,
        typer.Option(
            "--published-models",
            help="Print only the GiB per GPU that the paper's models need on 1 to 16 GPUs.",
        ),
    ] = False,
) -> None:
    """Estimate what a run needs before it starts.

    Prints requests, tokens and hours of each stage, and the memory of each model if the profile
    names GPUs. A stage with finished shards is extrapolated from them; other stages are
    estimated from the lengths of questions and gold solutions.
    """
    from cli.run_estimate import (
        print_cluster_estimate,
        print_estimate,
        print_published_models,
    )

    if published_models:
        print_published_models()
    elif machines is None:
        if gpus_per_replica is not None:
            raise ValueError("--gpus-per-replica: needs --machines: say how many there are")
        print_estimate(profile, home_at(home), tokens_per_second)
    else:
        print_cluster_estimate(
            profile, home_at(home), machines, gpus_per_replica, tokens_per_second
        )
