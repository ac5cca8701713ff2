"""A loan's history for staff: any past day, every plan, and what each event did."""

from datetime import timedelta
from typing import Any

import pytest

from kernel.clock import business_date
from servicing import operations


@pytest.fixture
def changed(workplace: Any, someone: Any) -> Any:
    """A loan on which a lower rate was set and taken back."""
    now = workplace.runtime.clock.now()
    by = {"loan_id": someone.loan_id, "on": business_date(now), "actor": "lin", "now": now}
    with workplace.runtime.database.write() as session:
        details = {"rate_annual": "0.06", "from_on": business_date(now).isoformat()}
        seq = operations.do_act(session, act="re-price", details=details, key="r", **by)
        operations.reverse(session, seq=seq, key="u", **by)
    return someone


class TestHistory:
    def test_shows_events_plans_and_what_each_event_did(self, workplace: Any, changed: Any) -> None:
        desk = workplace.seat("auditor")
        at = changed.at(f"/loans/{changed.loan_id}/history")
        page = desk.get(at).text
        assert "调整利率" in page
        assert "已被 #3 冲正" in page
        assert page.count("现行") == 1
        assert "自第 3 件事起" in page
        event = desk.get(f"{at}/2").text
        assert "原还款计划" in event
        assert "年化综合成本" in event
        assert desk.get(f"{at}/1").status_code == 404
        assert desk.get(f"{at}/9").status_code == 404
        assert "历史与还原" in desk.get(changed.at(f"/loans/{changed.loan_id}/plan")).text

    def test_reads_a_past_day_as_it_was_known_then(self, workplace: Any, changed: Any) -> None:
        at = changed.at(f"/loans/{changed.loan_id}/history")
        before = business_date(workplace.runtime.clock.now())
        workplace.runtime.clock.advance(timedelta(days=1))
        now = workplace.runtime.clock.now()
        with workplace.runtime.database.write() as session:
            operations.post_repayment(
                session,
                loan_id=changed.loan_id,
                amount_fen=12_345,
                value_date=business_date(now),
                key="p",
                now=now,
            )
        desk = workplace.seat("auditor")
        # Beside the list of events, the money stands in the instalment that it paid.
        assert desk.get(at).text.count("123.45") == 2
        for past in (f"known={before}", f"on={before}"):
            assert desk.get(f"{at}?{past}").text.count("123.45") == 1
        assert desk.get(f"{at}?on=x").status_code == 422

    def test_anothers_loan_is_not_found(self, workplace: Any, changed: Any) -> None:
        other = f"/admin/customers/{changed.id + 999}/loans/{changed.loan_id}/history"
        desk = workplace.seat("clerk")
        assert desk.get(other).status_code == 404
        assert desk.get(f"{other}/2").status_code == 404
