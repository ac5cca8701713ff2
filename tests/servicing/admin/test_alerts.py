"""Alerts in sentences, closed once with a note by those who may."""

from typing import Any

import pytest
from workplace import House, post

from desk.queries import AuditFilter, audit_entries
from servicing import operations, queries

FROZEN = {"grade": "E", "reasons": ["近 12 个月最长逾期 64 天", "line-too-small"]}
REFUND = {"out_refund_no": "RF1", "amount_fen": 103_015, "why": "stuck", "last_code": "BUSY"}


STOPPED = {
    "strategy": "s",
    "version": 4,
    "why": "another champion is in force; approve share 0.0% below 40.0%",
    "broken": [
        {"rail": "other-champion"},
        {"rail": "approve_share_least", "found": 0.0, "bound": 0.4},
        {"rail": "p99_ms_most", "found": 120.0, "bound": 80.0},
    ],
}


@pytest.fixture
def raised(workplace: House, book: Any) -> None:
    """One alert of each kind, and one of a kind nobody has words for."""
    with workplace.runtime.database.write() as session:
        customer_id = book.customer(session, name="张三")
        for kind, whose, details in (
            ("line-frozen", customer_id, FROZEN),
            ("refund-failed", customer_id, REFUND),
            ("books-differ", None, {"differences": ["entry 7 is off by 3 fen"]}),
            ("new-kind", None, {"clue": "x9"}),
        ):
            operations.raise_alert(
                session,
                key=kind,
                kind=kind,
                severity="high",
                customer_id=whose,
                details=details,
                now=book.now,
            )


def trail(house: House) -> list[tuple[str, str, Any]]:
    with house.runtime.database.read() as session:
        found = audit_entries(session, wanted=AuditFilter(action="servicing.alert"), limit=9)
    return [(entry.actor, entry.subject, entry.details) for entry in found]


@pytest.mark.usefixtures("raised")
class TestAlerts:
    def test_say_what_happened(self, workplace: House) -> None:
        page = workplace.member("lijing", "risk_analyst").get("/admin/alerts").text
        assert "评级为 E，额度已自动冻结" in page
        assert "近 12 个月最长逾期 64 天 · 可用额度不足或额度已冻结" in page
        assert "退款 ¥1,030.15 未成功：多次提交仍无结果" in page
        assert "RF1 · BUSY" in page
        assert "夜间对账发现 1 处差异" in page
        assert "clue x9" in page
        assert "张*" in page
        assert "张三" not in page

    def test_are_filtered_by_kind(self, workplace: House) -> None:
        page = workplace.member("lijing", "risk_analyst").get("/admin/alerts?kind=refund-failed")
        assert "RF1" in page.text
        assert "评级为 E" not in page.text
        assert "共 1 条" in page.text

    @pytest.mark.parametrize(
        ("role", "view", "close"),
        [
            ("risk_manager", 200, 302),
            ("risk_analyst", 200, 302),
            ("finance", 200, 302),
            ("auditor", 200, 403),
            ("collector", 403, 403),
        ],
    )
    def test_open_for_the_roles_that_act_on_them(
        self, workplace: House, role: str, view: int, close: int
    ) -> None:
        client = workplace.member("someone", role)
        page = client.get("/admin/alerts")
        assert page.status_code == view
        assert ("/admin/alerts/1/close" in page.text) == (close == 302)
        assert post(client, "/admin/alerts/1/close", note="核实").status_code == close


@pytest.mark.usefixtures("raised")
class TestClose:
    def test_closes_once_and_is_on_record_once(self, workplace: House) -> None:
        client = workplace.member("lijing", "risk_analyst")
        assert "评级为 E" in client.get("/admin/alerts/1/close").text
        for note in ("已电话联系", "又一次"):
            assert post(client, "/admin/alerts/1/close", note=note).status_code == 302
        page = client.get("/admin/alerts?state=closed").text
        assert "已电话联系" in page
        assert "又一次" not in page
        assert trail(workplace) == [("lijing", "alert:1", {"note": "已电话联系"})]
        with workplace.runtime.database.read() as session:
            assert [alert.id for alert in queries.alerts(session)] == [4, 3, 2]

    def test_needs_a_note(self, workplace: House) -> None:
        client = workplace.member("lijing", "risk_analyst")
        answer = post(client, "/admin/alerts/1/close", note="  ")
        assert (answer.status_code, "请填写理由" in answer.text) == (422, True)
        assert trail(workplace) == []

    def test_knows_no_other_alert(self, workplace: House) -> None:
        client = workplace.member("lijing", "risk_analyst")
        assert client.get("/admin/alerts/99/close").status_code == 404
        assert post(client, "/admin/alerts/99/close", note="核实").status_code == 404


@pytest.mark.usefixtures("raised")
def test_the_tile_counts_open_alerts_by_kind(workplace: House) -> None:
    client = workplace.member("lijing", "risk_analyst")
    assert "账务差异 1 · 额度冻结 1 · new-kind 1 · 退款未成功 1" in client.get("/admin/").text
    for alert_id in (1, 2, 3, 4):
        post(client, f"/admin/alerts/{alert_id}/close", note="核实")
    assert "没有新的异常" in client.get("/admin/").text


def test_tell_in_words_what_was_kept_in_codes_and_what_was_kept_in_words(
    workplace: House, book: Any
) -> None:
    with workplace.runtime.database.write() as session:
        customer_id = book.customer(session)
        for key, whose, details in (
            ("challenge-stopped", None, STOPPED),
            ("challenge-stopped-before", None, {"strategy": "s", "version": 3, "why": "p99 slow"}),
            ("payment-mismatch", customer_id, {"told_fen": 5, "amount_fen": 700}),
            ("payment-refunded-elsewhere", customer_id, {"amount_fen": 900}),
            ("refund-unknown", None, {"out_refund_no": "RF9"}),
            ("webhook-disabled", None, {"endpoint_id": 1, "partner": "shop", "why": "gone"}),
            ("bill-late", None, {"on": "2026-03-09", "why": "NO_STATEMENT_EXIST"}),
        ):
            operations.raise_alert(
                session, key=key, kind=key.removesuffix("-before"), severity="high",
                customer_id=whose, details=details, now=book.now,
            )  # fmt: skip
    page = workplace.member("lijing", "risk_analyst").get("/admin/alerts").text
    for words in (
        "策略 s 第 4 版的挑战已自动中止",
        "生效版本已更换 · 通过率 0%，低于下限 40% · 决策耗时 p99 120 ms，高于上限 80 ms",
        "p99 slow",
        "通知金额 ¥0.05，付款单 ¥7.00，未入账",
        "付款单 ¥9.00 在商户平台被退款",
        "RF9",
        "合作方 shop 的回调已停用：对方已下线",
        "平台没有给出该日账单",
    ):
        assert words in page
