"""A wire between a client and a server that a test can cut, hold, or pull out."""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.servers import free_ports

_CHUNK_BYTES = 65_536


class TcpProxy:
    """Listens on ``port`` and passes everything on to ``target_port``, both on the loopback."""

    def __init__(self, target_port: int) -> None:
        (self.port,) = free_ports(1)
        self._target_port = target_port
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._upward, self._downward = threading.Event(), threading.Event()
        self.release()
        self._listener: socket.socket | None = None
        self._newest = 0  # connections are numbered from 1
        self._dead_up_to = 0
        self.listen()

    def listen(self) -> None:
        """Takes connections (again)."""
        self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Breaks all connections at once; new ones are taken."""
        with self._lock:
            broken, self._open = self._open, []
        for each in broken:
            _end(each)

    def refuse(self) -> None:
        """Breaks all connections and takes no new ones until ``listen``."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.cut()

    def hold(self) -> None:
        """Passes nothing on, and tells nobody: what a pulled cable looks like."""
        self.hold_upward()
        self._downward.clear()

    def hold_upward(self) -> None:
        """Passes nothing on to the server: the client hears, but is not heard."""
        self._upward.clear()

    def release(self) -> None:
        """Undoes ``hold`` and ``hold_upward``; nothing is lost."""
        self._upward.set()
        self._downward.set()

    def forget(self) -> None:
        """Loses what every present connection sends from now on, both ways, and tells nobody.

        What a router does that has forgotten them: the path is whole, and new ones get through.
        """
        self._dead_up_to = self._newest

    def heard(self, number: int, data: bytes) -> None:
        """Connection ``number`` says this to the server; for who wants to listen."""

    def close(self) -> None:
        """Ends it."""
        self.release()
        self.refuse()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._join(client)

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target_port))
        except OSError:
            client.close()
            return
        with self._lock:
            self._open += [client, server]
            self._newest += 1
            number = self._newest
        threading.Thread(target=self._carry, args=(client, server, number), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket, number: int) -> None:
        """Closes the sockets only when nobody reads them any more.

        A number that is closed under a reader may be another connection's before the reader looks.
        """
        down = threading.Thread(
            target=self._pump, args=(server, client, number, self._downward), daemon=True
        )
        with client, server:
            down.start()
            self._pump(client, server, number, self._upward)
            down.join()

    def _pump(
        self, source: socket.socket, sink: socket.socket, number: int, flowing: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := source.recv(_CHUNK_BYTES):
                flowing.wait()
                if flowing is self._upward:
                    self.heard(number, data)
                if number > self._dead_up_to:
                    sink.sendall(data)
        _end(source)
        if number > self._dead_up_to:
            _end(sink)


def _end(connection: socket.socket) -> None:
    """Tells both sides, and whoever waits for it here, that nothing more will come."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
