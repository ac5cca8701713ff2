"""Lists on their pages: entries with source, reason, expiry and appeal; values masked."""

from datetime import date
from typing import Any

import pytest
from workplace import Seat

from kernel.identity import id_number_index
from risk.decisions.list_values import kept_value
from risk.decisions.listed import entries_of, make_list, terms_of
from risk.strategy.language import Match
from risk.strategy.lists import ListKind, ListTerms

LISTS = "/admin/risk/lists"
OWN = f"{LISTS}/own-blocked"


PERSON = "99000019900101005X"


def _add(seat: Seat, value: str = PERSON, at: str = OWN, **more: str) -> Any:
    form = {"value": value, "reason": "核实为冒用", "expires_on": ""} | more
    return seat.fill(f"{at}/entries", f"{at}/entries", **form)


def _change(seat: Seat, **form: str) -> Any:
    given = {"expires_on": "", "appeal": "open", "reason": "客户申诉"} | form
    return seat.fill(f"{OWN}/entries/1", f"{OWN}/entries/1", **given)


def _approve(seat: Seat, approval: int) -> Any:
    return seat.post(f"/admin/approvals/{approval}/decide", decision="approve", note="")


def _outcome(office: Any) -> Any:
    service = office.house.app.wsgi_app._service
    service.holder.in_force()
    service.holder.look()
    person = id_number_index(office.house.runtime.cipher, PERSON)
    return office.decide(identity_key=person)["outcome"]


def _make(office: Any, kind: ListKind) -> str:
    """Make a list of a kind; returns its page."""
    runtime, terms = office.house.runtime, ListTerms(title="试", kind=kind, match=Match.EXACT)
    with runtime.database.write() as session:
        make_list(session, name="some", now=runtime.clock.now(), terms=terms)
    return f"{LISTS}/some"


class TestNewList:
    def _new(self, seat: Seat, **changes: str) -> Any:
        form = {"name": "phones-x", "title": "骚扰电话", "kind": "phone", "match": "exact"}
        return seat.fill(f"{LISTS}/new", f"{LISTS}/new", **form | changes)

    def test_is_made_and_filled(self, office: Any, analyst: Seat) -> None:
        assert self._new(analyst, needs_second="1").status_code == 204
        with office.house.runtime.database.read() as session:
            made = terms_of(session, name="phones-x")
        assert made == ListTerms(
            title="骚扰电话", kind=ListKind.PHONE, match=Match.EXACT, needs_second=True
        )
        page = analyst.get(LISTS).text
        assert all(said in page for said in ("骚扰电话", "phones-x", "手机号"))
        assert _add(analyst, "13800138000", f"{LISTS}/phones-x").status_code == 204
        (act, _) = office.house.acts(subject="list:phones-x")
        assert (act.action, act.actor) == ("risk.list.made", "risk_analyst")

    @pytest.mark.parametrize(
        ("odd", "status", "said"),
        [
            ({"name": "Phones X"}, 422, "编号须为小写字母开头"),
            ({"name": "new"}, 422, "编号须为小写字母开头"),
            ({"title": ""}, 422, "请填写名称"),
            ({"title": "x" * 65}, 422, "请填写名称"),
            ({"kind": "face"}, 422, "请选择值的类型"),
            ({"kind": "phone", "match": "cidr"}, 422, "匹配方式与值的类型不符"),
            ({"name": "own-blocked"}, 409, "该编号的名单已存在"),
        ],
    )
    def test_that_is_odd_or_there_is_refused(
        self, analyst: Seat, odd: dict[str, str], status: int, said: str
    ) -> None:
        refused = self._new(analyst, **odd)
        assert (refused.status_code, said in refused.text) == (status, True)

    def test_is_for_who_may_edit(self, office: Any) -> None:
        assert office.house.seat("auditor").get(f"{LISTS}/new").status_code == 403


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
        assert all(PERSON not in str(act.details) for act in acts)

    def test_of_the_sanction_list_begin_and_end_by_two(self, office: Any, analyst: Seat) -> None:
        at, manager = f"{LISTS}/prevention", office.house.seat("risk_manager")
        assert _add(analyst, at=at).status_code == 204
        assert _outcome(office) == "approve"
        assert "核实为冒用" in manager.get("/admin/approvals/1").text
        assert _approve(analyst, 1).status_code == 403
        _approve(manager, 1)
        assert _outcome(office) == "decline"
        form = {"expires_on": "", "appeal": "upheld", "reason": "同名误列"}
        assert analyst.fill(f"{at}/entries/1", f"{at}/entries/1", **form).status_code == 204
        assert _outcome(office) == "decline"
        assert "申诉成立" in manager.get("/admin/approvals/2").text
        _approve(manager, 2)
        assert _outcome(office) == "approve"
        assert all(PERSON not in str(act.details) for act in office.house.acts())

    def test_of_the_sanction_list_are_not_decided_by_their_proposer(self, office: Any) -> None:
        manager = office.house.seat("risk_manager")
        assert _add(manager, at=f"{LISTS}/prevention").status_code == 204
        assert _approve(manager, 1).status_code == 403
        assert _add(manager, at=f"{LISTS}/prevention").status_code == 409
        assert _outcome(office) == "approve"

    def test_end_on_their_day(self, office: Any, analyst: Seat) -> None:
        _add(analyst)
        _change(analyst, appeal="none", expires_on="2026-03-10")
        assert _outcome(office) == "approve"
        assert ">0<" in analyst.get(LISTS).text

    def test_are_masked_and_found(self, office: Any, analyst: Seat) -> None:
        at = _make(office, ListKind.TEXT)
        _add(analyst, "imei-13800138000", at)
        _add(analyst, "富昌电子厂", at, reason="空壳单位")
        page = analyst.get(at).text
        assert "13800138000" not in page
        assert "空壳单位" not in analyst.get(f"{at}?q=13800138000").text
        assert "核实为冒用" not in analyst.get(f"{at}?q=空壳").text

    @pytest.mark.parametrize(
        ("kind", "typed", "right"),
        [
            (ListKind.IDENTITY, " 990000 19900101 005x ", PERSON),
            (ListKind.PHONE, "+86 138-0013-8000", "13800138000"),
        ],
    )
    def test_of_people_are_kept_by_their_index_and_found_by_their_number(
        self, office: Any, analyst: Seat, kind: ListKind, typed: str, right: str
    ) -> None:
        at = _make(office, kind)
        assert _add(analyst, typed, at).status_code == 204
        with office.house.runtime.database.read() as session:
            (entry,) = entries_of(session, name="some", on=date(2026, 3, 10), limit=9)
        assert entry.entry.value == kept_value(office.house.runtime.cipher, kind=kind, text=right)
        assert right not in entry.entry.value
        assert "核实为冒用" in analyst.get(at, query_string={"q": right}).text
        assert "核实为冒用" not in analyst.get(at, query_string={"q": "99000019900101001"}).text

    @pytest.mark.parametrize(
        ("kind", "typed", "said"),
        [
            (ListKind.IDENTITY, "990000199001010051", "证件号须为18位且校验位正确"),
            (ListKind.IDENTITY, "k-17", "证件号须为18位且校验位正确"),
            (ListKind.PHONE, "12800138000", "手机号须为11位大陆手机号"),
            (ListKind.NETWORK, "10.0.0.0/99", "须为网段或IP地址"),
        ],
    )
    def test_of_another_kind_are_refused(
        self, office: Any, analyst: Seat, kind: ListKind, typed: str, said: str
    ) -> None:
        refused = _add(analyst, typed, _make(office, kind))
        assert (refused.status_code, said in refused.text) == (422, True)

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
