"""Documents from the customer page: masked, in clear with a reason, a certificate in time."""

from datetime import date
from typing import Any

import pytest
from workplace import House, Seat

from kernel.runtime import Runtime
from servicing import operations, queries

WHY = "客户来店索取"


@pytest.fixture(autouse=True)
def _printer() -> None:
    try:
        import weasyprint  # noqa: PLC0415 -- what is looked for
    except OSError:
        pytest.skip("pango is not installed")
    assert weasyprint


@pytest.fixture
def clerk(workplace: House) -> Seat:
    return workplace.seat("zhangli", "clerk")


def at(someone: Any, name: str) -> str:
    return str(someone.at(f"/loans/{someone.loan_id}/documents/{name}"))


@pytest.mark.parametrize("name", ["plan.pdf", "plan.csv", "plan.xlsx", "statement.pdf"])
def test_are_sent_as_files(name: str, clerk: Seat, someone: Any) -> None:
    answer = clerk.get(at(someone, name))
    assert answer.status_code == 200
    assert name.split(".")[1] in answer.headers["Content-Disposition"]
    assert answer.headers["Content-Type"].count("charset") == (name == "plan.csv")
    assert not any(secret.encode() in answer.data for secret in someone.secrets)


def test_are_offered_on_the_customer_page(clerk: Seat, someone: Any) -> None:
    plan = clerk.get(someone.at(f"/loans/{someone.loan_id}/plan")).text
    assert "documents/plan.pdf" in plan
    assert "certificate.pdf" not in plan


def test_a_name_in_clear_needs_a_reason_and_leaves_a_trace(
    clerk: Seat, workplace: House, someone: Any
) -> None:
    path = at(someone, "statement.pdf/in-clear")
    assert clerk.post(path, reason=" ").status_code == 422
    assert workplace.acts(action="servicing.document.named") == []
    assert clerk.post(path, reason=WHY).data.startswith(b"%PDF-")
    (entry,) = workplace.acts(action="servicing.document.named")
    assert (entry.subject, entry.details["reason"]) == (f"customer:{someone.id}", WHY)


def test_who_may_not_unmask_gets_no_name_in_clear(workplace: House, someone: Any) -> None:
    analyst = workplace.seat("chen", "risk_analyst")
    assert analyst.get(at(someone, "plan.pdf")).status_code == 200
    assert analyst.post(at(someone, "plan.pdf/in-clear"), reason=WHY).status_code == 403
    collector = workplace.seat("zhao", "collector")
    assert collector.post(at(someone, "certificate.pdf/in-clear"), reason=WHY).status_code == 403


def test_a_certificate_comes_when_the_loan_is_settled(
    clerk: Seat, runtime: Runtime, someone: Any, book: Any
) -> None:
    assert clerk.get(at(someone, "certificate.pdf")).status_code == 409
    with runtime.database.write() as session:
        given = {"loan_id": someone.loan_id, "customer_id": someone.id}
        quote = queries.settlement_quote(session, **given, on=date(2026, 3, 10))
        operations.post_prepayment(
            session,
            loan_id=someone.loan_id,
            amount_fen=quote.amount_fen,
            value_date=date(2026, 3, 10),
            key="settle",
            now=book.now,
        )
    assert clerk.get(at(someone, "certificate.pdf")).data.startswith(b"%PDF-")
    assert "certificate.pdf" in clerk.get(someone.at(f"/loans/{someone.loan_id}/plan")).text
    assert clerk.get(at(someone, "certificate.pdf/in-clear")).status_code == 200


def test_anothers_loan_and_an_unknown_document_are_not_found(clerk: Seat, someone: Any) -> None:
    other = f"/admin/customers/{someone.id + 1}/loans/{someone.loan_id}/documents/plan.pdf"
    assert clerk.get(other).status_code == 404
    assert clerk.get(at(someone, "secrets.pdf")).status_code == 404
    assert clerk.get(at(someone, "plan.csv/in-clear")).status_code == 404
