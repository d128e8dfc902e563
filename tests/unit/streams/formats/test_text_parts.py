"""Hashtags and links of a bare text, in many scripts."""

from __future__ import annotations

import pytest

from streams.formats.text_parts import find_hashtags, find_links


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        (
            "#May, #June; #July. (#Aug) \"#Sep\" '#Oct'",
            ("May", "June", "July", "Aug", "Sep", "Oct"),
        ),
        ("#a_b #2020 #C# #", ("a_b", "2020", "C")),
        ("#a#b #a", ("a", "b")),
        ("word#tag https://e.org/#top &#39; _#x", ()),
        ("＃全角 #日本語、#中文。", ("全角", "日本語", "中文")),
        ("#हिन्दी #ไทยแลนด์ #cafe\u0301", ("हिन्दी", "ไทยแลนด์", "cafe\u0301")),
        ("#🔥 #❄️snow", ("🔥", "❄️snow")),
        ("no tag", ()),
        ("#\ufffd #a\ufffdb", ("a",)),
        ("#don't #well-known", ("don", "well")),
    ],
)
def test_hashtags(text: str, tags: tuple[str, ...]) -> None:
    assert find_hashtags(text) == tags


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("See https://e.org/a?b=1&c=2.", ("https://e.org/a?b=1&c=2",)),
        ("(https://e.org/a_(b)) HTTP://E.org", ("https://e.org/a_(b)", "HTTP://E.org")),
        ("https://e.org https://e.org…", ("https://e.org",)),
        ("ftp://e.org e.org", ()),
        ("<https://e.org>", ("https://e.org",)),
    ],
)
def test_links(text: str, links: tuple[str, ...]) -> None:
    assert find_links(text) == links
