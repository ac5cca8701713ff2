"""A kept HTTP connection that sends each request in one piece, as most callers' libraries do."""

import socket
from http.client import HTTPResponse


def written(body: bytes, *, path: str, head: str = "") -> bytes:
    """Write a POST; `head` is further lines, each with its end."""
    lines = f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n{head}\r\n"
    return lines.encode() + body


class Kept:
    """One connection to a port of this machine."""

    def __init__(self, port: int, *, timeout_s: float = 60) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)

    def send(self, body: bytes, *, path: str, head: str = "") -> None:
        """Send one request."""
        self.socket.sendall(written(body, path=path, head=head))

    def hear(self) -> tuple[int, str]:
        """Read one answer; returns its status and body.

        Raises:
            OSError: The other side hung up.
        """
        response = HTTPResponse(self.socket, method="POST")
        response.begin()
        return response.status, response.read().decode()

    def hear_all(self) -> bytes:
        """Read until the other side hangs up."""
        with self.socket.makefile("rb") as file:
            return file.read()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()
