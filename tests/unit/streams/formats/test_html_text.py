"""HTML of posts: what is text, what leads elsewhere, what is broken."""

from __future__ import annotations

import pytest

from streams.formats.html_text import links_of_html, text_of_html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("plain &lt;b&gt;", "plain <b>"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("a<br>b<br/>c<br />d", "a\nb\nc\nd"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb"),
        ("<p>a <!-- hidden --><span title='1 > 0'>b</span></p>", "a b"),
        ("1 < 2 and <3", "1 < 2 and <3"),
        ("<p>cut <a href=", "cut <a href="),
        ('<a "' * 5_000, '<a "' * 5_000),
        ("<![CDATA[x]]>", "<![CDATA[x]]>"),
    ],
)
def test_text(html: str, text: str) -> None:
    assert text_of_html(html) == text.strip()


def test_links() -> None:
    html = (
        "<a href='https://e.org/1'>1</a><A HREF=\"https://e.org/2\" rel='nofollow'>2</A>"
        '<a href="https://e.org/1">again</a><a href="javascript:x">x</a><a>none</a>'
        '<a href="https://a.org/tags/t" rel="tag">#t</a>'
    )
    assert links_of_html(html) == ("https://e.org/1", "https://e.org/2")
