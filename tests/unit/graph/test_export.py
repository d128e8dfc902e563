"""Exports: read back by the programs they are written for, with texts that break formats."""

from __future__ import annotations

import csv
import io
import json
import math
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import igraph
import networkx
import numpy as np
import pytest

from graph.export import (
    FORMATS,
    GREY,
    PALETTE,
    GraphTable,
    colours_of,
    describe_table,
    iso_time,
    pseudonymise,
    render_gexf,
    render_gml,
    render_graphml,
    render_json,
)

UGLY = 'a"b & <c> \\ \x00\ud800 \u202e é 😂 ]]>\n'
GEXF = {"g": "http://gexf.net/1.3", "viz": "http://gexf.net/1.3/viz"}


def table(is_directed: bool = True) -> GraphTable:
    return GraphTable(
        nodes=["x:1", "x:2", UGLY, "alone"],
        source=np.array([0, 1]),
        target=np.array([2, 0]),
        is_directed=is_directed,
        node_columns={
            "handle": ["ann", None, UGLY, "dan"],
            "user": ["x:1", None, "x:77", "x:1"],
            "community": [0, 0, 1, None],
            "followers": [2**40 + 123, None, 7, 0],
            "share": [0.5, math.nan, 1e-9, None],
            "flagged": [True, False, None, True],
            "first_at": ["2023-04-24T00:00:00Z", None, "2023-04-25T00:00:00Z", None],
        },
        edge_columns={
            "weight": [3, 1],
            "first_at": ["2023-04-24T01:00:00Z", "2023-04-24T02:00:00Z"],
            "last_at": ["2023-04-24T05:00:00Z", "2023-04-26T02:00:00Z"],
        },
        positions=np.array([[0, 0], [1, -1], [0.25, 0.5], [-1, 1]], dtype=np.float32),
        sizes=[1.0, 2.5, 3.0, 1.0],
        colours=colours_of(np.array([0, 0, 1, 99])),
        about={"network": "users", "seed": 1},
    )


def text_of(name: str, ending: str, of: GraphTable) -> str:
    return "".join(FORMATS[name][ending](of))


def readable(text: str) -> str:
    """As a reader gets it: what no XML can hold is replaced."""
    return text.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")


@pytest.mark.parametrize("is_directed", [True, False])
def test_networkx_reads_gexf(is_directed: bool) -> None:
    # of the specification's four formats of time networkx knows three
    text = "".join(render_gexf(table(is_directed))).replace('="dateTime"', '="date"')
    graph = networkx.read_gexf(io.BytesIO(text.encode()), version="1.3")
    assert graph.is_directed() is is_directed
    assert set(graph) == {"x:1", "x:2", readable(UGLY), "alone"}
    assert graph.nodes["x:1"]["label"] == "ann"
    assert graph.nodes["x:2"]["label"] == "x:2"
    assert graph.nodes["x:1"]["followers"] == 2**40 + 123
    assert "followers" not in graph.nodes["x:2"]
    assert "share" not in graph.nodes["x:2"]
    assert graph.nodes["alone"]["flagged"] is True
    assert graph.nodes["x:2"]["viz"]["color"] == {"r": 0, "g": 114, "b": 178, "a": 1.0}
    assert graph.nodes["x:2"]["viz"]["position"] == {"x": 1000, "y": -1000, "z": 0}
    assert graph.nodes["x:2"]["viz"]["size"] == 2.5
    assert graph["x:1"][readable(UGLY)]["weight"] == 3


def test_gexf_has_times_for_the_timeline() -> None:
    root = ET.fromstring("".join(render_gexf(table())))
    graph = root.find("g:graph", GEXF)
    assert graph is not None
    assert (graph.get("mode"), graph.get("timeformat")) == ("dynamic", "dateTime")
    edge = root.find(".//g:edge[@id='1']", GEXF)
    assert edge is not None
    assert (edge.get("start"), edge.get("end")) == ("2023-04-24T02:00:00Z", "2023-04-26T02:00:00Z")
    node = root.find(".//g:node[@id='alone']", GEXF)
    assert node is not None
    assert node.get("start") is None


