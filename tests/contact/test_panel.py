"""Contact's tab of the customer page, seen in the workplace of the whole house."""

from typing import Any

import pytest
from workplace import House, hash_quickly

from contact import queries
from contact.model import Channel

CUSTOMER = "/admin/customers/1"


@pytest.fixture
def house(desk: Any, monkeypatch: pytest.MonkeyPatch) -> House:
    hash_quickly(monkeypatch)
    desk.customers(2)
    return House.of(desk.runtime)


class TestMessages:
    def test_says_what_went_out_and_why_something_did_not(self, house: Any, desk: Any) -> None:
        desk.plan([1])
        desk.send()
        desk.plan([1], purpose="collection", template="overdue")
        desk.send()
        desk.plan([2])
        page = house.seat("collector").get(f"{CUSTOMER}/tabs/messages").text
        sent, blocked = page.index("已发送"), page.index("未放行")
        assert blocked < sent
        assert "已达频次上限" in page
        assert "1,234.56" in page
        assert "尾号0001" in page
        assert "13900000001" not in page
        assert "待发送" not in page

    def test_unfolds_into_text_and_steps(self, house: Any, desk: Any) -> None:
        desk.plan([1])
        sitting = house.seat("clerk")
        waiting = sitting.get(f"{CUSTOMER}/contacts/1/steps").text
        assert "金额在发送时按当时的欠款填写" in waiting
        desk.send()
        with desk.read() as session:
            (contact,) = queries.contacts_of(session, customer_id=1, limit=9)
        shown = sitting.get(f"{CUSTOMER}/contacts/1/steps").text
        assert contact.text in shown
        assert shown.index("发送中") < shown.index("已发送")
        assert sitting.get("/admin/customers/2/contacts/1/steps").status_code == 404

    def test_is_for_those_who_reach_people(self, house: Any) -> None:
        assert house.seat("finance").get(f"{CUSTOMER}/tabs/messages").status_code == 404
        assert house.seat("risk_analyst").get(f"{CUSTOMER}/contacts/1/steps").status_code == 403


class TestWrongNumber:
    at = f"{CUSTOMER}/addresses/1/wrong"

    def test_gives_the_number_up_once_and_says_so(self, house: Any, desk: Any) -> None:
        sitting = house.seat("collector")
        sent = sitting.fill(self.at, self.at)
        assert sent.status_code == 204
        assert sent.headers["HX-Redirect"] == f"{CUSTOMER}?tab=messages"
        with desk.read() as session:
            (address,) = queries.addresses_of(session, customer_id=1)
        assert address.retired_reason == "wrong_number"
        assert sitting.fill(self.at, self.at).status_code == 204
        (act,) = house.acts(action="contact.address.retired")
        assert (act.actor, act.subject) == ("collector", "customer:1")
        page = sitting.get(f"{CUSTOMER}/tabs/messages").text
        assert "号码有误 ·" in page
        assert "/addresses/1/wrong" not in page

    def test_takes_only_this_customers_phones(self, house: Any, desk: Any) -> None:
        (wechat,) = desk.customers(1, channel=Channel.WECHAT_TEMPLATE)
        sitting = house.seat("clerk")
        assert sitting.get(f"{CUSTOMER}/addresses/2/wrong").status_code == 404
        assert sitting.get(f"{CUSTOMER}/addresses/{wechat}/wrong").status_code == 404
        refused = sitting.post(f"{CUSTOMER}/addresses/2/wrong", key="k" * 22)
        assert refused.status_code == 404

    def test_auditors_only_look(self, house: Any) -> None:
        sitting = house.seat("auditor")
        assert "号码有误" not in sitting.get(f"{CUSTOMER}/tabs/messages").text
        assert sitting.post(self.at, key="k" * 22).status_code == 403
