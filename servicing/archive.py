"""Writes terms and events down as JSON for good, and reads them again.

Every field is written, defaults too, so that a later default changes no loan that was booked. What
terms and events mean is the engine's matter.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, cast, get_args, get_origin, get_type_hints

from kernel.errors import Conflict
from servicing.engine import events
from servicing.engine.book import Kind
from servicing.engine.events import Event
from servicing.engine.terms import Terms

# Money and credits that settle what is owed are the same to the engine; people tell them apart.
_PAYMENTS: Final = (
    Kind.REPAYMENT,
    Kind.GOODWILL_CREDIT,
    Kind.MERCHANT_REFUND,
    Kind.PAYOUT_REFUND,
    Kind.INTEREST_REFUND,
    Kind.CHARGE_ADJUSTMENT,
)
# What the book takes, by the name under which it is kept.
KINDS: Final[Mapping[str, type[Event]]] = {
    **dict.fromkeys((kind.value for kind in _PAYMENTS), events.Payment),
    "disbursement": events.Disbursement,
    "prepayment": events.Prepayment,
    "undrawn-lapse": events.UndrawnLapse,
    "subsidy-payment": events.SubsidyPayment,
    "charge": events.Charge,
    "instalment-fee": events.InstalmentFee,
    "waiver": events.Waiver,
    "reversal": events.Reversal,
    "moved-due-date": events.MovedDueDate,
    "extra-terms": events.ExtraTerms,
    "principal-grace": events.PrincipalGrace,
    "payment-holiday": events.PaymentHoliday,
    "rate-change": events.RateChange,
    "re-amortisation": events.ReAmortisation,
    "interest-pause": events.InterestPause,
    "penalty-pause": events.PenaltyPause,
    "re-age": events.ReAge,
    "charge-back": events.ChargeBack,
    "credit-balance-refund": events.CreditBalanceRefund,
    "charge-off": events.ChargeOff,
    "write-off": events.WriteOff,
    "recovery": events.Recovery,
    "termination": events.Termination,
    "cancellation": events.Cancellation,
}
_NAMES: Final = {kind: name for name, kind in KINDS.items()}
_APART: Final = ("id", "on")


class EventNotBookable(Conflict):
    """The book keeps no event of this kind.

    A close of day is no event there but the day to which a loan is closed; days past due are never
    paused, whoever is promised time gets another due date; a claim is written off whole, a part of
    it is waived.
    """

    code = "event-not-bookable"
    message_zh = "系统暂不支持此项操作"


def kind_of(event: Event) -> str:
    """Name an event.

    Raises:
        EventNotBookable: The book does not take it.
    """
    if isinstance(event, events.Payment):
        name = event.kind.value if event.kind in _PAYMENTS else None
    elif isinstance(event, events.WriteOff) and event.amount_fen is not None:
        name = None
    else:
        name = _NAMES.get(type(event))
    if name is None:
        raise EventNotBookable(f"{event} is not booked")
    return name


def terms_to_json(terms: Terms) -> dict[str, Any]:
    """Write terms down."""
    return cast("dict[str, Any]", _plain(terms))


def terms_from_json(stored: Mapping[str, Any]) -> Terms:
    """Read terms again."""
    return cast("Terms", _reader(Terms)(stored))


def event_to_json(event: Event) -> dict[str, Any]:
    """Write down what an event says beside its id and day, which have columns of their own."""
    written = cast("dict[str, Any]", _plain(event))
    return {name: value for name, value in written.items() if name not in _APART}


def event_from_json(kind: str, stored: Mapping[str, Any], *, event_id: str, on: date) -> Event:
    """Read an event again."""
    written = {**stored, "id": event_id, "on": on.isoformat()}
    declared: Any = KINDS[kind]
    return cast("Event", _reader(declared)(written))


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return _word(value)


def _word(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """Return what reads values of a declared type; a field not stored keeps its default."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        read = _reader(next(part for part in inner if part is not NoneType))
        return lambda stored: None if stored is None else read(stored)
    if origin is tuple:
        return _tuple_reader(inner)
    if origin is dict:
        read = _reader(inner[1])
        return lambda stored: {key: read(value) for key, value in stored.items()}
    if is_dataclass(kind):
        made = cast("type", kind)
        fields_of = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}
        return lambda stored: made(**{name: fields_of[name](v) for name, v in stored.items()})
    if kind in (int, str, bool):
        return lambda stored: stored
    return date.fromisoformat if kind is date else cast("type", kind)


def _tuple_reader(kinds: tuple[Any, ...]) -> Callable[[Any], Any]:
    """Return what reads a tuple of declared parts, or of any number of one."""
    readers = tuple(_reader(kind) for kind in kinds if kind is not Ellipsis)
    if kinds[-1] is Ellipsis:
        return lambda stored: tuple(map(readers[0], stored))
    return lambda stored: tuple(read(one) for read, one in zip(readers, stored, strict=True))
