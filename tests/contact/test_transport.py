import socket
from typing import Any

import pytest

from contact.channels.transport import Reply, Transport
from contact.ports import OutcomeUnknown, ProviderNotReached


@pytest.fixture
def transport(providers: Any) -> Transport:
    return Transport(f"{providers.url}/wechat/", origin="https://api.weixin.qq.com")


def ask(transport: Transport) -> Reply:
    return transport.request("post", "https://api.weixin.qq.com/cgi-bin/x", params={"a": "b c"})


class TestTransport:
    def test_sends_the_origin_to_the_base_and_keeps_the_connection(
        self, transport: Transport, providers: Any
    ) -> None:
        assert [ask(transport).status_code, ask(transport).status_code] == [200, 200]
        assert list(providers.calls) == ["/wechat/cgi-bin/x"]
        assert transport._idle.qsize() == 1

    def test_does_not_use_a_connection_that_ended_while_it_lay_idle(
        self, transport: Transport
    ) -> None:
        ask(transport)
        ended = transport._idle.get()
        ended.sock.shutdown(socket.SHUT_RDWR)
        transport._idle.put(ended)
        assert ask(transport).status_code == 200
        assert transport._idle.get() is not ended

    def test_keeps_no_more_connections_than_it_has_room_for(self, transport: Transport) -> None:
        ask(transport)
        kept = transport._idle.get()
        transport._idle.maxsize = 1
        ask(transport)
        transport._keep(kept)
        assert transport._idle.qsize() == 1
        assert kept.sock is None

    def test_speaks_tls_to_secure_addresses(self, providers: Any) -> None:
        secure = Transport(providers.url.replace("http://", "https://"))
        with pytest.raises(ProviderNotReached):
            secure.request("GET", "/")


class TestReply:
    @pytest.mark.parametrize("content", [b"", b"<html>", b"[" * 100_000])
    def test_that_is_not_json_says_nothing_of_what_was_done(self, content: bytes) -> None:
        with pytest.raises(OutcomeUnknown):
            Reply(200, content).json()

    def test_of_a_broken_server_says_nothing_of_what_was_done(self) -> None:
        with pytest.raises(OutcomeUnknown):
            Reply(502, b"{}").raise_for_status()
        assert Reply(404, b"{}").raise_for_status() is None
