"""Share a day's close among workers; keep what lateness is called, and how it changed."""

import sqlalchemy as sa
from alembic import op

from kernel.append_only import append_only_statements
from kernel.database import Instant, Json

revision = "c81e5a07d942"
down_revision = "c83e1f5a07d2"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# As the rules of lateness were on the day of this change; later ones are none of its business.
_NAMED = (
    (181, "M6+"), (151, "M6"), (121, "M5"), (91, "M4"), (61, "M3"), (31, "M2"), (1, "M1"),
)  # fmt: skip
_CLASSED = ((361, "loss"), (271, "doubtful"), (91, "substandard"), (1, "special-mention"))
_STAGED = ((91, "3"), (31, "2"))


def upgrade() -> None:
    """Apply the change."""
    _widen_loans()
    _create_lateness()
    _create_days()
    _fill()
    for statement in append_only_statements(op.get_bind().dialect.name, "lateness_change"):
        op.execute(statement)


def _widen_loans() -> None:
    given = {
        "grace_days": (sa.Integer(), "3"),
        "five_class": (sa.String(length=32), "normal"),
        "ecl_stage": (sa.Integer(), "1"),
    }
    for name, (kind, value) in given.items():
        op.add_column("loan", sa.Column(name, kind, nullable=False, server_default=value))
    op.add_column("loan", sa.Column("late_since", sa.Date(), nullable=True))
    op.add_column("loan", sa.Column("class_floor", sa.String(length=32), nullable=True))
    op.add_column("loan", sa.Column("running", Json, nullable=True))


def _create_lateness() -> None:
    op.create_table(
        "lateness_change",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("loan_id", _BIG, nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("late_since", sa.Date(), nullable=True),
        sa.Column("bucket", sa.String(length=32), nullable=False),
        sa.Column("five_class", sa.String(length=32), nullable=False),
        sa.Column("ecl_stage", sa.Integer(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["loan_id"], ["loan.id"], name=op.f("fk_lateness_change_loan_id_loan")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lateness_change")),
    )
    op.create_index(
        op.f("ix_lateness_change_loan_id_from_on"), "lateness_change", ["loan_id", "from_on"]
    )
    op.create_table(
        "class_mark",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("loan_id", _BIG, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("at_least", sa.String(length=32), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("marked_by", sa.String(length=120), nullable=False),
        sa.Column("marked_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("ended_by", sa.String(length=120), nullable=True),
        sa.CheckConstraint(
            "kind IN ('restructured', 'staff')", name=op.f("ck_class_mark_kind_is_known")
        ),
        sa.CheckConstraint(
            "until_on IS NULL OR until_on > from_on",
            name=op.f("ck_class_mark_ends_after_it_begins"),
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"], name=op.f("fk_class_mark_loan_id_loan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_class_mark")),
    )
    op.create_index(op.f("ix_class_mark_loan_id"), "class_mark", ["loan_id"])


def _create_days() -> None:
    with op.batch_alter_table("day_close") as day_close:
        day_close.add_column(sa.Column("started_at", Instant(), nullable=True))
        day_close.alter_column("finished_at", existing_type=Instant(), nullable=True)
    op.execute("UPDATE day_close SET started_at = finished_at")
    with op.batch_alter_table("day_close") as day_close:
        day_close.alter_column("started_at", existing_type=Instant(), nullable=False)
    op.create_table(
        "day_partition",
        sa.Column("on_date", sa.Date(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("first_id", _BIG, nullable=False),
        sa.Column("last_id", _BIG, nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=120), nullable=True),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.Column("aged", sa.Integer(), nullable=False),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["on_date"], ["day_close.on_date"], name=op.f("fk_day_partition_on_date_day_close")
        ),
        sa.PrimaryKeyConstraint("on_date", "n", name=op.f("pk_day_partition")),
    )
    op.create_table(
        "day_failure",
        sa.Column("on_date", sa.Date(), nullable=False),
        sa.Column("loan_id", _BIG, nullable=False),
        sa.Column("cause", sa.String(length=200), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failed_at", Instant(), nullable=False),
        sa.Column("resolved_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["on_date"], ["day_close.on_date"], name=op.f("fk_day_failure_on_date_day_close")
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"], name=op.f("fk_day_failure_loan_id_loan")),
        sa.PrimaryKeyConstraint("on_date", "loan_id", name=op.f("pk_day_failure")),
    )
    op.create_index(
        "ix_day_failure_open",
        "day_failure",
        ["loan_id"],
        postgresql_where=sa.text("resolved_at IS NULL"),
        sqlite_where=sa.text("resolved_at IS NULL"),
    )


def _fill() -> None:
    """Say since when loans are late, and what that is called, by what they owe."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    on_sqlite = "json_extract(agreed, '$.grace_days')"
    grace = "(agreed ->> 'grace_days')::int" if is_postgresql else on_sqlite
    op.execute(f"UPDATE loan SET grace_days = COALESCE({grace}, 3)")  # noqa: S608 -- fixed texts
    op.execute(
        "UPDATE loan SET late_since = (SELECT MIN(i.due_on) FROM instalment i"
        " WHERE i.loan_id = loan.id AND i.settled_on IS NULL AND i.due_on < loan.closed_to)"
        " WHERE state = 'active'"
    )
    names = (
        ("bucket", _NAMED, "'M0'"),
        ("five_class", _CLASSED, "'normal'"),
        ("ecl_stage", _STAGED, "1"),
    )
    named = ", ".join(f"{name} = {_case(steps, otherwise)}" for name, steps, otherwise in names)
    op.execute(f"UPDATE loan SET {named} WHERE late_since IS NOT NULL")  # noqa: S608 -- fixed texts
    op.execute(
        "INSERT INTO lateness_change"
        " (loan_id, from_on, late_since, bucket, five_class, ecl_stage, recorded_at)"
        " SELECT id, closed_to, late_since, bucket, five_class, ecl_stage, CURRENT_TIMESTAMP"
        " FROM loan WHERE late_since IS NOT NULL ORDER BY id"
    )


def _case(steps: tuple[tuple[int, str], ...], otherwise: str) -> str:
    whens = " ".join(
        f"WHEN days_past_due >= {first} THEN {name if name.isdigit() else repr(name)}"
        for first, name in steps
    )
    return f"CASE {whens} ELSE {otherwise} END"
