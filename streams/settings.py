"""Settings: `hoaxwatch.toml` + `HOAXWATCH_*` variables. The only reader of the environment.

A value is taken from, in this order: the command line, the environment, `hoaxwatch.toml` in the
working folder (or the file that HOAXWATCH_CONFIG names), the default written here.
"""

from __future__ import annotations

import os
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
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
    media: Path | None = Field(
        default=None,
        description="Folder with the pictures of posts, for detectors that look at them. Default: "
        "those that `hoaxwatch media fetch` fetched.",
    )
    ocr: bool = Field(
        default=True,
        description="Read the words in pictures, where the detector reads them.",
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
        default=2, ge=1, le=1000, description="Batches that may wait between two steps (batches)."
    )
    track_seconds: float = Field(
        default=30.0, gt=0, description="How often a long run refreshes the tables (seconds)."
    )
    window_hours: int = Field(
        default=24,
        ge=1,
        le=24 * 31,
        description="Length of a cluster window, event time (hours). With another one all windows "
        "are counted again.",
    )
    window_step_hours: int = Field(
        default=6,
        ge=1,
        le=24 * 31,
        description="From one cluster window to the next (hours); window_hours must be a multiple "
        "of it.",
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
    job_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How often a worker that tracks looks for cascades to judge, and for posts to "
        "compare with claims that came later (seconds).",
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
    database_ca_file: Path | None = Field(
        default=None,
        description="CA certificates by which the server of `database` is verified (TLS). "
        "Default: as its address says.",
    )
    kafka: str | None = Field(
        default=None,
        description="host:port,... of the brokers. Default: none, and only `hoaxwatch run` works.",
    )
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How the brokers are spoken to (security.protocol)."
    )
    kafka_ca_file: Path | None = Field(
        default=None,
        description="CA certificates of the brokers (PEM). Default: the system's.",
    )
    kafka_sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="SASL mechanism, with SASL_PLAINTEXT and SASL_SSL."
    )
    kafka_user: str | None = Field(default=None, description="SASL user.")
    kafka_password: SecretStr | None = Field(default=None, description="SASL password.")
    kafka_prefix: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]{0,60}$",
        description="Put before the names of topics and groups: keeps projects on a broker apart.",
    )
    kafka_partitions: int = Field(
        default=12,
        ge=1,
        le=1000,
        description="Partitions of a new topic: at most so many workers share it.",
    )
    kafka_replicas: int = Field(
        default=1, ge=1, le=9, description="Copies of a new topic, on as many brokers."
    )
    kafka_session_seconds: float = Field(
        default=30.0,
        ge=3,
        le=1800,
        description="A worker that is silent so long is taken for dead (seconds).",
    )
    worker_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,60}$",
        description="Name of this worker among those of its role: restarted within the session, it "
        "keeps its partitions. Default: none, each start is a new member.",
    )
    take_posts: int = Field(
        default=4000, ge=1, le=100_000, description="Posts a worker takes at once (posts)."
    )
    take_seconds: float = Field(
        default=0.05, gt=0, le=60, description="How long it waits to fill such a batch (seconds)."
    )
    hint_seconds: float = Field(
        default=2.0, gt=0, le=3600, description="How long hints gather before a recount (seconds)."
    )
    retry_seconds: float = Field(
        default=60.0,
        ge=0,
        description="How long a worker tries again while the database is down, before it ends "
        "(seconds).",
    )
    linger_ms: int = Field(
        default=20, ge=0, le=10_000, description="How long a post waits for others (milliseconds)."
    )
    unsent_posts: int = Field(
        default=20_000,
        ge=1,
        le=1_000_000,
        description="Posts that may be on their way to the broker (posts).",
    )
    spool_seconds: float = Field(
        default=10.0,
        gt=0,
        description="A broker silent so long is away: posts go to disk until it is back (seconds).",
    )
    spool_bytes: int = Field(
        default=1_000_000_000, ge=0, description="How much may wait on disk (bytes)."
    )
    live_seconds: float = Field(
        default=2.0,
        gt=0,
        le=3600,
        description="Posts of a live source wait at most so long to be stored (seconds).",
    )
    source_silence_seconds: float = Field(
        default=30.0,
        gt=0,
        description="A live source that is silent so long is connected to anew (seconds).",
    )
    bluesky_url: str = Field(
        default="wss://jetstream2.us-east.bsky.network/subscribe",
        description="A Jetstream: where all that is posted on Bluesky can be followed.",
    )
    x_bearer_token: SecretStr | None = Field(
        default=None, description="Token of the X API. Rather in the environment than in a file."
    )
    x_url: str = Field(default="https://api.x.com", description="Where the X API answers.")
    x_budget_usd: float = Field(
        default=0.0,
        ge=0,
        description="What each source of X may spend in a calendar month (US dollars, estimated); "
        "0: nothing is asked.",
    )
    x_post_usd: float = Field(
        default=0.005, ge=0, description="What X charges for a post (US dollars)."
    )
    x_user_usd: float = Field(
        default=0.010, ge=0, description="What X charges for an account (US dollars)."
    )
    x_with_authors: bool = Field(
        default=True,
        description="Ask for the accounts of posts too: followers, age; they may be charged.",
    )
    x_most_posts: int = Field(
        default=1000,
        ge=10,
        le=1_000_000,
        description="Posts per hashtag and pull of x_search at most (posts).",
    )
    x_archive_since: date | None = Field(
        default=None, description="First day that x_archive is asked for (UTC)."
    )
    x_archive_until: date | None = Field(
        default=None, description="Day before which it is (UTC), as the command's --until."
    )
    instagram_token: SecretStr | None = Field(
        default=None,
        description="Token of the Instagram Graph API. Rather in the environment than in a file.",
    )
    instagram_user_id: str | None = Field(
        default=None,
        pattern=r"^[0-9]{1,30}$",
        description="Id of the professional account that asks Instagram.",
    )
    instagram_url: str = Field(
        default="https://graph.facebook.com/v23.0",
        description="Where the Graph API answers, with its version.",
    )
    instagram_most_posts: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="Posts per hashtag and pull of instagram at most (posts).",
    )
    mastodon_url: str = Field(
        default="https://mastodon.social",
        description="A server of Mastodon: what it knows of can be followed.",
    )
    mastodon_token: SecretStr | None = Field(
        default=None,
        description="Token of an account there, where the server wants one to stream. Rather in "
        "the environment than in a file.",
    )
    media_folder: Path | None = Field(
        default=None,
        description="Folder of fetched pictures, one per project. Default: beside the embedded "
        "databases, under media.",
    )
    media_max_bytes: int = Field(
        default=20_000_000, ge=1000, description="A larger picture is not fetched (bytes)."
    )
    media_seconds: float = Field(
        default=20.0, gt=0, le=600, description="A picture that takes longer is left (seconds)."
    )
    media_per_host: int = Field(
        default=2, ge=1, le=16, description="Pictures fetched at a time from one host (pictures)."
    )
    media_pause_seconds: float = Field(
        default=0.2, ge=0, le=60, description="Between two requests to one host (seconds)."
    )
    media_fetch: bool = Field(
        default=False,
        description="`worker classify` and `run` fetch the pictures of new posts before they judge "
        "them, where the detector looks at pictures.",
    )
    media_batch_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="The posts of a batch are judged without the pictures that took longer "
        "(seconds).",
    )
    media_keep_days: int = Field(
        default=90,
        ge=1,
        description="`hoaxwatch media retention` removes pictures fetched longer ago (days).",
    )
    media_private_addresses: bool = Field(
        default=False,
        description="Also ask addresses of this machine and its network: only for tests, and for a "
        "mirror of your own.",
    )
    quiet_seconds: float = Field(
        default=1800.0,
        gt=0,
        description="Without a new post for so long, nothing is arriving (seconds).",
    )
    alert_policies: Path | None = Field(
        default=None,
        description="TOML file that says what is worth an alert. Default: what ships; hoaxwatch "
        "alerts policies prints it.",
    )
    alert_webhook: SecretStr | None = Field(
        default=None,
        description="http(s)://... where alerts are posted as JSON. Default: only the log.",
    )
    alert_webhook_secret: SecretStr | None = Field(
        default=None,
        description="Key by which they are signed (HMAC-SHA256); alert_webhook needs it.",
    )
    alert_apprise: SecretStr | None = Field(
        default=None,
        description="Addresses of apprise with a space between, as slack://... mailtos://...: "
        "mail, Slack, Teams and others. Rather set HOAXWATCH_ALERT_APPRISE than write them into a "
        "file.",
    )
    web_host: str = Field(default="127.0.0.1", description="Where the page listens.")
    web_port: int = Field(default=8400, ge=0, le=65_535, description="Its port; 0: a free one.")
    web_token: SecretStr | None = Field(
        default=None,
        description="What people who open the page must know. Without it only this machine may; "
        "rather set HOAXWATCH_WEB_TOKEN than write it into a file.",
    )
    web_names: str = Field(
        default="",
        description="Other names under which the page is called, as page.example,10.0.0.5.",
    )
    web_user_header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]{1,60}$",
        description="Header in which a proxy in front says who asks, and which it takes away from "
        "what others send.",
    )
    web_address: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="What people type to open the page, as https://page.example: alerts link to "
        "it.",
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="Where /metrics and /health of a worker listen."
    )
    metrics_port: int = Field(
        default=9464,
        ge=0,
        le=65_535,
        description="Their port, or the next free one of twenty; 0: do not listen.",
    )

    @field_validator("timezone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no time zone has this name; they look like Europe/Berlin") from None
        return name

    @field_validator("window_step_hours")
    @classmethod
    def _divides_the_window(cls, step: int, info: ValidationInfo) -> int:
        length = info.data.get("window_hours")  # missing: what is wrong with it is said already
        if length is not None and length % step:
            raise ValueError(
                f"window_hours ({length}) is no multiple of it: growth is counted against the "
                "window that ends where one begins"
            )
        return step

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
        return self.home_folder() / "projects"

    def ingest_folder(self) -> Path:
        """Where `hoaxwatch ingest` keeps cursors and what the broker has not taken yet."""
        return self.home_folder() / "ingest" / f"{self.kafka_prefix}{self.project}"

    def pictures_folder(self) -> Path:
        """Where fetched pictures of the project are."""
        if self.media_folder is not None:
            return self.media_folder.expanduser().absolute()
        return self.home_folder() / "media" / self.project

    def home_folder(self) -> Path:
        """The folder of everything that hoaxwatch keeps on this machine."""
        if self.home is not None:
            return self.home.expanduser().absolute()
        if os.geteuid() == 0:
            return Path("/var/lib/hoaxwatch")
        data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
        return Path(data_home) / "hoaxwatch"


