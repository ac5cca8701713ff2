from typing import Any

import pytest

from contact import operations, queries
from contact.operations import AddressTaken, NewAddress


def address(customer_id: int, text: str, kind: str = "wechat") -> NewAddress:
    return NewAddress(customer_id=customer_id, channel_kind=kind, address=text)


@pytest.fixture
def record(desk: Any) -> Any:
    def record(*addresses: NewAddress) -> tuple[int, ...]:
        with desk.write() as session:
            return operations.record_addresses(
                session,
                addresses=addresses,
                source="test",
                cipher=desk.runtime.cipher,
                now=desk.now,
            )

    return record


@pytest.fixture
def active(desk: Any) -> Any:
    def active(customer_id: int) -> list[tuple[int, str, str | None]]:
        with desk.read() as session:
            views = queries.addresses_of(session, customer_id=customer_id)
        return sorted((view.id, view.channel_kind, view.retired_reason) for view in views)

    return active


class TestRecordAddresses:
    def test_records_more_than_one_statement_holds_in_the_order_given(
        self, desk: Any, record: Any
    ) -> None:
        ids = record(*(address(n, f"openid-{n}") for n in range(1, 1_203)))
        with desk.read() as session:
            owners = [
                queries.customer_of(
                    session,
                    channel_kind="wechat",
                    address=f"openid-{n}",
                    cipher=desk.runtime.cipher,
                )
                for n in (1, 500, 501, 1_202)
            ]
            (view,) = queries.addresses_of(session, customer_id=501)
        assert owners == [1, 500, 501, 1_202]
        assert view.id == ids[500]
        assert len(set(ids)) == 1_202

    def test_keeps_what_is_known_replaces_what_changed_and_adds_what_is_new(
        self, record: Any, active: Any
    ) -> None:
        first = record(address(1, "a"), address(1, "138", "phone"), address(2, "b"))
        again = record(address(1, "a"), address(1, "139", "phone"), address(3, "c"))
        assert again[0] == first[0]
        assert active(1) == [
            (first[0], "wechat", None),
            (first[1], "phone", "replaced"),
            (again[1], "phone", None),
        ]
        assert active(2) == [(first[2], "wechat", None)]
        assert active(3) == [(again[2], "wechat", None)]

    @pytest.mark.parametrize(
        "addresses",
        [
            (address(2, "new"), address(3, "taken")),
            (address(2, "same"), address(3, "same")),
            (address(2, "one"), address(2, "other")),
        ],
        ids=["bound to another", "asked by two", "two of a kind"],
    )
    def test_refuses_all_when_one_cannot_be(
        self, record: Any, active: Any, addresses: tuple[NewAddress, ...]
    ) -> None:
        record(address(1, "taken"))
        with pytest.raises(AddressTaken):
            record(*addresses)
        assert active(2) == active(3) == []

    def test_nothing_asked_is_nothing_done(self, record: Any) -> None:
        assert record() == ()
