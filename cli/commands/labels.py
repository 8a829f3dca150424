"""``shepherd labels import`` and ``shepherd export``: step labels from and to published formats."""

from typing import Annotated

import typer

from cli.choices import Calculations, ExportFormat, FileType, ImportFormat
from cli.options import DEFAULT_HOME, HomeOption, OutOption, folder_to_write, home_at

labels_app = typer.Typer(help="Import step labels.", rich_markup_mode=None)


@labels_app.callback()
def labels() -> None:
    """Import step labels."""


@labels_app.command("import")
def import_published(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Files of step labels, also s3://BUCKET/FILE."),
    ],
    format_name: Annotated[
        ImportFormat, typer.Option("--format", help="Format of the files (docs/data.md).")
    ],
    out: OutOption,
    annotator: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default="human for review",
            help="Name that the labels get as their annotator; required for published formats.",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default="that of each row",
            help="Dataset of the problems; required unless rows of the format name it, as those of "
            "math_shepherd and review do.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK", show_default="all", help="Read only the rows of this task."),
    ] = None,
    calculations: Annotated[
        Calculations, typer.Option(help="Whether steps keep annotations such as <<48/2=24>>.")
    ] = "keep",
    max_rejected_share: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Largest share of rows that may be rejected, 0 to 1.",
        ),
    ] = 0.01,
) -> None:
    """Import step labels into Parquet files.

    The format review is what the report downloads of a person's marks; other
    formats are published ones.

    The labels, rows of the table labeled_solutions, go to
    DIR/labeled_solutions/part-*.parquet, rejected rows to DIR/rejected.
    """
    from resources.files.label_import import LabelRules, import_labels
    from resources.user_paths import expanded
    from shepherd.settings import SplittingSettings

    if annotator is None and format_name != "review":
        raise ValueError(f"--annotator: is required for {format_name}: name who made the labels")
    if dataset is None and format_name not in ("math_shepherd", "review"):
        raise ValueError(f"--dataset: is required, because rows of {format_name} do not name it")
    splitting = SplittingSettings(calculations=calculations)
    rules = LabelRules(format_name, annotator or "human", dataset, task, splitting=splitting)
    folder, paths = folder_to_write(out), [expanded(file) for file in files]
    print(import_labels(paths, folder, rules, max_rejected_share=max_rejected_share))


def export(
    format_name: Annotated[
        ExportFormat, typer.Option("--format", help="Format to write (docs/data.md).")
    ],
    out: OutOption,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="LABELS",
            show_default="the lake of the home folder",
            help="Parquet file or folder of labeled_solutions, also s3://BUCKET/FOLDER.",
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    file_type: Annotated[FileType, typer.Option(help="Type of the file to write.")] = "jsonl",
    title: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", show_default="the folder's name", help="Title of the dataset card."
        ),
    ] = None,
    license_name: Annotated[
        str, typer.Option("--license", metavar="NAME", help="Licence of the problems' source.")
    ] = "unknown",
) -> None:
    """Export step labels in a published format.

    Writes DIR/train.jsonl (or .parquet) and a dataset card; `datasets` loads the folder.
    """
    from resources.files.label_export import export_labels, read_batches
    from resources.files.visible import visible_files
    from resources.storage.lake import Lake
    from resources.user_paths import expanded
    from shepherd.dataset_card import CardFacts
    from shepherd.schemas import LABELED_SOLUTIONS

    target = folder_to_write(out)
    if source is None:
        own = home_at(home)
        lake = Lake(own.lake, own.files)
        paths = lake.files(LABELED_SOLUTIONS)
        folder = lake.root / LABELED_SOLUTIONS.name
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder: run a profile first, or name LABELS")
        for path in paths:
            lake.check_file(LABELED_SOLUTIONS, path)
    else:
        root = expanded(source)
        folder = root / LABELED_SOLUTIONS.name
        root = folder if folder.is_dir() else root
        paths = visible_files(root, ".parquet") if root.is_dir() else [root]
    facts = CardFacts(title=title or target.name, license=license_name)
    print(export_labels(read_batches(paths), target, format_name, file_type, facts))
