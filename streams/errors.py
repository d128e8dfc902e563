"""What can go wrong, by whose fault; the command line turns each into its exit code.

A bad post is not here: it is a record (`streams.records.Problem`) and ends in quarantine.
Anything else that is raised is a bug and ends the process.
"""

from __future__ import annotations


class UsageError(Exception):
    """What the user asked for cannot be done: what, which, what to do now. Exit code 2."""


class Unavailable(Exception):
    """Something that hoaxwatch depends on is down or full; nothing is lost. Exit code 3."""


class Replaced(Exception):
    """Another worker has taken over what this one was doing; it writes nothing and ends."""
