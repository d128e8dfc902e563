"""A door to PostgreSQL that can be slammed: passes bytes on until a COMMIT comes by."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"


class CommitCutter:
    """Listens on a Unix socket in `folder`, passes on to the one in `to`.

    `cut` says what becomes of the next COMMITs, in order: "lost" (the server never sees it) or
    "done" (the server commits and nobody hears of it). The connection is closed both times.
    """

    def __init__(self, folder: Path, to: Path) -> None:
        self.cut: list[str] = []
        self.n_cut = 0
        self._to = to / SOCKET_NAME
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET_NAME))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._to))
                muted = threading.Event()
                for source, sink, is_query in ((client, server, True), (server, client, False)):
                    threading.Thread(
                        target=self._pass_on, args=(source, sink, is_query, muted), daemon=True
                    ).start()

    def _pass_on(
        self, source: socket.socket, sink: socket.socket, is_query: bool, muted: threading.Event
    ) -> None:
        try:
            while data := source.recv(1 << 16):
                if is_query and self.cut and b"COMMIT" in data:
                    how = self.cut.pop(0)
                    self.n_cut += 1
                    muted.set()
                    if how == "done":
                        sink.sendall(data)
                        while sink.recv(1 << 16):  # the answer, which nobody is to hear
                            break
                    break
                if is_query or not muted.is_set():
                    sink.sendall(data)
                else:
                    return  # the answer was read above
        except OSError:
            pass
        finally:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def close(self) -> None:
        """No more connections."""
        self._listener.close()
