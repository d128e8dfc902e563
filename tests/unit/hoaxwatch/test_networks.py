"""Pictures of networks as files of their own."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from graph.export import GraphTable
from hoaxwatch.networks import draw_table


def test_a_handle_with_what_xml_does_not_take_breaks_no_picture() -> None:
    table = GraphTable(
        nodes=["x:a\x07", "x:b"],
        source=np.array([0]),
        target=np.array([1]),
        is_directed=True,
        node_columns={"handle": [None, "<b>\x1b[2J\uffff"]},
        positions=np.zeros((2, 2), dtype=np.float32),
    )
    root = ElementTree.fromstring(draw_table(table))
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert sorted(map(str, titles)) == ["<b>\ufffd[2J\ufffd", "x:a\ufffd"]
