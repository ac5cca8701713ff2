"""Money that came past WeChat Pay, and fees, in the dialogs: seen first, and decided on facts."""

import re
from datetime import timedelta
from typing import Any

import pytest
from acting import act, loan, look, rule, seal_of

from kernel.money import yuan
from servicing import operations, queries

PAID = {
    "amount": "100",
    "value_date": "2026-03-09",
    "channel": "bank-transfer",
    "reference": "BK20260309-1",
    "why": "客户到柜台说明",
}
FEE = {
    "name": "公证费",
    "payee": "公证处",
    "amount": "5",
    "due_on": "2026-03-20",
    "why": "客户申请",
}


def path_of(someone: Any, name: str, loan_id: int | None = None) -> str:
    return str(someone.at(f"/loans/{loan_id or someone.loan_id}/acts/{name}"))


class TestReceipts:
    def test_finance_books_a_transfer_alone_and_once(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk, path = workplace.seat("finance"), path_of(someone, "repay")
        before = loan(read, someone, workplace, someone.loan_id)
        assert act(desk, path, **PAID).status_code == 204
        after = loan(read, someone, workplace, someone.loan_id)
        assert after.remaining_fen == before.remaining_fen - 10_000
        history = someone.at(f"/loans/{someone.loan_id}/history/2")
        assert re.search(r"凭证号.{0,200}BK20260309-1", desk.get(history).text, re.DOTALL)
        (done,) = workplace.acts(action="servicing.loan.repaid")
        assert done.details["amount_fen"] == 10_000
        again = desk.fill(path, path, **PAID)
        assert (again.status_code, "这个凭证号已经入过账" in again.text) == (409, True)
        other = path_of(someone, "repay", someone.late_loan_id)
        assert desk.fill(other, other, **PAID).status_code == 409

    def test_a_clerk_needs_somebody_who_looks_at_the_proof(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        clerk, path = workplace.seat("clerk"), path_of(someone, "repay")
        assert workplace.seat("collector").fill(path, path, **PAID).status_code == 403
        assert act(clerk, path, **PAID).status_code == 204
        before = loan(read, someone, workplace, someone.loan_id)
        page = workplace.seat("chief", "finance").get("/admin/approvals/1").text
        for fact in ("BK20260309-1", "银行转账", "2026-03-09", "100.00", before.loan_no):
            assert fact in page
        rule(workplace, 1, "chief")
        after = loan(read, someone, workplace, someone.loan_id)
        assert after.remaining_fen == before.remaining_fen - 10_000

    def test_a_prepayment_shows_the_new_plan_of_each_effect(
        self, workplace: Any, someone: Any
    ) -> None:
        desk, path = workplace.seat("finance"), path_of(someone, "prepay")
        paid = PAID | {"amount": "1500", "value_date": "2026-03-10"}
        shorter = look(desk, path, **paid, effect="reduce-term")
        smaller = look(desk, path, **paid, effect="reduce-instalment")
        assert "今天结清需还" in shorter
        assert seal_of(shorter) != seal_of(smaller)
        ((terms,), (kept,)) = (re.findall(r"<ins>(\d+) 期，", page) for page in (shorter, smaller))
        assert (int(terms), int(kept)) == (3, 6)
        saved = re.search(r"比现在少付（元）.{0,300}?<ins>([\d.]+)<", shorter, re.DOTALL)
        assert saved is not None
        assert 50 < float(saved[1]) < 140  # of the interest to come, not of what is paid

    def test_money_on_a_claim_that_was_given_up_is_offered_then_alone(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("finance")
        at = someone.at(f"/loans/{someone.late_loan_id}/plan")
        assert "登记核销后收回" not in desk.get(at).text
        now = workplace.runtime.clock.now()
        with workplace.runtime.database.write() as session:
            by = {"on": now.date(), "key": "w", "actor": "qian", "now": now}
            operations.write_off(session, loan_id=someone.late_loan_id, **by)
        menu = desk.get(at).text
        assert ("登记核销后收回" in menu, "登记线下还款" in menu) == (True, False)
        path = path_of(someone, "recover", someone.late_loan_id)
        page = look(desk, path, **PAID | {"value_date": "2026-03-10"})
        assert re.search(r"核销后已收回（元）.{0,200}100\.00", page, re.DOTALL)
        done = act(desk, path, **PAID | {"value_date": "2026-03-10"})
        assert done.status_code == 204
        entries = read(queries.entries_of, loan_id=someone.late_loan_id)
        assert entries[-1].kind == "recovery"


class TestFees:
    def test_a_fee_is_the_borrowers_with_their_yes_and_decided_on_its_cost_table(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        clerk, path = workplace.seat("clerk"), path_of(someone, "charge")
        before = loan(read, someone, workplace, someone.loan_id)
        page = look(clerk, path, **FEE)
        assert "代收费用（公证处）" in page
        refused = clerk.fill(path, path, **FEE, seen=seal_of(page))
        assert (refused.status_code, "请先阅读并确认" in refused.text) == (409, True)
        assert act(clerk, path, **FEE, confirmed="counter").status_code == 204
        facts = workplace.seat("chief", "risk_manager").get("/admin/approvals/1").text
        for fact in (
            "公证费",
            "综合融资成本明示表",
            "客户已确认",
            "代收费用（公证处）",
            "涉及金额",
        ):
            assert fact in facts
        rule(workplace, 1, "chief")
        after = loan(read, someone, workplace, someone.loan_id)
        assert after.remaining_fen == before.remaining_fen + 500

    def test_a_fee_on_each_instalment_counts_for_all_of_them(
        self, workplace: Any, someone: Any
    ) -> None:
        fee = {name: FEE[name] for name in ("name", "payee", "why")} | {"amount": "1"}
        page = look(workplace.seat("clerk"), path_of(someone, "charge-instalments"), **fee)
        assert re.search(r"比现在多付（元）.{0,200}6\.00", page, re.DOTALL)


class TestApprovals:
    """The second person reads what it is about, and sees the plan before and after."""

    def test_name_the_loan_and_hide_its_owner(self, workplace: Any, someone: Any) -> None:
        path = path_of(someone, "extension")
        form = {"extra_terms": "2", "why": "客户申请", "confirmed": "counter"}
        assert act(workplace.seat("clerk"), path, **form).status_code == 204
        desk = workplace.seat("chief", "risk_manager")
        for page in (desk.get("/admin/approvals").text, desk.get("/admin/approvals/1").text):
            assert "customer:1:loan:1" not in page
            assert f'href="{someone.at()}"' in page
            assert "平板电脑 · 欧" in page
            assert not any(secret in page for secret in someone.secrets)
        assert ("原还款计划" in page, "新还款计划" in page) == (True, True)
        assert page.count("<tr><td>2026-") + page.count("<tr><td>2027-") == 6 + 8

    def test_of_an_offer_show_the_table_that_the_customer_will_confirm(
        self, workplace: Any, someone: Any
    ) -> None:
        path = someone.at(f"/offers/new/extension/{someone.loan_id}")
        form = {"extra_terms": "2", "valid_until": "2026-03-20", "why": "客户申请"}
        assert act(workplace.seat("clerk"), path, **form).status_code == 204
        page = workplace.seat("chief", "risk_manager").get("/admin/approvals/1").text
        assert ("综合融资成本明示表" in page, "由客户在微信里确认" in page) == (True, True)

    def test_of_a_line_name_it_and_show_no_loan(self, workplace: Any, someone: Any) -> None:
        path = someone.at(f"/offers/new/line-raise/{someone.line_id}")
        form = {"amount": "20000", "valid_until": "2026-03-20", "why": "按时还款"}
        assert act(workplace.seat("clerk"), path, **form).status_code == 204
        page = workplace.seat("chief", "risk_manager").get("/admin/approvals/1").text
        assert ("授信额度" in page, "历史与还原" in page) == (True, False)


TODAY = PAID | {"value_date": "2026-03-10"}
_ASKED: dict[str, dict[str, str]] = {
    "repay": TODAY,
    "prepay": TODAY | {"effect": "reduce-term"},
    "recover": TODAY,
    "charge": FEE,
    "charge-instalments": FEE,
    "waive": {"component": "interest", "amount": "1"},
    "goodwill": {"amount": "1"},
    "freeze-interest": {"first_on": "2026-03-11"},
    "freeze-penalty": {"first_on": "2026-03-11"},
    "extension": {"extra_terms": "1"},
    "due-day": {"due_day": "15"},
    "grace": {"periods": "1"},
    "holiday": {"periods": "1"},
    "re-price": {"rate": "1", "from_on": "2026-03-10"},
    "re-age": {"first_due_on": "2026-04-10", "terms": "3"},
    "re-amortise": {},
    "terminate": {},
    "cancel-purchase": {"amount": "1"},
    "charge-back": {"seq": "2", "amount": "1"},
    "draw": {"amount": "1"},
    "end-drawing": {},
    "reverse": {"seq": "1"},
    "charge-off": {},
    "write-off": {},
}
# Says nothing to whoever has to go on from there.
_SAY_NOTHING = ("当前状态不支持", "系统繁忙", "操作冲突", "输入有误")


# What is among what cannot be done then.
_REFUSED = {
    "running": {"recover", "terminate", "charge-off", "re-age", "re-amortise", "draw", "reverse"},
    "paid": {"repay", "prepay", "waive", "goodwill", "extension", "write-off", "re-price"},
    "given up": {"repay", "prepay", "charge", "charge-back", "due-day", "cancel-purchase"},
    "undone": {"repay", "extension", "holiday", "terminate", "charge-off"},
}


class TestRefusals:
    """Whatever a loan is in the way of, the dialog says in Chinese what it is."""

    def ended(self, session: Any, someone: Any, now: Any, how: str) -> None:
        by = {"loan_id": someone.loan_id, "on": now.date(), "actor": "qian", "now": now}
        if how == "given up":
            operations.write_off(session, key="w", **by)
        elif how == "paid":
            quote = queries.settlement_quote(
                session, loan_id=someone.loan_id, customer_id=someone.id, on=now.date()
            )
            operations.post_prepayment(
                session,
                loan_id=someone.loan_id,
                amount_fen=quote.amount_fen,
                value_date=now.date(),
                key="p",
                now=now,
            )
        elif how == "undone":
            operations.cancel_purchase(session, amount_fen=300_000, bears_cost=False, key="c", **by)

    @pytest.mark.parametrize("how", ["running", "paid", "given up", "undone"])
    def test_are_sentences_that_say_why(self, workplace: Any, someone: Any, how: str) -> None:
        now = workplace.runtime.clock.now()
        with workplace.runtime.database.write() as session:
            self.ended(session, someone, now, how)
        desk = workplace.seat("boss", "finance", "risk_manager", "clerk", "collector")
        refused = {}
        for name, form in _ASKED.items():
            path = path_of(someone, name)
            answer = desk.fill(path, path, **{"why": "核对"} | form)
            if answer.status_code != 200:
                (said,) = re.findall(r'role="alert">([^<]+)<', answer.text)
                refused[name] = said
        assert set(refused) >= _REFUSED[how]
        for said in refused.values():
            assert re.fullmatch(r"[\u3000-\u9fff\uff00-\uffef“” 0-9]+", said), said
            assert not any(nothing in said for nothing in _SAY_NOTHING), said


class TestQuotes:
    """What paying ahead comes to is told without anything happening."""

    def test_of_all_of_it_on_a_day_is_what_ends_the_loan_then(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk, path = workplace.seat("clerk"), someone.at(f"/loans/{someone.loan_id}/quote")
        on = workplace.runtime.clock.now().date() + timedelta(days=5)
        asked = read(
            queries.settlement_quote, loan_id=someone.loan_id, customer_id=someone.id, on=on
        )
        page = desk.fill(path, path, amount="", on=on.isoformat(), effect="reduce-term").text
        assert f"仅 {on} 当天有效" in page
        assert yuan(asked.amount_fen) in page
        assert len(read(queries.loan_events, loan_id=someone.loan_id)) == 1

    def test_of_a_part_shows_the_new_plan(self, workplace: Any, someone: Any) -> None:
        desk, path = workplace.seat("clerk"), someone.at(f"/loans/{someone.loan_id}/quote")
        today = {"on": "2026-03-10", "effect": "reduce-instalment"}
        page = desk.fill(path, path, amount="1000", **today).text
        assert ("新的还款计划" in page, "比现在少付" in page) == (True, True)

    @pytest.mark.parametrize(
        ("amount", "on", "said"),
        [
            ("", "2026-03-09", "只能按今天试算"),
            ("", "2026-04-11", "只能按今天试算"),
            ("100", "2026-03-11", "只能按今天试算"),
            ("9000", "2026-03-10", "超过全部剩余应还"),
            ("0.01", "2026-03-10", "请提高金额"),
            ("cake", "2026-03-10", "金额格式不正确"),
        ],
    )
    def test_say_what_cannot_be_quoted(
        self, workplace: Any, someone: Any, amount: str, on: str, said: str
    ) -> None:
        desk, path = workplace.seat("clerk"), someone.at(f"/loans/{someone.loan_id}/quote")
        answer = desk.fill(path, path, amount=amount, on=on, effect="reduce-term")
        assert answer.status_code in (409, 422)
        assert said in answer.text
