"""What is printed is what is stored, and nothing else: to terminals, pipes and programs."""

from __future__ import annotations

import json
import sys
from io import BytesIO, TextIOWrapper

import pytest

from hoaxwatch.show import Column, Output, notes, print_json, print_lines, show_rows

#: What posts say that is markup or an emoji to rich, or a command or another order to a terminal.
MARKUP = ["[/b]", "[bold red]Fire[/bold red]", ":fire:", "[link=http://x]a"]
COMMANDS = ["\x1b[2J", "\x9b2J", "\x07", "a\rb", "\u202eabc"]


@pytest.mark.parametrize("written", [*MARKUP, *COMMANDS])
def test_what_strangers_wrote_is_printed_as_it_stands(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    column = Column("text", lambda row: row["text"])
    show_rows(
        [{"text": f"<{written}>" + " and a long tale" * 3}],
        Output.table,
        [column],
        f"of {written}",
        "",
    )
    show_rows([], Output.table, [column], "", f"no {written}")
    print_lines([f"<{written}>"])
    notes.print(f"{written} is wrong")
    said = capsys.readouterr()
    if written in MARKUP:
        assert said.out.count(f"<{written}>") == 2
        for line in (f"of {written}", f"no {written}", f"{written} is wrong"):
            assert line in said.out + said.err
    for sign in "\x1b\x9b\x07\r\u202e":
        assert sign not in said.out + said.err


def test_words_of_all_scripts_stay(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("Straße\u00a07", "می\u200cشود", "👩\u200d🚒", "שלום"):
        print_lines([text])
        assert capsys.readouterr().out == f"{text}\n"


def test_a_title_of_two_lines_is_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([{"n": "1"}], Output.table, [Column("n", lambda row: row["n"])], "one\ntwo", "")
    assert [line.strip() for line in capsys.readouterr().out.splitlines()][:2] == ["one", "two"]


@pytest.mark.parametrize("written", COMMANDS)
def test_json_commands_no_terminal(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": f"<{written}>"})
    said = capsys.readouterr().out
    assert not any(sign in said for sign in "\x1b\x9b\x07\r\u202e")
    assert json.loads(said) == {"text": f"<{written}>"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "utf-16"])
def test_json_is_json_in_every_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"text": "Straße 🔥 €"}
    monkeypatch.setattr("sys.stdout", TextIOWrapper(printed := BytesIO(), encoding, newline="\n"))
    print_json(said)
    sys.stdout.flush()
    assert json.loads(printed.getvalue().decode(encoding)) == said
    if encoding == "utf-8":
        assert "Straße 🔥 €" in printed.getvalue().decode()