def config_file() -> Path:
    """The TOML file that is read if it exists."""
    return Path(os.environ.get("HOAXWATCH_CONFIG", CONFIG_FILE))


#: Of a pattern, its description says more than the pattern.
_PATTERNS = {
    "instagram_user_id": "digits only: the id, not the name",
    "web_address": "it looks like https://page.example",
    "project": "small letters, digits, - and _ only, a letter or digit first",
}


def read_settings(**overrides: Any) -> Settings:
    """The settings in force. `overrides` come from the command line; None means not given.

    Raises SettingsError with one line per wrong setting.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{config_file()} is not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{config_file()} is not valid TOML: it is not UTF-8") from None
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


_SECRETS = {
    *("x_bearer_token", "instagram_token", "mastodon_token"),
    *("database", "tombstone_key", "kafka_password"),
    *("alert_webhook", "alert_webhook_secret", "alert_apprise", "web_token"),
}


def _shown(problem: Any) -> str:
    secret = str(problem["loc"][0]) in _SECRETS
    return "a secret value" if secret else repr(problem["input"])


def fail_points() -> tuple[frozenset[str], Path | None]:
    """Where tests have this process die, and the folder that remembers where it did already.

    HOAXWATCH_FAIL_POINTS names points of `streams.faults`, HOAXWATCH_FAIL_FOLDER the folder.
    """
    names = os.environ.get("HOAXWATCH_FAIL_POINTS", "")
    folder = os.environ.get("HOAXWATCH_FAIL_FOLDER")
    return frozenset(filter(None, names.split(","))), Path(folder) if folder else None


def environment_with(**variables: str) -> dict[str, str]:
    """The environment of this process and these variables, for a program that it starts."""
    return os.environ | variables


def environment_name(setting: str) -> str:
    """The environment variable of a setting.

    >>> environment_name("batch_posts")
    'HOAXWATCH_BATCH_POSTS'
    """
    return f"HOAXWATCH_{setting.upper()}"
