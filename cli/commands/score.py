"""``shepherd score``: the score of each step of a solution."""

import sys
from typing import Annotated

import typer

from cli.choices import RewardModelKind, ScoreAggregation, ScoringEngine
from shepherd.reward_formats import FormatChoice

SolutionsArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE",
        show_default="standard input",
        help="Solutions: .jsonl, .jsonl.gz, .parquet or .csv, or a folder of .json files, with "
        "question (or problem) and steps (or solution, or text); or a text file: a question, a "
        "blank line, its solution. Also s3://BUCKET/FILE.",
    ),
]
TemplateOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Prompt template that the model was trained with (docs/models.md); read by the format "
        "tags alone.",
    ),
]
MaxLengthOption = Annotated[
    int | None,
    typer.Option(
        min=8,
        metavar="TOKENS",
        show_default="the model's window",
        help="Longest sequence that is read; later steps are unscored.",
    ),
]
FormatOption = Annotated[
    FormatChoice,
    typer.Option(
        "--format",
        help="What the model reads: tags, as trained here, or the format of a published model "
        "(docs/models.md). auto: by its name and its parts; a model that shows neither is refused.",
    ),
]
EngineOption = Annotated[
    ScoringEngine,
    typer.Option(help="vllm: through its pooling, for models that do not fit one GPU."),
]
CopiesOption = Annotated[
    int,
    typer.Option(
        "--num-copies", min=1, metavar="COUNT", help="Copies of the model, each on its own GPU."
    ),
]


def score(
    model: Annotated[
        str,
        typer.Option(metavar="MODEL", help="Reward model: a checkpoint folder or a hub name."),
    ],
    file: SolutionsArgument = None,
    kind: Annotated[
        RewardModelKind,
        typer.Option(help="process: a score for each step; outcome: one for the whole solution."),
    ] = "process",
    question: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Question, in place of FILE.")
    ] = None,
    solution: Annotated[
        str | None,
        typer.Option(metavar="TEXT", show_default="standard input", help="Solution of --question."),
    ] = None,
    template: TemplateOption = "plain",
    max_length: MaxLengthOption = None,
    reward_format: FormatOption = "auto",
    engine: EngineOption = "transformers",
    num_copies: CopiesOption = 1,
    aggregation: Annotated[
        ScoreAggregation, typer.Option(help="How step scores become the solution's score.")
    ] = "min",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per solution.")
    ] = False,
) -> None:
    """Score each step of solutions with a reward model.

    Scores lie between 0 and 1. On a terminal, steps are green from 0.7, yellow from 0.3 and
    red below, unless NO_COLOR is set.

    Reward models that start from base-small or base-large know word problems alone: their score
    of another text says nothing.
    """
    from cli.scored_solutions import print_scores, score_solutions
    from cli.solution_files import read_file, read_solutions, solution_of
    from resources.user_paths import expanded
    from shepherd.settings import ScoringSettings

    if solution is not None and question is None:
        raise ValueError("--solution: needs --question: add the question")
    if file is not None and question is not None:
        raise ValueError("--question: cannot go with FILE: leave one of them out")
    if file is not None:
        solutions = read_file(expanded(file))
    elif question is None:
        solutions = read_solutions(_standard_input(), "standard input")
    else:
        text = _standard_input().decode(errors="replace") if solution is None else solution
        solutions = [solution_of(question, text)]
    settings = ScoringSettings(
        format=reward_format, max_length=max_length, engine=engine, num_copies=num_copies
    )
    scored = score_solutions(model, solutions, kind, template, settings, aggregation)
    print_scores(scored, as_json=as_json)


def _standard_input() -> bytes:
    return sys.stdin.buffer.read()
