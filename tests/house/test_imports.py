"""The direction of imports, beyond what import-linter sees: nothing is left out of its list."""

from __future__ import annotations

import ast
from importlib.util import find_spec

import pytest

from tests.house.repository import PACKAGES, ROOT, files, modules, pyproject

CONTRACTS = {
    contract["id"]: contract for contract in pyproject()["tool"]["importlinter"]["contracts"]
}
#: What may be used of psycopg by those who hold a connection and send no SQL.
CONNECTION_AND_ERRORS = {"Connection", "Cursor", "errors", "Error", "DataError", "OperationalError"}
SENDS_SQL = {"execute", "executemany", "copy"}


def layers() -> list[str]:
    return [name.strip() for layer in CONTRACTS["layers"]["layers"] for name in layer.split("|")]


def test_every_module_is_in_the_layers() -> None:
    covered = layers()
    left_out = [
        module
        for module in modules()
        if module not in PACKAGES and not any(f"{module}.".startswith(f"{x}.") for x in covered)
    ]
    assert left_out == [], "put them where they belong in [tool.importlinter] of pyproject.toml"


def test_every_layer_exists() -> None:
    there = set(modules())
    assert [layer for layer in layers() if layer not in there] == []


def test_the_linter_looks_at_all_packages() -> None:
    assert set(pyproject()["tool"]["importlinter"]["root_packages"]) == set(PACKAGES)


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in files()
        if path.suffix == ".py" and path.parts[0] in set(PACKAGES) - {"storage"}
    ],
    ids=str,
)
def test_no_sql_outside_storage(path: object) -> None:
    tree = ast.parse((ROOT / str(path)).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("psycopg"):
            names = {alias.name for alias in node.names}
            assert names <= CONNECTION_AND_ERRORS, f"{path}:{node.lineno}"
        elif isinstance(node, ast.Attribute):
            of_psycopg = isinstance(node.value, ast.Name) and node.value.id == "psycopg"
            assert not of_psycopg or node.attr in CONNECTION_AND_ERRORS, f"{path}:{node.lineno}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            # `copy` of a list or dict takes no argument
            sends = node.func.attr in SENDS_SQL and bool(node.args)
            assert not sends, f"{path}:{node.lineno}: {node.func.attr}() belongs in storage"


def test_torchvision_is_not_installed() -> None:
    assert find_spec("torchvision") is None, "nothing here needs it: pip uninstall torchvision"
