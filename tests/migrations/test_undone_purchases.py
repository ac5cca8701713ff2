"""Loans whose purchase was undone before that was kept on them get to know it from their events."""

from pathlib import Path

from alembic import command
from sqlalchemy import text

from kernel.database import Database
from migrations.schema import alembic_config, upgrade

_BEFORE = "d4c7e19b0a52"
_AT = "2026-03-10 02:00:00"
_EVENTS = (
    *((1, 1, "disbursement", "{}"), (1, 2, "cancellation", "{}")),
    *(
        (2, 1, "disbursement", "{}"),
        (2, 2, "cancellation", "{}"),
        (2, 3, "reversal", '{"of": "2"}'),
    ),
    *((3, 1, "disbursement", "{}"), (3, 2, "repayment", "{}"), (3, 3, "reversal", '{"of": "2"}')),
)


def test_old_loans_are_cancelled_unless_that_was_reversed(tmp_path: Path) -> None:
    database, config = Database(f"sqlite:///{tmp_path}/old.db"), alembic_config()
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, _BEFORE)
        for statement in (_CUSTOMER, _DISCLOSURE):
            connection.execute(text(statement), {"at": _AT})
        for loan_id in (1, 2, 3):
            connection.execute(text(_LOAN), {"id": loan_id, "no": f"FQ{loan_id}"})
        for n, (loan_id, seq, kind, payload) in enumerate(_EVENTS):
            values = {"id": loan_id, "seq": seq, "kind": kind, "payload": payload, "key": f"k{n}"}
            connection.execute(text(_EVENT), values | {"at": _AT})
        connection.commit()
    upgrade(database)
    with database.engine.connect() as connection:
        wanted = "SELECT id, cancelled_on FROM loan ORDER BY id"
        found = [tuple(row) for row in connection.execute(text(wanted))]
    database.dispose()
    assert found == [(1, "2026-03-05"), (2, None), (3, None)]


_CUSTOMER = (
    "INSERT INTO customer (id, name_enc, phone_enc, phone_index, id_number_enc, id_number_index,"
    " identity_index, is_student, created_at)"
    " VALUES (1, 'n', 'p', 'pi', 'i', 'ii', 'x', FALSE, :at)"
)
_DISCLOSURE = (
    "INSERT INTO cost_disclosure (id, customer_id, content, content_hash, seconds_shown,"
    " confirmed_at) VALUES (1, 1, '{}', 'h', 9, :at)"
)
_LOAN = (
    "INSERT INTO loan (id, loan_no, customer_id, disclosure_id, funder, merchandise, merchant_name,"
    " principal_fen, rate_annual, terms, disbursed_on, product_code, product_version, agreed,"
    " bears_penalty, settles_early, plan_version, state, grace_days, days_past_due, bucket,"
    " five_class, ecl_stage, closed_to, undrawn_fen, is_subsidised) VALUES (:id, :no, 1, 1, 'own',"
    " 'm', 's', 300000, 0.18, 3, '2026-01-31', 'standard', 1, '{}', FALSE, TRUE, 1, 'closed', 3, 0,"
    " 'M0', 'normal', 1, '2026-03-09', 0, FALSE)"
)
_EVENT = (
    "INSERT INTO loan_event (loan_id, seq, kind, value_date, payload, key, actor, recorded_at)"
    " VALUES (:id, :seq, :kind, '2026-03-05', :payload, :key, 'lin', :at)"
)
