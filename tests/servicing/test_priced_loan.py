"""A strategy prices a product: published within its range, decided, shown, agreed to and lent."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from agreeing import confirm_terms
from house_judges import good_subsystems, house_stages, publish_house
from verdicts import Verdict
from ways import Judge, Way

from kernel.clock import business_date
from kernel.runtime import Runtime
from risk import queries as risk_queries
from risk.decisions.house import HouseDecide
from risk.ports import ProductPrices, Subsystems
from risk.strategy.problems import StrategyInvalid
from servicing import operations, queries
from servicing.answers import PriceBook
from servicing.ports import Decide
from servicing.products import ProductRefused, house_documents

STAGES = [*house_stages("standard")]
_AT = STAGES.index("purchase-band") + 1
PRICED = [*STAGES[:_AT], "price", *STAGES[_AT:]]


def sell(runtime: Runtime, **changes: Any) -> int:
    """Publish a version of the standard product, to be priced from some rate on."""
    now = runtime.clock.now()
    document = house_documents()["standard"][-1] | changes
    with runtime.database.write() as session:
        operations.publish_house_products(session, now=now)
        version = operations.draft_product(
            session, document=document, author="lin", note="", now=now
        )
        named: dict[str, Any] = {"code": "standard", "version": version, "now": now}
        operations.try_product(session, by="lin", **named)
        operations.approve_product(session, by="wang", effective_on=business_date(now), **named)
    return version


@pytest.fixture
def way(runtime: Runtime, book: Any) -> Iterator[Way]:
    """An application of somebody with a middling credit report, on its way to the house's judge."""
    sell(runtime, rate_least="0.12")
    runtime.provide(ProductPrices, PriceBook())
    publish_house(runtime, standard={"stages": PRICED})
    decide = HouseDecide(runtime)
    runtime.provide(Decide, decide)
    runtime.provide(Subsystems, good_subsystems(bureau_score=655))
    yield Way(runtime, book, Judge(Verdict()))
    decide.close()


def test_it_is_lent_at_the_price_that_was_decided(way: Way, runtime: Runtime) -> None:
    assert way.found.rate_annual == Decimal("0.216")
    way.gather()
    way.work()
    found = way.found
    assert (found.state, found.rate_annual) == ("approved", Decimal("0.18"))
    assert found.decision_no is not None
    now = runtime.clock.now()
    on = business_date(now)
    with runtime.database.write() as session:
        decision = risk_queries.decision(session, decision_id=found.decision_no)
        assert decision.outputs["rate_annual"] == 0.18
        assert risk_queries.replays(session, decision_id=found.decision_no)
        product = queries.product_in_force(session, code="standard", on=on)
        terms = operations.LoanTerms(
            customer_id=found.customer_id,
            merchant_name=found.merchant_name,
            merchandise=found.merchandise,
            principal_fen=found.amount_fen,
            rate_annual=found.rate_annual,
            terms=found.terms,
            disbursed_on=on,
            product=product,
        )
        disclosure_id = confirm_terms(session, terms, now=now)
        loan_id = operations.book_application(
            session,
            application_id=way.id,
            disclosure_id=disclosure_id,
            key="sign",
            disbursed_on=on,
            now=now,
        )
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=found.customer_id, on=on)
        table = operations.cost_table(
            principal_fen=found.amount_fen,
            rate_annual=found.rate_annual,
            terms=found.terms,
            disbursed_on=on,
            product=product,
        )
    assert loan is not None
    assert loan.rate_annual == Decimal("0.18")
    assert table["charges"][0]["rate_annual"] == "0.180000"
    assert Decimal(table["annual_cost_nominal"]) <= Decimal("0.1801")


@pytest.mark.parametrize("least", ["0.121", "0.2", None])
def test_a_price_below_the_product_is_not_published(runtime: Runtime, least: str | None) -> None:
    sell(runtime, rate_least=least)
    runtime.provide(ProductPrices, PriceBook())
    with pytest.raises(StrategyInvalid) as refused:
        publish_house(runtime, standard={"stages": PRICED})
    assert "price-outside" in str(refused.value)


def test_a_range_is_none_that_ends_below_its_beginning(runtime: Runtime) -> None:
    with pytest.raises(ProductRefused):
        sell(runtime, rate_least="0.3")


def test_a_product_that_got_dearer_meanwhile_sends_to_a_person(way: Way, book: Any) -> None:
    sell(way.runtime, rate_least="0.2")
    later = Way(way.runtime, book, Judge(Verdict()))
    for each in (way, later):
        each.gather()
        each.work()
    assert way.state == "approved"  # it keeps the version that it was submitted for
    assert (later.state, later.found.reasons) == ("in_review", ("price-outside",))
    assert later.found.rate_annual == Decimal("0.216")
