"""How much of each act a partner may, at once and in a day, and what it used of it."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from servicing.ceilings import Ceiling, acts, house_ceiling
from servicing.tables import PartnerDay, PartnerLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitView:
    """What a partner may of an act on a day, fen; `set_by` is empty where the house says it."""

    act: str
    each_fen: int
    day_fen: int
    used_fen: int
    set_by: str
    reason: str = ""

    @property
    def left_fen(self) -> int:
        """How much more may happen on the day."""
        return max(0, self.day_fen - self.used_fen)


def limits_of(session: Session, *, partner: str, on: date) -> tuple[LimitView, ...]:
    """List what a partner may of each act."""
    own = {row.act: row for row in _own(session, partner)}
    used = _used(session, partner, on)
    return tuple(_view(act, own.get(act), used.get(act, 0), on) for act in acts())


def limit_of(session: Session, *, partner: str, act: str, on: date) -> LimitView:
    """Return what a partner may of one act."""
    own = {row.act: row for row in _own(session, partner)}
    return _view(act, own.get(act), _used(session, partner, on).get(act, 0), on)


def _view(act: str, own: PartnerLimit | None, used_fen: int, on: date) -> LimitView:
    ceiling: Ceiling | PartnerLimit = own or house_ceiling(act, on=on)
    return LimitView(
        act=act,
        each_fen=ceiling.each_fen,
        day_fen=ceiling.day_fen,
        used_fen=used_fen,
        set_by=own.set_by if own else "",
        reason=own.reason if own else "",
    )


def _own(session: Session, partner: str) -> list[PartnerLimit]:
    """List a partner's own limits, the last of an act last."""
    rows = select(PartnerLimit).where(PartnerLimit.partner == partner).order_by(PartnerLimit.id)
    return list(session.scalars(rows))


def _used(session: Session, partner: str, on: date) -> dict[str, int]:
    rows = session.execute(
        select(PartnerDay.act, PartnerDay.used_fen).where(
            PartnerDay.partner == partner, PartnerDay.day == on
        )
    )
    return {row.act: row.used_fen for row in rows}
