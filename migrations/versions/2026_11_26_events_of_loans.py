"""Keep the events of loans; make instalments what the engine makes of them."""

import json
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import sqlalchemy as sa
from alembic import op

from kernel.append_only import append_only_statements
from kernel.database import Instant, Json

revision = "5d2f6b91c3e4"
down_revision = "b1d94c7a20e5"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_FEN = (
    *("fee_fen", "penalty_fen", "paid_fee_fen", "paid_penalty_fen"),
    *("waived_principal_fen", "waived_interest_fen", "waived_fee_fen", "waived_penalty_fen"),
    *("earned_interest_fen", "earned_fee_fen", "earned_penalty_fen"),
)
_BATCH = 500


def upgrade() -> None:
    """Apply the change."""
    _create_tables()
    _widen_loans()
    _widen_instalments()
    _fill(op.get_bind())
    for table in ("loan_event", "plan_version"):
        for statement in append_only_statements(op.get_bind().dialect.name, table):
            op.execute(statement)
    op.drop_column("instalment", "is_accrued")


def _create_tables() -> None:
    op.create_table(
        "loan_event",
        sa.Column("loan_id", _BIG, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("value_date", sa.Date(), nullable=False),
        sa.Column("payload", Json, nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"], name=op.f("fk_loan_event_loan_id_loan")),
        sa.PrimaryKeyConstraint("loan_id", "seq", name=op.f("pk_loan_event")),
        sa.UniqueConstraint("kind", "key", name=op.f("uq_loan_event_kind_key")),
    )
    op.create_table(
        "plan_version",
        sa.Column("loan_id", _BIG, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("from_seq", sa.Integer(), nullable=False),
        sa.Column("rows", Json, nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["loan_id"], ["loan.id"], name=op.f("fk_plan_version_loan_id_loan")
        ),
        sa.PrimaryKeyConstraint("loan_id", "version", name=op.f("pk_plan_version")),
    )


def _widen_loans() -> None:
    given = {
        "product_code": (sa.String(length=32), "standard"),
        "product_version": (sa.Integer(), "1"),
        "agreed": (Json, "{}"),
        "bears_penalty": (sa.Boolean(), sa.false()),
        "plan_version": (sa.Integer(), "1"),
    }
    for name, (kind, value) in given.items():
        op.add_column("loan", sa.Column(name, kind, nullable=False, server_default=value))


def _widen_instalments() -> None:
    op.add_column(
        "instalment",
        sa.Column("kind", sa.String(length=32), nullable=False, server_default="normal"),
    )
    op.add_column(
        "instalment", sa.Column("from_on", sa.Date(), nullable=False, server_default="1970-01-01")
    )
    for name in _FEN:
        column = sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        op.add_column("instalment", column)
    op.execute("UPDATE instalment SET earned_interest_fen = interest_fen WHERE is_accrued")
    op.execute(
        "UPDATE instalment SET from_on = COALESCE("
        "(SELECT before.due_on FROM instalment AS before"
        " WHERE before.loan_id = instalment.loan_id AND before.n = instalment.n - 1),"
        "(SELECT loan.disbursed_on FROM loan WHERE loan.id = instalment.loan_id))"
    )


def _fill(connection: sa.Connection) -> None:
    """Give every loan its terms, its events as the ledger knows them, and its plan."""
    last = 0
    while loans := connection.execute(
        sa.text(
            "SELECT id, principal_fen, rate_annual, terms, disbursed_on, closed_to FROM loan"
            " WHERE id > :last ORDER BY id LIMIT :batch"
        ).columns(disbursed_on=sa.Date(), closed_to=sa.Date(), rate_annual=sa.Numeric(9, 6)),
        {"last": last, "batch": _BATCH},
    ).all():
        last = loans[-1].id
        _fill_batch(connection, loans)


def _fill_batch(connection: sa.Connection, loans: Any) -> None:
    ids = [loan.id for loan in loans]
    money = _by_loan(connection, _MONEY, ids)
    plans = _by_loan(connection, _PLANS, ids)
    events, versions, agreed = [], [], []
    for loan in loans:
        happened = [row for row in money.get(loan.id, ()) if row.fen]
        opened = [row for row in happened if row.kind == "disbursement"]
        paid = [row for row in happened if row.kind == "repayment"]
        for seq, row in enumerate([*opened, *paid], 1):
            events.append(_event(loan.id, seq, row))
        agreed.append({"loan": loan.id, "terms": json.dumps(_terms(loan))})
        for row in plans[loan.id]:
            _earn(connection, loan, row)
        if opened:
            versions.append(_version(loan.id, plans[loan.id], opened[0].recorded_at))
    tables = sa.MetaData()
    for name, rows in (("loan_event", events), ("plan_version", versions)):
        if rows:
            connection.execute(sa.insert(_table(tables, name)), rows)
    is_postgresql = connection.dialect.name == "postgresql"
    value = "CAST(:terms AS JSONB)" if is_postgresql else ":terms"
    connection.execute(sa.text(f"UPDATE loan SET agreed = {value} WHERE id = :loan"), agreed)  # noqa: S608 -- one of two fixed texts


_MONEY = (
    "SELECT e.loan_id, e.kind, e.key, e.effective_on, e.recorded_at,"
    " SUM(CASE WHEN p.amount_fen > 0 THEN p.amount_fen ELSE 0 END) AS fen"
    " FROM ledger_entry e JOIN ledger_posting p ON p.entry_id = e.id"
    " WHERE e.kind IN ('disbursement', 'repayment') AND e.loan_id IN :ids"
    " GROUP BY e.id, e.loan_id, e.kind, e.key, e.effective_on, e.recorded_at ORDER BY e.id"
)
_PLANS = (
    "SELECT loan_id, n, from_on, due_on, principal_fen, interest_fen, is_accrued FROM instalment"
    " WHERE loan_id IN :ids ORDER BY loan_id, n"
)


def _by_loan(connection: sa.Connection, query: str, ids: list[int]) -> dict[int, list[Any]]:
    text = sa.text(query).bindparams(sa.bindparam("ids", expanding=True))
    typed = text.columns(
        **{"effective_on": sa.Date(), "recorded_at": Instant()}
        if query is _MONEY
        else {"from_on": sa.Date(), "due_on": sa.Date()}
    )
    found: dict[int, list[Any]] = {}
    for row in connection.execute(typed, {"ids": ids}):
        found.setdefault(row.loan_id, []).append(row)
    return found


def _earn(connection: sa.Connection, loan: Any, row: Any) -> None:
    """Recognise the interest of the running period up to the last month end, as the book now does.

    Without it the books would differ until the next close of day.
    """
    end = (loan.closed_to + timedelta(days=1)).replace(day=1) - timedelta(days=1)
    if row.is_accrued or not row.from_on < end < row.due_on:
        return
    share = Decimal((end - row.from_on).days) / (row.due_on - row.from_on).days
    fen = int((row.interest_fen * share).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    if not fen:
        return
    entry_id = connection.scalar(
        sa.text(
            "INSERT INTO ledger_entry (loan_id, kind, key, effective_on, recorded_at)"
            " VALUES (:loan, 'interest', :key, :on, CURRENT_TIMESTAMP) RETURNING id"
        ).bindparams(sa.bindparam("on", type_=sa.Date())),
        {"loan": loan.id, "key": f"{loan.id}/{row.n}/opening", "on": end},
    )
    for account, side in (("interest-receivable", fen), ("interest-income", -fen)):
        connection.execute(
            sa.text(
                "INSERT INTO ledger_posting (entry_id, account, instalment_n, amount_fen)"
                " VALUES (:entry, :account, :n, :fen)"
            ),
            {"entry": entry_id, "account": account, "n": row.n, "fen": side},
        )
    connection.execute(
        sa.text(
            "UPDATE instalment SET earned_interest_fen = :fen WHERE loan_id = :loan AND n = :n"
        ),
        {"fen": fen, "loan": loan.id, "n": row.n},
    )


def _event(loan_id: int, seq: int, row: Any) -> dict[str, Any]:
    is_opening = row.kind == "disbursement"
    beside: dict[str, Any] = {"fee_fen": 0} if is_opening else {"kind": "repayment"}
    return {
        "loan_id": loan_id,
        "seq": seq,
        "kind": row.kind,
        "value_date": row.effective_on,
        "payload": {"amount_fen": int(row.fen)} | beside,
        "key": row.key,
        "actor": "import",
        "recorded_at": row.recorded_at,
    }


def _version(loan_id: int, plan: list[Any], recorded_at: datetime) -> dict[str, Any]:
    return {
        "loan_id": loan_id,
        "version": 1,
        "from_seq": 1,
        "rows": [[row.n, _iso(row.due_on), row.principal_fen, row.interest_fen, 0] for row in plan],
        "recorded_at": recorded_at,
    }


def _iso(on: date) -> str:
    return on.isoformat()


def _table(tables: sa.MetaData, name: str) -> sa.Table:
    kinds: dict[str, Any] = {"recorded_at": Instant(), "value_date": sa.Date()}
    kinds |= {"payload": Json, "rows": Json}
    names = {
        "loan_event": (
            *("loan_id", "seq", "kind", "value_date", "payload", "key", "actor", "recorded_at"),
        ),
        "plan_version": ("loan_id", "version", "from_seq", "rows", "recorded_at"),
    }
    columns = [sa.Column(column, kinds.get(column)) for column in names[name]]
    return sa.Table(name, tables, *columns)


def _terms(loan: Any) -> dict[str, Any]:
    """Write a loan's terms down as the book did when it learnt to: the house's rules, no penalty."""
    return _AGREED | {
        "principal_fen": loan.principal_fen,
        "start_on": loan.disbursed_on.isoformat(),
        "rate_annual": str(loan.rate_annual),
        "terms": loan.terms,
    }


_AGREED = {
    "method": "equal-instalment",
    "frequency": {"unit": "months", "every": 1},
    "profile": {
        "name": "house",
        "rounding": "half-up",
        "instalment_multiple_fen": 1,
        "instalment_rounding": None,
        "last_row": "absorbs",
        "day_count": {"month_days": None, "year_days": 360},
        "interest_by": "periods",
        "part_by": "days",
        "level_by": "factors",
        "interest_rounding": "once",
        "month_end": "clamp",
        "anchor": "same-day",
        "recalculation": "none",
        "rest": "daily",
        "excess": "reduce-instalment",
        "is_compounding": False,
        "settles_at_due_date": False,
        "first_day_late": 0,
    },
    "first_due_on": None,
    "fee_rate": "0",
    "instalment_fen": 0,
    "grace_principal": 0,
    "grace_interest": 0,
    "interest_free": 0,
    "down_payment": "0",
    "fees": [],
    "penalty": None,
    "waterfall": {
        "rules": [
            [timing, component]
            for timing in ("past-due", "due", "in-advance")
            for component in ("penalty", "fee", "interest", "principal")
        ],
        "direction": "horizontal",
        "future": "next",
        "future_by_kind": {},
        "has_due_charges_first": False,
    },
    "grace_days": 3,
    "tolerance_fen": 0,
    "has_tranches": False,
}