@pytest.mark.parametrize("is_directed", [True, False])
def test_igraph_and_networkx_read_graphml(is_directed: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.graphml"
    path.write_text("".join(render_graphml(table(is_directed))), encoding="utf-8")
    graph = networkx.read_graphml(path)
    assert graph.is_directed() is is_directed
    assert graph.nodes["x:1"]["handle"] == "ann"
    assert graph.nodes[readable(UGLY)]["handle"] == readable(UGLY)
    assert graph.nodes["x:1"]["followers"] == 2**40 + 123
    assert graph.nodes["x:1"]["flagged"] is True
    assert graph.nodes["x:2"].keys().isdisjoint({"handle", "followers", "share"})
    assert graph["x:1"][readable(UGLY)]["weight"] == 3
    other = igraph.Graph.Read_GraphML(str(path))
    assert other.is_directed() is is_directed
    # igraph leaves a reference in an attribute as it is; in text it does not
    assert [name.replace("&#38;", "&") for name in other.vs["id"]] == list(graph)
    assert other.vs[2]["handle"] == readable(UGLY)
    assert other.es["weight"] == [3, 1]
    assert other.vs["y"] == pytest.approx([0, -1, 0.5, 1])


def test_igraph_and_networkx_read_gml(tmp_path: Path) -> None:
    path = tmp_path / "a.gml"
    path.write_text("".join(render_gml(table())), encoding="ascii")
    graph = networkx.read_gml(path)
    assert graph.is_directed()
    assert set(graph) == {"x:1", "x:2", readable(UGLY), "alone"}
    assert graph.nodes["x:1"]["followers"] == 2**40 + 123
    assert graph.nodes[readable(UGLY)]["followers"] == 7
    assert graph.nodes["x:1"]["firstat"] == "2023-04-24T00:00:00Z"
    assert graph["x:2"]["x:1"]["weight"] == 1
    with warnings.catch_warnings():  # igraph warns of references that it leaves as they are
        warnings.simplefilter("ignore")
        other = igraph.Graph.Read_GML(str(path))
    assert other.vcount() == 4
    assert other.vs["followers"][0] == 2**40 + 123
    assert other.es["weight"] == [3, 1]


def test_json_is_what_graphology_imports() -> None:
    graph = json.loads("".join(render_json(table())))
    assert graph["options"] == {"type": "directed", "multi": False}
    assert graph["attributes"]["n_nodes"] == 4
    first = graph["nodes"][0]
    assert (first["key"], first["attributes"]["label"]) == ("x:1", "ann")
    assert (first["attributes"]["x"], first["attributes"]["color"]) == (0, PALETTE[0])
    assert "share" not in graph["nodes"][1]["attributes"]
    assert graph["edges"][1]["source"] == "x:2"
    assert graph["edges"][1]["attributes"]["weight"] == 1


def test_csv_leaves_unknown_empty() -> None:
    rows = list(csv.DictReader(io.StringIO(text_of("csv", ".nodes.csv", table()), newline="")))
    assert [row["id"] for row in rows] == ["x:1", "x:2", UGLY, "alone"]
    assert (rows[1]["followers"], rows[3]["followers"], rows[1]["share"]) == ("", "0", "")
    rows = list(csv.DictReader(io.StringIO(text_of("csv", ".edges.csv", table()))))
    assert (rows[1]["source"], rows[1]["target"], rows[1]["weight"]) == ("x:2", "x:1", "1")


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_and_much_can_be_written(name: str) -> None:
    nothing = GraphTable(
        nodes=[], source=np.empty(0, np.int64), target=np.empty(0, np.int64), is_directed=True
    )
    n = 30_000
    much = GraphTable(
        nodes=[str(i) for i in range(n)],
        source=np.arange(n - 1),
        target=np.arange(1, n),
        is_directed=False,
    )
    for ending in FORMATS[name]:
        assert text_of(name, ending, nothing)
        text = text_of(name, ending, much)
        assert "29999" in text
        text.encode()


def test_the_manifest_says_what_the_file_is() -> None:
    about = describe_table(table())
    assert (about["n_nodes"], about["n_links"], about["seed"]) == (4, 2, 1)
    assert about["first_at"] == "2023-04-24T00:00:00Z"
    assert about["last_at"] == "2023-04-26T02:00:00Z"


@pytest.mark.parametrize("name", FORMATS)
def test_a_pseudonymised_file_names_nobody(name: str) -> None:
    shared = pseudonymise(table(), b"secret")
    for ending in FORMATS[name]:
        text = text_of(name, ending, shared)
        for told in ("x:1", "x:2", "x:77", "ann", "dan", "alone", str(2**40 + 123)):
            assert told not in text
        assert shared.nodes[0] in text


def test_pseudonyms_are_the_same_for_the_same_key_only() -> None:
    one, again = pseudonymise(table(), b"k").nodes, pseudonymise(table(), b"k").nodes
    assert list(one) == list(again)
    assert set(one).isdisjoint(pseudonymise(table(), b"other").nodes)
    assert len(set(one)) == 4
    assert pseudonymise(table(), b"k").node_columns["followers"] == [10**12, None, 7, 0]
    users = pseudonymise(table(), b"k").node_columns["user"]
    assert users == [one[0], None, users[2], one[0]]
    assert pseudonymise(table(), b"k").about["pseudonymised"] is True


def test_what_does_not_fit_is_refused() -> None:
    columns: list[Mapping[str, list[int]]] = [{"a": [1]}, {}]
    for node_columns, edge_columns in (columns, columns[::-1]):
        with pytest.raises(ValueError, match="column a has 1 values for"):
            GraphTable(
                nodes=["x", "y"],
                source=np.array([0, 1]),
                target=np.array([1, 0]),
                is_directed=True,
                node_columns=node_columns,
                edge_columns=edge_columns,
            )
    with pytest.raises(ValueError, match="same name"):
        GraphTable(nodes=["x", "x"], source=np.empty(0, np.int64), target=np.empty(0, np.int64),
                   is_directed=True)  # fmt: skip


def test_colours_and_times() -> None:
    assert colours_of(np.array([7, 8, -1])) == [PALETTE[7], GREY, GREY]
    assert iso_time(-1) == "1969-12-31T23:59:59Z"
