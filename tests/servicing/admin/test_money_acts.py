"""Money acts and offers on the customer page: seen first, done alone or by two, and undone."""

import re
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from acting import act, loan, look, rule, seal_of

from desk.operations import BeyondAuthority, undo
from servicing import operations, queries
from servicing.admin import words
from servicing.admin.money_acts import DONE
from servicing.admin.previewed import ShownChanged
from servicing.operations.money_acts import ACTS
from servicing.tables import CostDisclosure

WAIVE = {"component": "interest", "amount": "30.00", "why": "系统计费争议"}


def test_the_menu_holds_every_act_once() -> None:
    shown = [code for group in words.acts(is_drawable=True, status="active") for code, _ in group]
    assert sorted([*shown, "recover"]) == sorted(words.MONEY_ACTS)
    assert set(words.MONEY_ACTS) == set(ACTS) == set(DONE)


class TestAlone:
    def test_nothing_happens_before_it_was_seen(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("clerk")
        path = someone.at(f"/loans/{someone.loan_id}/acts/waive")
        before = loan(read, someone, workplace, someone.loan_id)
        page = look(desk, path, **WAIVE)
        assert "在您的权限内" in page
        assert "剩余应还" in page
        assert loan(read, someone, workplace, someone.loan_id) == before
        assert act(desk, path, **WAIVE).status_code == 204
        after = loan(read, someone, workplace, someone.loan_id)
        assert after.remaining_fen == before.remaining_fen - 3_000
        (done,) = workplace.acts(action="servicing.loan.waived")
        assert done.details["amount_fen"] == 3_000

    def test_what_is_given_in_pieces_counts_together(self, workplace: Any, someone: Any) -> None:
        desk = workplace.seat("clerk")
        path = someone.at(f"/loans/{someone.loan_id}/acts/waive")
        assert act(desk, path, **WAIVE).status_code == 204
        assert "须由另一位同事" in look(desk, path, **WAIVE)
        goodwill = someone.at(f"/loans/{someone.loan_id}/acts/goodwill")
        assert "须由另一位同事" in look(desk, goodwill, amount="20.01", why="x")
        assert "在您的权限内" in look(desk, goodwill, amount="20", why="x")
        other = workplace.seat("zhao", "clerk")
        assert "在您的权限内" in look(other, path, **WAIVE)

    def test_a_seal_of_another_look_shows_again(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("clerk")
        path = someone.at(f"/loans/{someone.loan_id}/acts/waive")
        seal = seal_of(look(desk, path, **WAIVE))
        answer = desk.fill(path, path, **WAIVE | {"amount": "40"}, seen=seal)
        assert answer.status_code == 200
        assert seal_of(answer.text) not in ("", seal)
        assert workplace.acts(action="servicing.loan.") == []

    def test_a_freeze_is_listed_and_undone(self, workplace: Any, someone: Any, read: Any) -> None:
        desk = workplace.seat("risk_manager")
        path = someone.at(f"/loans/{someone.loan_id}/acts/freeze-interest")
        form = {"first_on": "2026-03-11", "last_on": "2026-03-20", "why": "受灾"}
        before = loan(read, someone, workplace, someone.loan_id)
        assert act(desk, path, **form).status_code == 204
        # The period has 28 days: 18 of them at 1.50 in place of 45.00, and less later for it.
        after = loan(read, someone, workplace, someone.loan_id)
        assert 1_800 <= before.remaining_fen - after.remaining_fen < 2_000
        page = desk.get(someone.at()).text
        assert "冻结利息" in page
        assert "2026-03-20" in page
        at = someone.at(f"/loans/{someone.loan_id}/acts/reverse")
        assert f"{at}?seq=2" in page
        taken_back = {"seq": "2", "why": "受灾情况不实"}
        assert workplace.seat("collector").fill(at, at, **taken_back).status_code == 403
        assert "须由另一位同事" in look(workplace.seat("clerk"), at, **taken_back)
        assert act(desk, at, **taken_back).status_code == 204
        assert loan(read, someone, workplace, someone.loan_id) == before
        assert "已撤销" in desk.get(someone.at()).text

    @pytest.mark.parametrize(
        ("form", "status", "words"),
        [
            ({"amount": "0"}, 422, "金额格式不正确"),
            ({"component": "cake"}, 422, "请从列表中选择"),
            ({"component": "fee"}, 409, "超过该项目前所欠"),
            ({"why": ""}, 422, "请填写必填项"),
        ],
    )
    def test_says_in_the_dialog_what_is_wrong(
        self, workplace: Any, someone: Any, form: dict[str, str], status: int, words: str
    ) -> None:
        path = someone.at(f"/loans/{someone.loan_id}/acts/waive")
        answer = workplace.seat("clerk").fill(path, path, **WAIVE | form)
        assert answer.status_code == status
        assert words in answer.text

    def test_who_has_no_authority_does_nothing(self, workplace: Any, someone: Any) -> None:
        path = someone.at(f"/loans/{someone.loan_id}/acts/write-off")
        assert workplace.seat("clerk").fill(path, path, why="x").status_code == 403
        assert workplace.seat("auditor").get(path).status_code == 403

    def test_a_loan_is_late_before_it_is_charged_off(self, workplace: Any, someone: Any) -> None:
        path = someone.at(f"/loans/{someone.loan_id}/acts/charge-off")
        assert workplace.seat("finance").fill(path, path, why="x").status_code == 409


class TestTheBorrowersYes:
    """What costs the borrower more is confirmed by them at the counter, and kept."""

    HOLIDAY: ClassVar[dict[str, str]] = {"periods": "1", "why": "客户住院，当面申请"}

    def test_is_asked_for_in_the_dialog_and_kept_with_its_seconds(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("risk_manager")
        path = someone.at(f"/loans/{someone.loan_id}/acts/holiday")
        before = loan(read, someone, workplace, someone.loan_id)
        page = look(desk, path, **self.HOLIDAY)
        assert "综合融资成本明示表" in page
        shown_at = re.search(r'name="shown_at" value="(\d+)"', page)
        assert shown_at is not None
        form = {**self.HOLIDAY, "seen": seal_of(page), "shown_at": str(int(shown_at[1]) - 40)}
        refused = desk.fill(path, path, **form)
        assert (refused.status_code, "请先阅读并确认" in refused.text) == (409, True)
        assert loan(read, someone, workplace, someone.loan_id) == before
        done = desk.fill(path, path, **form, confirmed="counter")
        assert done.status_code == 204
        (noted,) = workplace.acts(action="servicing.loan.holiday_given")
        assert noted.details["confirmed"] == "counter"
        assert noted.details["remaining_before_fen"] == before.remaining_fen
        with workplace.runtime.database.read() as session:
            kept = session.get_one(CostDisclosure, noted.details["disclosure_id"])
            assert (kept.customer_id, kept.seconds_shown) == (someone.id, 40)
            assert kept.content["kind"] == "payment-holiday"

    def test_goes_with_the_proposal_that_a_second_person_decides(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        before = loan(read, someone, workplace, someone.loan_id)
        path = someone.at(f"/loans/{someone.loan_id}/acts/extension")
        form = {"extra_terms": "2", "why": "客户电话申请", "confirmed": "phone"}
        assert act(workplace.seat("clerk"), path, **form).status_code == 204
        assert loan(read, someone, workplace, someone.loan_id) == before
        page = workplace.seat("wang", "risk_manager").get("/admin/approvals/1").text
        assert "电话逐项告知" in page
        workplace.runtime.clock.advance(timedelta(days=1))
        workplace.hire("chief", "risk_manager")
        rule(workplace, 1, "chief")
        after = loan(read, someone, workplace, someone.loan_id)
        assert after.terms == before.terms + 2

    def test_is_not_asked_for_where_nothing_costs_more(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("risk_manager")
        path = someone.at(f"/loans/{someone.loan_id}/acts/re-price")
        form = {"rate": "12", "from_on": "2026-03-10", "why": "挽留"}
        assert "综合融资成本明示表" not in look(desk, path, **form)
        assert act(desk, path, **form).status_code == 204
        (noted,) = workplace.acts(action="servicing.loan.re_priced")
        assert noted.details["remaining_after_fen"] < noted.details["remaining_before_fen"]
        assert "disclosure_id" not in noted.details


class TestWhatIsShown:
    """Whoever does or approves an act sees all that it comes to."""

    def test_of_a_new_plan_tells_its_first_instalment_and_the_difference(
        self, workplace: Any, someone: Any
    ) -> None:
        desk = workplace.seat("risk_manager")
        path = someone.at(f"/loans/{someone.late_loan_id}/acts/re-age")
        page = look(desk, path, first_due_on="2026-04-10", terms="9", why="重大疾病")
        assert "每期约 ¥0.00" not in page
        assert "比现在少付（元）" in page

    def test_of_another_due_day_tells_the_interest_of_the_gap(
        self, workplace: Any, someone: Any
    ) -> None:
        desk = workplace.seat("clerk")
        path = someone.at(f"/loans/{someone.loan_id}/acts/due-day")
        page = look(desk, path, due_day="25", why="发薪日变更")
        assert "其中间隔期利息（元）" in page

    def test_of_goods_that_went_back_tells_what_is_owed_to_the_customer(
        self, workplace: Any, someone: Any
    ) -> None:
        with workplace.runtime.database.write() as session:
            operations.post_repayment(
                session,
                loan_id=someone.loan_id,
                amount_fen=12_345,
                value_date=workplace.runtime.clock.now().date(),
                key="p",
                now=workplace.runtime.clock.now(),
            )
        path = someone.at(f"/loans/{someone.loan_id}/acts/cancel-purchase")
        page = look(workplace.seat("finance"), path, amount="3000", why="商品质量问题")
        assert re.search(r"应退客户（元）.{0,300}123\.45", page, re.DOTALL)

    def test_of_a_claim_that_is_given_up_tells_what_leaves_the_books(
        self, workplace: Any, someone: Any
    ) -> None:
        path = someone.at(f"/loans/{someone.late_loan_id}/acts/write-off")
        page = look(workplace.seat("finance"), path, why="债务人身故")
        assert "账内债权（元）" in page

    def test_more_than_is_owed_is_refused_before_it_is_proposed(
        self, workplace: Any, someone: Any
    ) -> None:
        desk = workplace.seat("clerk")
        for name, form in (
            ("goodwill", {"amount": "9000", "why": "客户关怀"}),
            ("waive", WAIVE | {"amount": "9000"}),
        ):
            path = someone.at(f"/loans/{someone.loan_id}/acts/{name}")
            assert desk.fill(path, path, **form).status_code == 409


class TestBySecondPerson:
    def propose(self, workplace: Any, someone: Any, **form: str) -> int:
        desk = workplace.seat("clerk")
        path = someone.at(f"/loans/{someone.loan_id}/acts/waive")
        form = WAIVE | {"amount": "100"} | form
        assert "须由另一位同事" in look(desk, path, **form)
        assert act(desk, path, **form).status_code == 204
        return 1

    def test_happens_when_they_approve_and_is_undone(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        before = loan(read, someone, workplace, someone.loan_id)
        approval_id = self.propose(workplace, someone)
        assert loan(read, someone, workplace, someone.loan_id) == before
        workplace.hire("chief", "risk_manager")
        wang = workplace.seat("wang", "risk_manager")
        page = wang.get(f"/admin/approvals/{approval_id}").text
        assert "剩余应还" in page
        rule(workplace, approval_id, "chief")
        done = wang.get(f"/admin/approvals/{approval_id}").text
        assert "分期记录" in done
        assert "amount_fen" not in done
        after = loan(read, someone, workplace, someone.loan_id)
        assert after.remaining_fen == before.remaining_fen - 10_000
        with workplace.runtime.database.write() as session:
            undo(
                session,
                workplace.site,
                approval_id=approval_id,
                undone_by="chief",
                reason="核错",
                now=workplace.runtime.clock.now(),
            )
        assert loan(read, someone, workplace, someone.loan_id) == before

    def test_is_refused_when_the_loan_changed(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        approval_id = self.propose(workplace, someone)
        workplace.hire("chief", "risk_manager")
        with workplace.runtime.database.write() as session:
            operations.post_repayment(
                session,
                loan_id=someone.loan_id,
                amount_fen=1_000,
                value_date=workplace.runtime.clock.now().date(),
                key="p",
                now=workplace.runtime.clock.now(),
            )
        with pytest.raises(ShownChanged):
            rule(workplace, approval_id, "chief")

    def test_a_reversal_of_what_two_agreed_on_is_never_one_clerks_alone(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        path = someone.at(f"/loans/{someone.loan_id}/acts/write-off")
        assert act(workplace.seat("finance"), path, why="债务人身故").status_code == 204
        workplace.hire("cashier", "finance")
        rule(workplace, 1, "cashier")
        given_up = loan(read, someone, workplace, someone.loan_id)
        undo_path = someone.at(f"/loans/{someone.loan_id}/acts/reverse")
        form = {"seq": "2", "why": "误操作"}
        clerk = workplace.seat("clerk")
        assert "须由另一位同事" in look(clerk, undo_path, **form)
        assert act(clerk, undo_path, **form).status_code == 204
        assert loan(read, someone, workplace, someone.loan_id) == given_up

    def test_needs_a_role_that_decides(self, workplace: Any, someone: Any) -> None:
        path = someone.at(f"/loans/{someone.loan_id}/acts/write-off")
        assert act(workplace.seat("finance"), path, why="债务人身故").status_code == 204
        workplace.hire("other", "clerk")
        workplace.hire("cashier", "finance")
        with pytest.raises(Exception, match="needed"):
            rule(workplace, 1, "other")
        rule(workplace, 1, "cashier")

    def test_a_large_one_needs_a_higher_person(
        self, workplace: Any, someone: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        approval_id = self.propose(workplace, someone)
        workplace.hire("chief", "risk_manager")
        monkeypatch.setattr("servicing.authority.may_approve", lambda *_a, **_k: False)
        with pytest.raises(BeyondAuthority):
            rule(workplace, approval_id, "chief")


class TestOffers:
    def test_are_made_seen_and_withdrawn(self, workplace: Any, someone: Any, read: Any) -> None:
        desk = workplace.seat("risk_manager")
        path = someone.at(f"/offers/new/settlement/{someone.late_loan_id}")
        form = {"amount": "2800", "valid_until": "2026-03-20", "why": "经济困难"}
        assert act(desk, path, **form).status_code == 204
        page = desk.get(someone.at()).text
        assert "减免结清方案" in page
        assert "待客户确认" in page
        at = someone.at("/offers/1/end")
        assert desk.fill(at, at, why="客户不同意").status_code == 204
        assert "已撤回" in desk.get(someone.at()).text

    def test_that_were_fulfilled_are_taken_back_as_events_are(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk, now = workplace.seat("risk_manager"), workplace.runtime.clock.now()
        path = someone.at(f"/offers/new/settlement/{someone.late_loan_id}")
        form = {"amount": "2800", "valid_until": "2026-03-20", "why": "经济困难"}
        assert act(desk, path, **form).status_code == 204
        before = loan(read, someone, workplace, someone.late_loan_id)
        with workplace.runtime.database.write() as session:
            operations.post_repayment(
                session,
                loan_id=someone.late_loan_id,
                amount_fen=280_000,
                value_date=now.date(),
                key="p",
                now=now,
            )
        end = someone.at("/offers/1/end")
        refused = workplace.seat("clerk").fill(end, end, why="误发")
        assert (refused.status_code, "冲正一笔记录" in refused.text) == (409, True)
        page = desk.get(someone.at()).text
        (link,) = re.findall(r'hx-get="([^"]+acts/reverse\?seq=\d+)"', page)
        dialog = desk.get(link).text
        seq = link.partition("=")[2]
        assert re.search(rf'value="{seq}" selected', dialog)
        path = link.partition("?")[0]
        assert "须由另一位同事" in look(desk, path, seq=seq, why="误发")
        assert act(desk, path, seq=seq, why="误发").status_code == 204
        workplace.hire("chief", "risk_manager")
        rule(workplace, 1, "chief")
        after = loan(read, someone, workplace, someone.late_loan_id)
        assert after.remaining_fen == before.remaining_fen - 280_000
        assert "已撤回" in desk.get(someone.at()).text

    @pytest.mark.parametrize(
        ("kind", "form"),
        [
            ("extension", {"extra_terms": "3"}),
            ("due-day", {"due_day": "15"}),
            ("retention", {"rate": "12"}),
        ],
    )
    def test_of_a_plan_are_approved_by_a_second_person(
        self, workplace: Any, someone: Any, read: Any, kind: str, form: dict[str, str]
    ) -> None:
        path = someone.at(f"/offers/new/{kind}/{someone.loan_id}")
        form = {**form, "valid_until": "2026-03-20", "why": "客户申请"}
        sent = act(workplace.seat("clerk"), path, **form)
        assert sent.status_code == 204
        on = workplace.runtime.clock.now().date()
        offers = read(queries.offers_of, customer_id=someone.id, on=on)
        if not offers:
            workplace.hire("chief", "risk_manager")
            rule(workplace, 1, "chief")
            offers = read(queries.offers_of, customer_id=someone.id, on=on)
        (offer,) = offers
        assert (offer.kind, offer.state) == (kind, "offered")

    def test_a_line_is_raised_by_offer_and_cut_in_place(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("risk_manager")
        path = someone.at(f"/offers/new/line-raise/{someone.line_id}")
        form = {"amount": "9000", "valid_until": "2026-03-20", "why": "按时还款"}
        assert act(desk, path, **form).status_code == 204
        at = someone.at("/offers/1/end")
        assert workplace.seat("collector").fill(at, at, why="x").status_code == 403
        at = someone.at(f"/lines/{someone.line_id}")
        cut = desk.fill(f"{at}/changes", f"{at}/cut", amount="5,000", why="收入下降")
        assert cut.status_code == 204
        renewed = desk.fill(f"{at}/changes", f"{at}/renew", expires_on="2027-03-10", why="年审")
        assert renewed.status_code == 204
        (line,) = read(queries.lines_of, customer_id=someone.id)
        assert (line.granted_fen, str(line.expires_on)) == (500_000, "2027-03-10")
        assert "降额" in desk.get(f"{at}/changes").text
        assert desk.fill(f"{at}/changes", f"{at}/changes/2/undo").status_code == 204
        assert desk.fill(f"{at}/changes", f"{at}/changes/1/undo").status_code == 204
        (line,) = read(queries.lines_of, customer_id=someone.id)
        assert (line.granted_fen, line.expires_on) == (800_000, None)
        raised = desk.fill(f"{at}/changes", f"{at}/cut", amount="9,000", why="x")
        assert raised.status_code == 409
