"""Signatures, the ladder of tries, and where news may go."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from servicing.webhooks.model import (
    PATIENCE,
    AddressRefused,
    checked_url,
    is_delivered,
    is_hopeless,
    next_try_at,
    public_only,
    signature,
)

NOW = datetime(2026, 3, 10, 2, tzinfo=UTC)


def test_a_signature_is_an_hmac_over_instant_and_body() -> None:
    expected = hmac.new(b"s", b"1773108000.{}", hashlib.sha256).hexdigest()
    assert signature("s", at=NOW, body=b"{}") == f"v1={expected}"


def test_tries_come_ever_more_rarely() -> None:
    waits = [(next_try_at(tries=tries, now=NOW) - NOW).total_seconds() for tries in range(1, 9)]
    assert waits == [10, 60, 300, 1800, 7200, 21600, 21600, 21600]


def test_after_three_days_it_is_hopeless() -> None:
    assert not is_hopeless(NOW, NOW + PATIENCE - timedelta(seconds=1))
    assert is_hopeless(NOW, NOW + PATIENCE)


@pytest.mark.parametrize(
    ("status", "is_taken"), [(200, True), (204, True), (301, False), (500, False), (None, False)]
)
def test_only_a_2xx_is_a_delivery(status: int | None, is_taken: bool) -> None:
    assert is_delivered(status) is is_taken


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/hook",
        "ftp://shop.example/",
        "https://user:secret@shop.example/",
        "https://shop.example/#x",
        "https://",
        "https:///path",
        "https://shop.example:99999/",
        "https://shop.example:0/",
        "https://shop .example/",
        "https://shop.example/\r\nX: y",
        "https://例子.example/",
        "https://[::1/",
        "shop.example",
    ],
)
def test_an_address_that_will_not_do_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        checked_url(url, is_development=False)


def test_plain_http_will_do_in_development_only() -> None:
    assert checked_url("http://127.0.0.1:9/hook", is_development=True).port == 9
    assert checked_url("https://shop.example/hook?a=1", is_development=False).query == "a=1"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 -- nothing is bound to it
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
        "2001:0:7f00:1::1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        public_only(["93.184.216.34", address])


def test_a_host_without_address_is_refused_and_public_ones_pass() -> None:
    with pytest.raises(AddressRefused):
        public_only([])
    public = ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"]
    assert list(public_only(public)) == public
