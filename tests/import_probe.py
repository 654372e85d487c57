"""Imports every module that is named, and says what one of them did that an import may not do.

Run as a process of its own: ``python -B -m tests.import_probe services.market.service …``.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading

FORBIDDEN = {
    *("socket.connect", "socket.bind", "socket.getaddrinfo", "sqlite3.connect"),
    *("subprocess.Popen", "os.system", "os.fork", "os.posix_spawn", "os.exec"),
    *("os.mkdir", "os.remove", "os.rename", "os.rmdir"),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def probe(names: list[str]) -> list[str]:
    """What went on while these modules were imported, one line for each thing."""
    found: list[str] = []
    importing = ""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in FORBIDDEN or (event == "open" and _writes(*arguments)):
            found.append(f"{importing} does {event} at import: {arguments!r}")

    sys.addaudithook(hook)
    for importing in names:
        before = threading.active_count()
        importlib.import_module(importing)
        if threading.active_count() > before:
            found.append(f"{importing} starts a thread at import")
    return found


def _writes(_path: object, mode: object, flags: object) -> bool:
    if isinstance(mode, str):
        return bool(set(mode) & set("wax+"))
    return isinstance(flags, int) and bool(flags & _WRITING)


if __name__ == "__main__":
    print("\n".join(probe(sys.argv[1:])))
