"""Networks as files for other programs: Gephi, igraph, networkx, sigma, spreadsheets.

A `GraphTable` is a network with named columns beside its nodes and edges; each `render_*` gives its
text in one format, piece by piece, so that a large network never stands in memory as text. What a
file says about itself (nodes, links, first and last date, parameters) is the manifest:
`describe_table`. `pseudonymise` gives the variant that can be handed on.

| format | read by | keeps |
|---|---|---|
| `gexf` | Gephi, with its timeline | direction, weights, times, positions, sizes, colours |
| `graphml` | igraph, networkx, yEd, Gephi | direction, all columns with their types |
| `gml` | igraph, networkx, twitter-explorer | direction, all columns |
| `json` | graphology, sigma | all columns |
| `nodes.csv`, `edges.csv` | everything else | all columns |
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

Value = str | int | float | bool | None
Columns = Mapping[str, Sequence[Value]]
Type = Literal["string", "long", "double", "boolean"]

#: Columns of a `GraphTable` that name people: `pseudonymise` takes them away.
NAMING_COLUMNS = frozenset({"handle", "name", "text", "url"})
#: Columns that hold keys of accounts: hashed like names of nodes.
ACCOUNT_COLUMNS = frozenset({"user"})
#: Numbers by which an account can be found again: rounded to one digit.
TELLING_COLUMNS = frozenset({"followers", "following", "n_posts"})

#: Colours of the greatest communities, in their order: distinct also for who sees no red or green
#: (Okabe & Ito, "Color universal design", 2008). The rest is grey.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000")
GREY = "#999999"

# XML 1.0 knows no other control characters, not even escaped
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, eq=False, kw_only=True)
class GraphTable:
    """A network with columns. n nodes, m edges.

    A column has one type: str, int, float or bool, with None where a value is not known. Times are
    ISO text of UTC.
    """

    #: (n,) unique.
    nodes: Sequence[str]
    #: (m,) index into `nodes`.
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    is_directed: bool
    #: Name -> (n,) and name -> (m,).
    node_columns: Columns = field(default_factory=dict)
    edge_columns: Columns = field(default_factory=dict)
    #: (n, 2), or None.
    positions: NDArray[np.float32] | None = None
    #: (n,) diameters, or None.
    sizes: Sequence[float] | None = None
    #: (n,) as #rrggbb, or None.
    colours: Sequence[str] | None = None
    #: What the network is and how it was made: parameters, versions, period.
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(set(self.nodes)) != len(self.nodes):
            raise ValueError("two nodes have the same name")
        for columns, length in (
            (self.node_columns, self.n_nodes),
            (self.edge_columns, self.n_edges),
        ):
            for name, column in columns.items():
                if len(column) != length:
                    raise ValueError(f"column {name} has {len(column)} values for {length} rows")

    @property
    def n_nodes(self) -> int:
        return len(self.nodes)

    @property
    def n_edges(self) -> int:
        return len(self.source)


def colours_of(membership: NDArray[np.int64]) -> list[str]:
    """A colour per node: communities 0 to 7 in PALETTE's order, the others grey.

    >>> colours_of(np.array([0, 9, 1]))
    ['#0072b2', '#999999', '#e69f00']
    """
    return [PALETTE[c] if 0 <= c < len(PALETTE) else GREY for c in membership.tolist()]


def type_of(column: Sequence[Value]) -> Type:
    """The type of a column; a column of nothing but None is text.

    >>> type_of([1, None, 2]), type_of([1, 2.5]), type_of([True, None]), type_of([None])
    ('long', 'double', 'boolean', 'string')
    """
    kinds = {type(value) for value in column if value is not None}
    if not kinds:
        return "string"
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "long"
    return "double" if kinds <= {int, float} else "string"


def describe_table(table: GraphTable) -> dict[str, Any]:
    """The manifest of a network: nodes, links, first and last date, and `about`.

    The dates are the least and greatest of the columns first_at and last_at, if there are any.

    >>> table = GraphTable(nodes=["a", "b"], source=np.array([0]), target=np.array([1]),
    ...                    is_directed=True, about={"network": "users"})
    >>> describe_table(table)["n_links"], describe_table(table)["network"]
    (1, 'users')
    """
    dates = [
        str(value)
        for columns in (table.node_columns, table.edge_columns)
        for name in ("first_at", "last_at", "posted_at")
        for value in columns.get(name, ())
        if value is not None
    ]
    return {
        "n_nodes": table.n_nodes,
        "n_links": table.n_edges,
        "directed": table.is_directed,
        "first_at": min(dates, default=None),
        "last_at": max(dates, default=None),
        "node_columns": list(table.node_columns),
        "edge_columns": list(table.edge_columns),
        **table.about,
    }


def pseudonymise(table: GraphTable, key: bytes) -> GraphTable:
    """The same network with names that only the holder of the key can find again.

    Nodes, and accounts in ACCOUNT_COLUMNS, are named by 16 hex digits of a keyed hash: equal names
    in all files written with the same key, others with another. NAMING_COLUMNS go, TELLING_COLUMNS
    are rounded to one digit. Whoever knows the original posts can still recognise a network by its
    shape: hand on with care.

    key: 1 to 64 bytes.

    >>> table = GraphTable(nodes=["x:1"], source=np.array([], int), target=np.array([], int),
    ...                    is_directed=True, node_columns={"handle": ["ann"], "followers": [1234]})
    >>> shared = pseudonymise(table, b"secret")
    >>> len(shared.nodes[0]), dict(shared.node_columns)
    (16, {'followers': [1000]})
    """

    def hashed(name: str) -> str:
        return blake2b(name.encode("utf-8", "surrogatepass"), key=key, digest_size=8).hexdigest()

    def kept(columns: Columns) -> dict[str, Sequence[Value]]:
        shown: dict[str, Sequence[Value]] = {}
        for name, column in columns.items():
            if name in ACCOUNT_COLUMNS:
                shown[name] = [None if value is None else hashed(str(value)) for value in column]
            elif name in TELLING_COLUMNS:
                shown[name] = [_one_digit(value) for value in column]
            elif name not in NAMING_COLUMNS:
                shown[name] = column
        return shown

    return replace(
        table,
        nodes=[hashed(node) for node in table.nodes],
        node_columns=kept(table.node_columns),
        edge_columns=kept(table.edge_columns),
        about={**table.about, "pseudonymised": True},
    )


def _one_digit(value: Value) -> Value:
    if not isinstance(value, int) or value == 0:
        return value
    return round(value, -(len(str(abs(value))) - 1))


def render_gexf(table: GraphTable) -> Iterator[str]:
    """GEXF 1.3 with positions, sizes, colours, and the columns first_at and last_at as the times
    from and to which a node or edge is there, for Gephi's timeline.

    Specification: https://gexf.net/schema.html.
    """
    direction = "directed" if table.is_directed else "undirected"
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<gexf xmlns="http://gexf.net/1.3" xmlns:viz="http://gexf.net/1.3/viz" version="1.3">\n'
        f"<meta><creator>hoaxwatch</creator><description>{_xml(_told(table))}</description></meta>\n"
        f'<graph defaultedgetype="{direction}" mode="dynamic" timeformat="dateTime">\n'
    )
    for kind, columns in (("node", table.node_columns), ("edge", table.edge_columns)):
        shown = _shown(columns)
        yield f'<attributes class="{kind}" mode="static">\n'
        for number, (name, column) in enumerate(shown.items()):
            yield f'<attribute id="{number}" title={_quote(name)} type="{type_of(column)}"/>\n'
        yield "</attributes>\n"
    yield "<nodes>\n"
    rows = _rows(_shown(table.node_columns), table.n_nodes)
    spells = _spells(table.node_columns, table.n_nodes)
    labels = table.node_columns.get("handle", table.nodes)
    for i, (node, values, spell) in enumerate(zip(table.nodes, rows, spells, strict=True)):
        label = labels[i] if labels[i] is not None else node
        yield f"<node id={_quote(node)} label={_quote(str(label))}{spell}>{_attvalues(values)}"
        yield _viz(table, i)
        yield "</node>\n"
    yield "</nodes>\n<edges>\n"
    rows = _rows(_shown(table.edge_columns), table.n_edges)
    spells = _spells(table.edge_columns, table.n_edges)
    weights = table.edge_columns.get("weight")
    for i, (a, b, values, spell) in enumerate(
        zip(table.source.tolist(), table.target.tolist(), rows, spells, strict=True)
    ):
        weight = "" if weights is None or weights[i] is None else f' weight="{weights[i]}"'
        yield (
            f'<edge id="{i}" source={_quote(table.nodes[a])} target={_quote(table.nodes[b])}'
            f"{weight}{spell}>{_attvalues(values)}</edge>\n"
        )
    yield "</edges>\n</graph>\n</gexf>\n"


def _shown(columns: Columns) -> dict[str, Sequence[Value]]:
    """Columns that GEXF has no own place for."""
    return {name: column for name, column in columns.items() if name != "weight"}


def _rows(columns: Columns, length: int) -> Iterator[tuple[Value, ...]]:
    if not columns:
        return iter([()] * length)
    return zip(*columns.values(), strict=True)


def _spells(columns: Columns, length: int) -> Iterator[str]:
    first, last = columns.get("first_at"), columns.get("last_at")
    for i in range(length):
        start = "" if first is None or first[i] is None else f' start="{first[i]}"'
        end = "" if last is None or last[i] is None else f' end="{last[i]}"'
        yield start + end


def _attvalues(values: Sequence[Value]) -> str:
    said = "".join(
        f'<attvalue for="{number}" value={_quote(_plain(value))}/>'
        for number, value in enumerate(values)
        if _is_known(value)
    )
    return f"<attvalues>{said}</attvalues>" if said else ""


def _viz(table: GraphTable, i: int) -> str:
    said = ""
    if table.colours is not None:
        r, g, b = (int(table.colours[i][at : at + 2], 16) for at in (1, 3, 5))
        said += f'<viz:color r="{r}" g="{g}" b="{b}"/>'
    if table.positions is not None:
        x, y = (1000 * float(at) for at in table.positions[i])  # Gephi's unit is about a node
        said += f'<viz:position x="{x:.3f}" y="{y:.3f}" z="0.0"/>'
    if table.sizes is not None:
        said += f'<viz:size value="{table.sizes[i]:.3f}"/>'
    return said


def render_graphml(table: GraphTable) -> Iterator[str]:
    """GraphML with all columns and their types; positions as x and y.

    Specification: http://graphml.graphdrawing.org.
    """
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
        f"<desc>{_xml(_told(table))}</desc>\n"
    )
    node_columns = _with_places(table)
    keys: dict[str, list[str]] = {"node": [], "edge": []}
    for kind, columns in (("node", node_columns), ("edge", table.edge_columns)):
        for number, (name, column) in enumerate(columns.items()):
            keys[kind].append(f"{kind[0]}{number}")
            yield (
                f'<key id="{kind[0]}{number}" for="{kind}" attr.name={_quote(name)}'
                f' attr.type="{type_of(column)}"/>\n'
            )
    direction = "directed" if table.is_directed else "undirected"
    yield f'<graph edgedefault="{direction}">\n'
    for node, values in zip(table.nodes, _rows(node_columns, table.n_nodes), strict=True):
        yield f"<node id={_quote(node)}>{_data(keys['node'], values)}</node>\n"
    rows = _rows(table.edge_columns, table.n_edges)
    for a, b, values in zip(table.source.tolist(), table.target.tolist(), rows, strict=True):
        ends = f"source={_quote(table.nodes[a])} target={_quote(table.nodes[b])}"
        yield f"<edge {ends}>{_data(keys['edge'], values)}</edge>\n"
    yield "</graph>\n</graphml>\n"


def _data(keys: Sequence[str], values: Sequence[Value]) -> str:
    return "".join(
        f'<data key="{key}">{_xml(_plain(value))}</data>'
        for key, value in zip(keys, values, strict=True)
        if _is_known(value)
    )


def _with_places(table: GraphTable) -> dict[str, Sequence[Value]]:
    """The columns of the nodes, with positions as x and y, size and colour."""
    columns = dict(table.node_columns)
    if table.positions is not None:
        columns["x"], columns["y"] = (
            [round(value, 6) for value in column] for column in table.positions.T.tolist()
        )
    if table.sizes is not None:
        columns["size"] = [round(float(size), 4) for size in table.sizes]
    if table.colours is not None:
        columns["color"] = table.colours
    return columns


def render_gml(table: GraphTable) -> Iterator[str]:
    """GML with all columns; text outside ASCII as character references, as the format wants it.

    Specification: Himsolt, "GML: a portable graph file format", 1997.
    """
    told = _gml_text(_told(table))
    yield f'Creator "hoaxwatch"\ngraph [\n  comment "{told}"\n  directed {int(table.is_directed)}\n'
    node_columns = _with_places(table)
    writers = _gml_writers(node_columns)
    for i, (node, values) in enumerate(
        zip(table.nodes, _rows(node_columns, table.n_nodes), strict=True)
    ):
        yield f'  node [\n    id {i}\n    label "{_gml_text(node)}"\n'
        yield _gml_values(writers, values)
        yield "  ]\n"
    writers = _gml_writers(table.edge_columns)
    rows = _rows(table.edge_columns, table.n_edges)
    for a, b, values in zip(table.source.tolist(), table.target.tolist(), rows, strict=True):
        yield f"  edge [\n    source {a}\n    target {b}\n"
        yield _gml_values(writers, values)
        yield "  ]\n"
    yield "]\n"


def _gml_writers(columns: Columns) -> list[tuple[str, Callable[[Any], str]]]:
    """Key and how to write a value, for each column: all values of a column have the same type."""
    writers: list[tuple[str, Callable[[Any], str]]] = []
    for name, column in columns.items():
        kind = type_of(column)
        greatest = max((abs(value) for value in column if isinstance(value, int)), default=0)
        if kind == "boolean" or (kind == "long" and greatest < 2**31):
            write: Callable[[Any], str] = _gml_integer
        elif kind in ("long", "double") and greatest < 2**53:  # the format's integers have 32 bits
            write = _gml_real
        else:
            write = _gml_string
        writers.append((re.sub("[^A-Za-z0-9]", "", name), write))  # keys are letters and digits
    return writers


def _gml_values(
    writers: Sequence[tuple[str, Callable[[Any], str]]], values: Sequence[Value]
) -> str:
    return "".join(
        f"    {key} {write(value)}\n"
        for (key, write), value in zip(writers, values, strict=True)
        if _is_known(value)
    )


def _gml_integer(value: int) -> str:
    return str(int(value))


def _gml_real(value: float) -> str:
    return f"{value:.17g}" if "." in f"{value:.17g}" else f"{value:.1f}"


def _gml_string(value: Value) -> str:
    return f'"{_gml_text(_plain(value))}"'


def _gml_text(text: str) -> str:
    # a quote ends the string, and readers that go line by line lose what is not a space
    plain = _NOT_XML.sub("\ufffd", text).replace("&", "&amp;").replace('"', "&quot;")
    plain = re.sub("[\t\n\r]", lambda found: f"&#{ord(found[0])};", plain)
    return plain.encode("ascii", "xmlcharrefreplace").decode()


def render_json(table: GraphTable) -> Iterator[str]:
    """graphology's JSON: `Graph.import(JSON.parse(text))`; positions as x and y, for sigma."""
    options = {"type": "directed" if table.is_directed else "undirected", "multi": False}
    columns = _with_places(table)
    labels = columns.pop("handle", table.nodes)
    yield f'{{"options":{json.dumps(options)},"attributes":{_json(describe_table(table))},"nodes":['
    for i, (node, values) in enumerate(
        zip(table.nodes, _rows(columns, table.n_nodes), strict=True)
    ):
        label = labels[i] if labels[i] is not None else node
        told = {"label": label} | _known(columns, values)
        yield ("," if i else "") + f'\n{{"key":{_json(node)},"attributes":{_json(told)}}}'
    yield '],"edges":['
    rows = _rows(table.edge_columns, table.n_edges)
    for i, (a, b, values) in enumerate(
        zip(table.source.tolist(), table.target.tolist(), rows, strict=True)
    ):
        ends = f'"source":{_json(table.nodes[a])},"target":{_json(table.nodes[b])}'
        told = _known(table.edge_columns, values)
        yield ("," if i else "") + f'\n{{{ends},"attributes":{_json(told)}}}'
    yield "]}\n"


