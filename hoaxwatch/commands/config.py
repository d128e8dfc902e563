"""hoaxwatch config: what is set, and by what."""

from __future__ import annotations

import typer
from pydantic import SecretStr

from hoaxwatch.commands import options
from hoaxwatch.show import notes, print_json
from streams.alerts.policies import read_policies
from streams.settings import Settings, config_file, environment_name, read_settings

app = typer.Typer(help="Show and check the settings.", no_args_is_help=True)


def shown(value: object) -> object:
    """A setting's value as it may be printed: secrets are masked."""
    if isinstance(value, SecretStr):
        return "********"
    return value if value is None or isinstance(value, int | float | str) else str(value)


@app.command()
def show(as_json: options.Json = False) -> None:
    """Print every setting with its value and meaning; secrets are masked."""
    settings = read_settings()
    if as_json:
        print_json({name: shown(getattr(settings, name)) for name in Settings.model_fields})
        return
    for name, described in Settings.model_fields.items():
        value = shown(getattr(settings, name))
        print(f"{name} = {'(not set)' if value is None else value}")
        print(f"    {described.description}  [{environment_name(name)}]")


@app.command()
def check() -> None:
    """Check the settings and the policies of alerts; says what is wrong, if anything."""
    read_policies(read_settings().alert_policies)
    path = config_file()
    source = str(path) if path.exists() else f"no {path}: environment and defaults"
    notes.print(f"settings are good ({source})", markup=False, soft_wrap=True)
