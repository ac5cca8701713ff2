# ruff: noqa: S608 -- the rows are written in this file
"""A book from before loans had events gets them, and they say what the book said."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, make_url, text

from kernel.database import Database
from migrations.schema import alembic_config, upgrade
from servicing import operations, queries

_BEFORE = "7aa0ae7fc22d"
_PLAN = [(1, "2026-02-28", 98_515, 4_500), (2, "2026-03-31", 99_993, 3_022),
         (3, "2026-04-30", 101_492, 1_522)]  # fmt: skip
_AT = "2026-03-10 02:00:00"


@pytest.fixture(params=["sqlite", "postgresql"])
def old_book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Two loans: one with an instalment and a half paid, one amid its period at a month end."""
    url = f"sqlite:///{tmp_path}/old.db"
    if request.param == "postgresql":
        url = _new_postgresql(request.getfixturevalue("postgresql_url"))
    database, config = Database(url), alembic_config()
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, _BEFORE)
        for statement in _statements():
            connection.execute(text(statement))
        if database.dialect == "postgresql":
            for table in ("ledger_entry", "ledger_posting"):
                sequence = f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1000)"
                connection.execute(text(sequence))
        connection.commit()
    yield database
    database.dispose()


def _new_postgresql(url: str) -> str:
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS old_book"))
        connection.execute(text("CREATE DATABASE old_book"))
    server.dispose()
    return make_url(url).set(database="old_book").render_as_string(hide_password=False)


def _statements() -> Iterator[str]:
    yield (
        "INSERT INTO customer (id, name_enc, phone_enc, phone_index, id_number_enc,"
        " id_number_index, identity_index, is_student, created_at)"
        f" VALUES (1, 'n', 'p', 'pi', 'i', 'ii', 'x', FALSE, '{_AT}')"
    )
    yield (
        "INSERT INTO cost_disclosure (id, customer_id, content, content_hash, seconds_shown,"
        f" confirmed_at) VALUES (1, 1, '{{}}', 'h', 9, '{_AT}')"
    )
    yield (
        "INSERT INTO loan (id, loan_no, customer_id, disclosure_id, funder, merchandise,"
        " merchant_name, principal_fen, rate_annual, terms, disbursed_on, state, days_past_due,"
        " bucket, closed_to) VALUES (1, 'FQ1', 1, 1, 'own', 'm', 's', 300000, 0.18, 3,"
        " '2026-01-31', 'active', 0, 'M0', '2026-03-09')"
    )
    yield (
        "INSERT INTO loan (id, loan_no, customer_id, disclosure_id, funder, merchandise,"
        " merchant_name, principal_fen, rate_annual, terms, disbursed_on, state, days_past_due,"
        " bucket, closed_to) VALUES (2, 'FQ2', 1, 1, 'own', 'm', 's', 100000, 0.18, 1,"
        " '2026-02-15', 'active', 0, 'M0', '2026-03-09')"
    )
    yield (
        "INSERT INTO instalment (loan_id, n, due_on, principal_fen, interest_fen,"
        " paid_principal_fen, paid_interest_fen, is_accrued, settled_on) VALUES"
        " (2, 1, '2026-03-15', 100000, 1500, 0, 0, FALSE, NULL)"
    )
    yield from _entry(9, "disbursement", "2", "2026-02-15",
                      {"loan-principal": 100_000, "funding-bank": -100_000}, loan_id=2)  # fmt: skip
    for n, due_on, principal, interest in _PLAN:
        paid = {1: (principal, interest, "'2026-02-27'"), 2: (46_978, interest, "NULL")}
        paid_principal, paid_interest, settled_on = paid.get(n, (0, 0, "NULL"))
        yield (
            "INSERT INTO instalment (loan_id, n, due_on, principal_fen, interest_fen,"
            " paid_principal_fen, paid_interest_fen, is_accrued, settled_on) VALUES"
            f" (1, {n}, '{due_on}', {principal}, {interest}, {paid_principal}, {paid_interest},"
            f" {'TRUE' if n < 3 else 'FALSE'}, {settled_on})"
        )
    yield from _entry(1, "disbursement", "1", "2026-01-31",
                      {"loan-principal": 300_000, "funding-bank": -300_000})  # fmt: skip
    for entry_id, n, on, fen in ((2, 1, "2026-02-27", 4_500), (3, 2, "2026-03-01", 3_022)):
        yield from _entry(entry_id, "interest", f"1/{n}", on,
                          {"interest-receivable": fen, "interest-income": -fen})  # fmt: skip
    yield from _entry(4, "repayment", "p1", "2026-02-27",
                      {"wechat-pay-clearing": 103_015, "interest-receivable": -4_500,
                       "loan-principal": -98_515})  # fmt: skip
    yield from _entry(5, "repayment", "p2", "2026-03-01",
                      {"wechat-pay-clearing": 50_000, "interest-receivable": -3_022,
                       "loan-principal": -46_978})  # fmt: skip


def _entry(
    entry_id: int, kind: str, key: str, on: str, legs: dict[str, int], loan_id: int = 1
) -> Iterator[str]:
    yield (
        "INSERT INTO ledger_entry (id, loan_id, kind, key, effective_on, recorded_at)"
        f" VALUES ({entry_id}, {loan_id}, '{kind}', '{key}', '{on}', '{_AT}')"
    )
    for n, (account, fen) in enumerate(legs.items()):
        yield (
            "INSERT INTO ledger_posting (id, entry_id, account, amount_fen)"
            f" VALUES ({entry_id * 10 + n}, {entry_id}, '{account}', {fen})"
        )


def test_loans_get_their_terms_events_and_plan(old_book: Database) -> None:
    upgrade(old_book)
    with old_book.read() as session:
        happened = queries.loan_events(session, loan_id=1)
        (plan,) = queries.plan_versions(session, loan_id=1)
        assert [(event.seq, event.kind, event.key) for event in happened] == [
            (1, "disbursement", "1"),
            (2, "repayment", "p1"),
            (3, "repayment", "p2"),
        ]
        assert [row.interest_fen for row in plan.rows] == [4_500, 3_022, 1_522]
        assert operations.prove_books(session) == []
        (entry,) = [e for e in queries.entries_of(session, loan_id=2) if e.kind == "interest"]
        assert (str(entry.effective_on), entry.postings[0].amount_fen) == ("2026-02-28", 696)
