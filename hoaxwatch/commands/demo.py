"""hoaxwatch demo: the whole pipeline on an invented world, in its own project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hoaxwatch import simulate
from hoaxwatch.commands import ask, pipeline
from hoaxwatch.show import notes
from storage.database import connect, open_database
from streams import local
from streams.errors import UsageError
from streams.settings import read_settings


def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the samples are written.")] = Path(
        "demo"
    ),
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The HTML report to write.")
    ] = Path("report.html"),
    seed: Annotated[int, typer.Option("--seed", help="Another world.")] = 1,
) -> None:
    """Invent five days of tweets, run the whole pipeline on them, show and report the result.

    Nothing is needed: no account, key, Kafka, GPU or download. The posts are made up.
    """
    settings = read_settings(project="demo")
    try:
        paths = simulate.write_samples(simulate.make_world(seed), folder)
    except OSError as error:
        raise UsageError(
            f"cannot write samples into {folder}: {error.strerror}; give --folder"
        ) from None
    notes.print(f"wrote invented posts to {folder}/", markup=False, soft_wrap=True)
    result = pipeline.run_files(settings, local.check_inputs(paths))
    pipeline.print_summary(result, settings)
    ask.trends(hashtag=None, by="day", rising=True, limit=8, project="demo")
    ask.clusters(hashtag="watertruth", algorithm="louvain", project="demo", min_users=8)
    with open_database(settings) as dsn, connect(dsn) as connection:
        ask.write(connection, settings, output, title="hoaxwatch demo: five invented days")
    notes.print(
        f"wrote {output}: open it in a browser. Next: hoaxwatch run YOUR_FILES",
        markup=False,
        soft_wrap=True,
    )
