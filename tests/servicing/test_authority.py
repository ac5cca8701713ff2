"""Who may give how much: by role and act, alone or as the second person, by the day's table."""

from datetime import date
from typing import Any

import pytest

from desk.ports import Role
from servicing import authority
from servicing.authority import Limit
from servicing.offering import OfferKind
from servicing.operations.money_acts import ACTS

ON = date(2026, 3, 10)


def test_every_act_and_offer_has_somebody_who_decides() -> None:
    known = {limit.act for limit in authority.limits()}
    assert known == {*ACTS, *OfferKind, "refund"}
    for act in known:
        roles = [limit.role for limit in authority.limits() if limit.act == act]
        assert authority.may_approve(act, roles, 1, on=ON), act
        assert {Role(role) for role in roles if role != "machine"}


@pytest.mark.parametrize(
    ("role", "fen", "is_alone"),
    [
        ("clerk", 5_000, True),
        ("clerk", 5_001, False),
        ("risk_manager", 50_000, True),
        ("collector", 0, False),
        ("collector", 1, False),
        ("auditor", 0, False),
    ],
)
def test_a_waiver_is_done_alone_up_to_the_roles_limit(role: str, fen: int, is_alone: bool) -> None:
    assert authority.may_do_alone("waive", [role], fen, on=ON) is is_alone


def test_the_highest_of_the_roles_counts() -> None:
    assert authority.may_do_alone("waive", ["clerk", "risk_manager"], 50_000, on=ON)
    assert not authority.may_approve("waive", ["clerk"], 1, on=ON)
    assert authority.may_approve("waive", ["clerk", "finance"], 500_000, on=ON)
    assert not authority.may_approve("waive", ["finance"], 500_001, on=ON)


def test_a_later_row_counts_from_its_day_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def row(alone_fen: int, since: date) -> Limit:
        return Limit(act="waive", role="clerk", alone_fen=alone_fen, second_fen=0, since=since)

    rows: Any = (row(9_000, date(2026, 4, 1)), row(100, date(2025, 1, 1)))
    monkeypatch.setattr(authority, "limits", lambda: rows)
    assert not authority.may_do_alone("waive", ["clerk"], 9_000, on=date(2026, 3, 31))
    assert authority.may_do_alone("waive", ["clerk"], 9_000, on=date(2026, 4, 1))
    assert not authority.may_propose("waive", ["clerk"], on=date(2024, 12, 31))
