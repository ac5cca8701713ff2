"""Lists on their pages: entries with source, reason, expiry and appeal; values masked."""

from typing import Any

import pytest
from workplace import Seat

LISTS = "/admin/risk/lists"
OWN = f"{LISTS}/own-blocked"


def _add(seat: Seat, value: str = "k-17", **more: str) -> Any:
    form = {"value": value, "reason": "核实为冒用", "expires_on": ""} | more
    return seat.fill(f"{OWN}/entries", f"{OWN}/entries", **form)


def _change(seat: Seat, **form: str) -> Any:
    given = {"expires_on": "", "appeal": "open", "reason": "客户申诉"} | form
    return seat.fill(f"{OWN}/entries/1", f"{OWN}/entries/1", **given)


def _outcome(office: Any) -> Any:
    service = office.house.app.wsgi_app._service
    service.holder.in_force()
    service.holder.look()
    return office.decide()["outcome"]


class TestEntries:
    def test_decide_until_an_appeal_is_upheld(self, office: Any, analyst: Seat) -> None:
        assert _outcome(office) == "approve"
        assert _add(analyst).status_code == 204
        assert _outcome(office) == "decline"
        assert _change(analyst).status_code == 204
        assert _outcome(office) == "decline"
        assert _change(analyst, appeal="upheld").status_code == 204
        assert _outcome(office) == "approve"
        page = analyst.get(OWN).text
        for said in ("staff:risk_analyst", "核实为冒用", "申诉成立", "不起作用"):
            assert said in page, said
        acts = office.house.acts(subject="list:own-blocked")
        assert [act.action for act in acts] == [
            "risk.list.entry_added",
            "risk.list.entry_changed",
            "risk.list.entry_changed",
        ]
        assert all("k-17" not in str(act.details) for act in acts)

    def test_end_on_their_day(self, office: Any, analyst: Seat) -> None:
        _add(analyst)
        _change(analyst, appeal="none", expires_on="2026-03-10")
        assert _outcome(office) == "approve"
        assert ">0<" in analyst.get(LISTS).text

    def test_are_masked_and_found(self, office: Any, analyst: Seat) -> None:
        _add(analyst, "13800138000")
        _add(analyst, "10.0.0.0/8", reason="机房网段")
        page = analyst.get(OWN).text
        assert "13800138000" not in page
        assert "机房网段" not in analyst.get(f"{OWN}?q=13800138000").text
        assert "核实为冒用" not in analyst.get(f"{OWN}?q=机房").text

    @pytest.mark.parametrize(
        "odd",
        [
            {"value": " "},
            {"reason": ""},
            {"value": "x" * 201},
            {"expires_on": "2026-03-10"},
            {"expires_on": "soon"},
        ],
    )
    def test_need_a_value_a_reason_and_a_day_to_come(
        self, analyst: Seat, odd: dict[str, str]
    ) -> None:
        refused = _add(analyst, **odd)
        assert (refused.status_code, "请填写名单值与理由" in refused.text) == (422, True)

    def test_are_for_risk_staff(self, office: Any, analyst: Seat) -> None:
        auditor = office.house.seat("auditor")
        assert auditor.get(OWN).status_code == 200
        assert auditor.get(f"{OWN}/entries").status_code == 403
        assert analyst.get(f"{LISTS}/nothing").status_code == 404
        assert analyst.get(f"{OWN}/entries/9").status_code == 404
        _add(analyst)
        assert analyst.get(f"{LISTS}/prevention/entries/1").status_code == 404
