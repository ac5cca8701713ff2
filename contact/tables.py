"""Addresses at which customers are reached."""

from datetime import datetime

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base, BigId

_IN_FORCE = text("retired_at IS NULL")


class Address(Base):
    """One address of one customer; retired, never deleted.

    An openid in force is a binding of that WeChat account to the customer; the partial unique
    index lets an account be bound to one customer at a time.
    """

    __tablename__ = "contact_address"
    __table_args__ = (
        Index(
            "uq_contact_address_in_force",
            "kind",
            "address_index",
            unique=True,
            postgresql_where=_IN_FORCE,
            sqlite_where=_IN_FORCE,
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(BigId, index=True)
    kind: Mapped[str] = mapped_column(String(12))
    address_enc: Mapped[str] = mapped_column(String(400))
    address_index: Mapped[str] = mapped_column(String(40))
    source: Mapped[str] = mapped_column(String(20))
    recorded_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    retired_reason: Mapped[str | None] = mapped_column(String(40))
