"""hoaxwatch worker: what runs all day."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from hoaxwatch.commands import options
from hoaxwatch.commands.brokers import Kafka
from streams.settings import read_settings


class Role(StrEnum):
    """What a worker does."""

    classify = "classify"
    track = "track"
    alert = "alert"
    all = "all"


def worker(
    role: Annotated[Role, typer.Argument(help="What it does; all: each of them, one process.")],
    detector: options.Detector = None,
    engine: options.Engine = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    media: options.Media = None,
    pictures: options.Pictures = False,
    no_ocr: options.NoOcr = False,
    no_restart: Annotated[
        bool, typer.Option("--no-restart", help="End when the work ends; something else restarts.")
    ] = False,
    project: options.Project = None,
    database: options.Database = None,
    kafka: Kafka = None,
) -> int:
    """Take posts from the brokers and keep the tables, until stopped. Start as many as you like.

    classify stores and judges posts, track counts trends and clusters, alert sends what people are
    to be told. Any of them may be killed at any time: nothing is lost and nothing counted twice.
    """
    from streams import service

    settings = read_settings(
        project=project,
        database=database,
        detector=detector,
        engine=engine,
        encoder=encoder,
        weights=weights,
        media=media,
        media_fetch=pictures or None,
        ocr=False if no_ocr else None,
        kafka=kafka,
    )
    if no_restart:
        service.work(role.value, settings)
    service.set_up_logs()
    return service.keep_working([sys.executable, "-m", "hoaxwatch", *sys.argv[1:], "--no-restart"])
