"""A loopback SMS provider for benches: it checks the real signatures, counts, and is quick.

`python -m cli.bench.provider FD` serves on a listening socket that it inherits. POST / takes a
signed SendSms, any other POST is answered unread (the yardstick), GET tells what was taken. The
sandbox plays a provider with all its moods; this one must not be what is measured.
"""

import asyncio
import hmac
import json
import os
import re
import socket
import sys
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from contact.channels.sms import sign
from kernel.settings import Settings

_SIGNED: Final = re.compile(r"SignedHeaders=([^,]+),Signature=([0-9a-f]+)")
_OK: Final = {"Code": "OK", "Message": "OK"}


class Provider(asyncio.Protocol):
    """One connection; all of them share what was taken, OutId → how often."""

    taken: Final[dict[str, int]] = {}
    secret: Final = Settings.from_env(os.environ).sms_access_key_secret

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 -- narrows for mypy
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole head; requests have no body."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
            status, answer = self._answer(head.decode())
            body = json.dumps(answer).encode()
            start = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: "
            self._transport.write(f"{start}{len(body)}\r\n\r\n".encode() + body)

    def _answer(self, head: str) -> tuple[int, object]:
        line, *fields = head.split("\r\n")
        method, target, _ = line.split(" ")
        path, _, query = target.partition("?")
        if method == "GET":
            return 200, {"messages": sum(self.taken.values()), "out_ids": len(self.taken)}
        if path != "/":
            return 200, _OK
        headers = {name.lower(): value for name, value in (f.split(": ", 1) for f in fields)}
        if not self._is_signed(query, headers):
            return 400, {"Code": "SignatureDoesNotMatch"}
        out_id = parse_qs(query)["OutId"][0]
        self.taken[out_id] = self.taken.get(out_id, 0) + 1
        return 200, _OK | {"BizId": f"biz{len(self.taken)}"}

    def _is_signed(self, query: str, headers: Mapping[str, str]) -> bool:
        found = _SIGNED.search(headers.get("authorization", ""))
        if found is None:
            return False
        signed = {name: headers.get(name, "") for name in found[1].split(";")}
        return hmac.compare_digest(
            sign(self.secret, path="/", query=query, headers=signed), found[2]
        )


async def serve(listener: socket.socket) -> None:
    """Serve until the process is told to stop."""
    server = await asyncio.get_running_loop().create_server(Provider, sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))
