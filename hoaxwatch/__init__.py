"""hoaxwatch: watch misinformation spread. What `hoaxwatch.api` has can be taken from here."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hoaxwatch.api import Project, Rows, clusters, open_project, read_posts, score, trends

__all__ = ["Project", "Rows", "clusters", "open_project", "read_posts", "score", "trends"]


def __getattr__(name: str) -> Any:
    """Imports the application when something of it is first asked for: `import hoaxwatch` alone,
    as the command line does it, stays cheap."""
    if name in __all__:
        from hoaxwatch import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