def _known(columns: Columns, values: Sequence[Value]) -> dict[str, Value]:
    return {name: value for name, value in zip(columns, values, strict=True) if _is_known(value)}


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"), default=str)


def render_nodes_csv(table: GraphTable) -> Iterator[str]:
    """One line per node: its name, then its columns; unknown is empty."""
    columns = {"id": table.nodes} | _with_places(table)
    return _csv(columns, table.n_nodes)


def render_edges_csv(table: GraphTable) -> Iterator[str]:
    """One line per edge: the names of its ends, then its columns; unknown is empty."""
    ends = {
        "source": [table.nodes[i] for i in table.source.tolist()],
        "target": [table.nodes[i] for i in table.target.tolist()],
    }
    return _csv(ends | dict(table.edge_columns), table.n_edges)


def _csv(columns: Columns, length: int) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow(columns)
    for row in _rows(columns, length):
        writer.writerow([_plain(value) if _is_known(value) else "" for value in row])
        if line.tell() > 1 << 16:
            yield line.getvalue()
            line.seek(0)
            line.truncate()
    yield line.getvalue()


Render = Callable[[GraphTable], Iterable[str]]
#: Format -> ending of each file -> what is written into it. Adding one is one line here.
FORMATS: Mapping[str, Mapping[str, Render]] = {
    "gexf": {".gexf": render_gexf},
    "graphml": {".graphml": render_graphml},
    "gml": {".gml": render_gml},
    "json": {".json": render_json},
    "csv": {".nodes.csv": render_nodes_csv, ".edges.csv": render_edges_csv},
}


def _is_known(value: Value) -> bool:
    """None and NaN are unknown: they are left out, never written as 0."""
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def _plain(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _told(table: GraphTable) -> str:
    return json.dumps(describe_table(table), ensure_ascii=False, default=str)


def _xml(text: str) -> str:
    text = _NOT_XML.sub("\ufffd", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quote(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", text))


def iso_time(microseconds: int) -> str:
    """Microseconds since 1970 as ISO text of UTC, to the second.

    >>> iso_time(1_000_000)
    '1970-01-01T00:00:01Z'
    """
    moment = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
