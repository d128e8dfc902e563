"""Settings: `hoaxwatch.toml` + `HOAXWATCH_*` variables. The only reader of the environment.

A value is taken from, in this order: the command line, the environment, `hoaxwatch.toml` in the
working folder (or the file that HOAXWATCH_CONFIG names), the default written here.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

CONFIG_FILE = "hoaxwatch.toml"


class SettingsError(ValueError):
    """A setting that cannot be used. The message names it and says what is allowed."""


class Settings(BaseSettings):
    """Everything that can be set, with what it means, its unit and its default."""

    model_config = SettingsConfigDict(env_prefix="HOAXWATCH_", extra="forbid", frozen=True)

    project: str = Field(
        default="default",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$",
        description="Keeps studies apart: one database each.",
    )
    home: Path | None = Field(
        default=None,
        description="Folder of the embedded databases. Default: the user's data folder "
        "(XDG_DATA_HOME/hoaxwatch); for root /var/lib/hoaxwatch.",
    )
    database: SecretStr | None = Field(
        default=None,
        description="postgresql://user:password@host/name of a server of your own. "
        "Default: an embedded PostgreSQL.",
    )
    detector: str = Field(default="bert", description="Which detector judges posts.")
    engine: str | None = Field(
        default=None,
        description="How the detector computes: fp32, int8 or cuda-bf16. Default: the fastest that "
        "works here.",
    )
    encoder: str | None = Field(
        default=None,
        description="Encoder of the detector, by name or path, with weights that were trained on "
        "it. Default: the one its weights name.",
    )
    weights: Path | None = Field(
        default=None, description="Folder of the detector's weights. Default: what ships."
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Scores of at least this much are likely false. Default: the detector's own.",
    )
    abstain_below: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="Half-width of the unsure band around the threshold; posts in it are not "
        "counted as judged.",
    )
    batch_posts: int = Field(
        default=4000, ge=1, le=100_000, description="Posts per transaction (posts)."
    )
    queue_batches: int = Field(
        default=4, ge=1, le=1000, description="Batches that may wait between two steps (batches)."
    )
    track_seconds: float = Field(
        default=30.0, gt=0, description="How often a long run refreshes the tables (seconds)."
    )
    window_hours: int = Field(
        default=24, ge=1, le=24 * 31, description="Length of a cluster window, event time (hours)."
    )
    window_step_hours: int = Field(
        default=6, ge=1, le=24 * 31, description="From one cluster window to the next (hours)."
    )
    cluster_min_users: int = Field(
        default=20,
        ge=2,
        description="Windows with fewer connected users are not clustered (users).",
    )
    stability_runs: int = Field(
        default=4,
        ge=0,
        le=100,
        description="Runs with other seeds that tell how stable each cluster is (runs); 0: not "
        "measured, and nothing is called emerging.",
    )
    cascade_detector: str = Field(
        default="none",
        description="Which detector judges how posts spread: cascade_gcn, or none. It abstains "
        "where a platform names only the root of each share.",
    )
    cascade_min_shares: int = Field(
        default=20,
        ge=1,
        description="Cascades are judged when they have so many shares, and at set ages (shares).",
    )
    timezone: str = Field(
        default="UTC",
        description="Time zone of day tables and of times you give without one, as Europe/Berlin. "
        "What is stored stays UTC.",
    )
    seed: int = Field(default=1, ge=0, description="Seed of community detection and layouts.")
    tombstone_key: SecretStr = Field(
        default=SecretStr("hoaxwatch"),
        description="Key of the hashes by which deleted posts are remembered.",
    )

    @field_validator("timezone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no time zone has this name; they look like Europe/Berlin") from None
        return name

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, then environment, then the TOML file."""
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, toml_file=config_file()),
        )

    def projects_folder(self) -> Path:
        """Where the embedded databases live, one folder per project."""
        if self.home is not None:
            return self.home.expanduser().absolute() / "projects"
        if os.geteuid() == 0:
            return Path("/var/lib/hoaxwatch/projects")
        data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
        return Path(data_home) / "hoaxwatch" / "projects"


def config_file() -> Path:
    """The TOML file that is read if it exists."""
    return Path(os.environ.get("HOAXWATCH_CONFIG", CONFIG_FILE))


#: Of a pattern, its description says more than the pattern.
_PATTERNS = {"project": "small letters, digits, - and _ only, a letter or digit first"}


def read_settings(**overrides: Any) -> Settings:
    """The settings in force. `overrides` come from the command line; None means not given.

    Raises SettingsError with one line per wrong setting.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{config_file()} is not valid TOML: {error}") from None
    except ValidationError as error:
        lines = [
            f"setting {'.'.join(str(part) for part in problem['loc'])}: {_said(problem)}"
            + ("" if problem["type"] == "extra_forbidden" else f" (got {_shown(problem)})")
            for problem in error.errors()
        ]
        lines.append("hoaxwatch config show lists every setting")
        raise SettingsError("; ".join(lines)) from None


def _said(problem: Any) -> str:
    if problem["type"] == "string_pattern_mismatch":
        return _PATTERNS.get(str(problem["loc"][0]), str(problem["msg"]))
    return str(problem["msg"]).removeprefix("Value error, ")


def _shown(problem: Any) -> str:
    secret = str(problem["loc"][0]) in {"database", "tombstone_key"}
    return "a secret value" if secret else repr(problem["input"])


def environment_name(setting: str) -> str:
    """The environment variable of a setting.

    >>> environment_name("batch_posts")
    'HOAXWATCH_BATCH_POSTS'
    """
    return f"HOAXWATCH_{setting.upper()}"
