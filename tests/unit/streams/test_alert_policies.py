"""Policies are read from TOML, and mistakes are told by file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.alerts.policies import (
    DEFAULT_POLICIES,
    Policies,
    parse_policies,
    read_policies,
    write_policies,
)
from streams.settings import SettingsError


def test_what_a_file_leaves_out_has_its_default(tmp_path: Path) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text("[coordinated_burst]\nmin_accounts = 9\nshadow = true\n")
    found = read_policies(file)
    assert (found.coordinated_burst.min_accounts, found.coordinated_burst.shadow) == (9, True)
    assert found.hashtag_surge == DEFAULT_POLICIES.hashtag_surge
    assert read_policies(None) == DEFAULT_POLICIES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[hashtag_surge]\n\nmin_posts = 0", "p.toml line 3: hashtag_surge.min_posts"),
        ("[hashtag_surge]\nmin_posts = 'x'", "line 2: hashtag_surge.min_posts"),
        ("# a\n[hashtag_serge]\nmin_posts = 9", "line 2: hashtag_serge: no such key; there are em"),
        ("hashtag_surge.min_score = -1", "line 1: hashtag_surge.min_score"),
        ("[sending]\ndaily_quota = 1\ndigest = 2", "line 3: sending.digest: no such key"),
        ("[emerging_fake_cluster]\nmin_score = 0.001", "line 2: emerging_fake_cluster.min_score"),
        ("[coordinated_burst]\nmin_accounts = 2", "line 2: coordinated_burst.min_accounts"),
        ("[hashtag_surge\n", "p.toml is not valid TOML"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as failed:
        parse_policies(text, "p.toml")
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)


def test_two_mistakes_are_both_told() -> None:
    with pytest.raises(SettingsError, match=r"line 2: .*; p.toml line 4: "):
        parse_policies("[hashtag_surge]\nmin_posts = 0\n[sending]\ndaily_quota = -1", "p.toml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read the alert policies"):
        read_policies(tmp_path / "none.toml")


def test_each_key_is_described_and_written() -> None:
    text = write_policies(DEFAULT_POLICIES)
    for name in Policies.model_fields:
        table = getattr(DEFAULT_POLICIES, name)
        assert f"[{name}]" in text
        assert all(field.description for field in type(table).model_fields.values())
    changed = parse_policies("[sending]\ndaily_quota = 3\n", "p.toml")
    assert parse_policies(write_policies(changed), "p.toml") == changed


def test_every_rule_is_told_or_watched() -> None:
    rules = set(Policies.model_fields) - {"sending"}
    assert rules == {*Policies.TOLD, *Policies.WATCHED}
