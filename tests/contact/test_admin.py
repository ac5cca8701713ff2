"""Contact's staff pages: a day in numbers, three lists, a person's word on what is unclear."""

from typing import Any

import pytest
from workplace import House, hash_quickly, post

from contact import queries
from desk.queries import AuditFilter, audit_entries
from kernel.clock import business_date

REASON = "服务商后台可查到"


@pytest.fixture
def house(desk: Any, monkeypatch: pytest.MonkeyPatch) -> House:
    """A day on which one message went out, one got lost, two were stopped and one waits."""
    hash_quickly(monkeypatch)
    desk.customers(5)
    desk.plan([1, 2, 3, 4])
    desk.servicing.paid = {3, 4}
    desk.providers.script["SendSms"] = ["hang"]
    desk.send()
    desk.plan([5])
    return House.of(desk.runtime)


def lost(house: House) -> int:
    with house.runtime.database.read() as session:
        (contact,) = queries.unknown_contacts(session, limit=9)
    return contact.id


def trail(house: House) -> list[tuple[str, str, Any]]:
    with house.runtime.database.read() as session:
        found = audit_entries(session, wanted=AuditFilter(action="contact"), limit=9)
    return [(entry.actor, entry.subject, entry.details) for entry in found]


class TestContacts:
    def test_show_the_day_and_its_lists(self, house: House) -> None:
        client = house.member("chen", "collector")
        page = client.get("/admin/contacts").text
        assert f"/admin/contacts/{lost(house)}" in page
        assert "共 1 条" in page
        assert "已还款，不再需要" in client.get("/admin/contacts?list=blocked").text
        assert "共 2 条" in client.get("/admin/contacts?list=blocked&reason=paid").text
        assert (
            "今天没有未放行的消息" in client.get("/admin/contacts?list=blocked&reason=quota").text
        )
        assert "客户 #5" in client.get("/admin/contacts?list=waiting").text
        assert "未放行 2 · 待发送 1 · 待查 1" in client.get("/admin/").text

    def test_show_no_address_in_clear(self, house: House) -> None:
        client = house.member("chen", "collector")
        for path in ("/admin/contacts", "/admin/contacts?list=waiting", "/admin/contacts/1"):
            assert "1390000" not in client.get(path).text

    @pytest.mark.parametrize(
        ("role", "view", "settle"),
        [
            ("clerk", 200, 302),
            ("collector", 200, 302),
            ("risk_manager", 200, 302),
            ("auditor", 200, 403),
            ("operator", 403, 403),
        ],
    )
    def test_open_for_the_roles_that_reach_people(
        self, house: House, role: str, view: int, settle: int
    ) -> None:
        client, contact_id = house.member("someone", role), lost(house)
        assert client.get("/admin/contacts").status_code == view
        page = client.get(f"/admin/contacts/{contact_id}")
        assert page.status_code == view
        assert ("确认结果" in page.text) == (settle == 302)
        answer = post(
            client, f"/admin/contacts/{contact_id}/settle", outcome="delivered", reason=REASON
        )
        assert answer.status_code == settle


class TestOneContact:
    def test_shows_each_step(self, house: House) -> None:
        page = house.member("chen", "collector").get(f"/admin/contacts/{lost(house)}").text
        steps = [
            page.rindex(words) for words in ("计划", "关口放行，开始发送", "没有得到答复，结果待查")
        ]
        assert steps == sorted(steps)
        assert "尾号000" in page

    def test_is_not_found_where_there_is_none(self, house: House) -> None:
        client = house.member("chen", "collector")
        assert client.get("/admin/contacts/99").status_code == 404
        answer = post(client, "/admin/contacts/99/settle", outcome="failed", reason=REASON)
        assert answer.status_code == 404


class TestSettle:
    @pytest.mark.parametrize(("outcome", "state"), [("delivered", "sent"), ("failed", "failed")])
    def test_keeps_what_a_person_found_out_once(
        self, house: House, outcome: str, state: str
    ) -> None:
        client, contact_id = house.member("chen", "collector"), lost(house)
        path = f"/admin/contacts/{contact_id}/settle"
        form = {"outcome": outcome, "reason": REASON, "note": "工单 12"}
        assert post(client, path, **form).status_code == 302
        again = post(client, path, **form)
        assert (again.status_code, "状态已变化" in again.text) == (409, True)
        with house.runtime.database.read() as session:
            settled = queries.contact_view(session, contact_id=contact_id)
            last = queries.events_of(session, contact_id=contact_id)[-1]
            board = queries.contact_board(session, on=business_date(house.clock.now()))
        assert settled is not None
        assert (settled.state, last.actor, board.unknown) == (state, "chen", 0)
        details = {"was_delivered": outcome == "delivered", "reason": REASON, "note": "工单 12"}
        assert trail(house) == [("chen", f"contact:{contact_id}", details)]

    @pytest.mark.parametrize(
        "form", [{"outcome": "delivered", "reason": ""}, {"outcome": "maybe", "reason": REASON}]
    )
    def test_needs_an_outcome_and_how_one_knows(self, house: House, form: dict[str, str]) -> None:
        client = house.member("chen", "collector")
        answer = post(client, f"/admin/contacts/{lost(house)}/settle", **form)
        assert (answer.status_code, "请填写理由" in answer.text) == (422, True)
        assert trail(house) == []
