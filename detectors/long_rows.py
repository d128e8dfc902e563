"""Rows of CSV files whose fields are as long as whole articles."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, TypeVar

Row = TypeVar("Row", dict[str, Any], list[str])


def long_rows(reader: Iterator[Row]) -> Iterator[Row]:
    """The rows of a csv reader, however long a field is: whole articles are one.

    The limit is the whole process's, so it is raised only while a row is read.
    """
    while True:
        usual = csv.field_size_limit(2**31 - 1)
        try:
            row = next(reader, None)
        finally:
            csv.field_size_limit(usual)
        if row is None:
            return
        yield row
