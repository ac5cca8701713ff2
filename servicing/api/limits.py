"""Limits: how much of each act the partner may, at once and in a day, and what is left of it."""

from apiflask import APIBlueprint

from servicing.api.documented import get
from servicing.api.door import Call, serve
from servicing.api.scopes import Scope
from servicing.api.shapes import Fen, Shape
from servicing.queries.partner_limits import limits_of

blueprint = APIBlueprint("api_limits", __name__, tag="Events")


class LimitAnswer(Shape):
    """How much of an act may happen at once and in a day, and how much is left today; fen.

    `act` is the last part of the scope that it needs. Waivers, charges, extensions and pauses count
    by what they change.
    """

    act: str
    each_fen: Fen
    day_fen: Fen
    left_fen: Fen


class LimitsAnswer(Shape):
    """All limits of the partner."""

    limits: tuple[LimitAnswer, ...]


@serve(blueprint, get("/limits", Scope.LOANS_READ, LimitsAnswer))
def read_limits(call: Call) -> LimitsAnswer:
    """Read how much of each act may happen, and what is left today."""
    found = limits_of(call.session, partner=call.caller.partner, on=call.on)
    return LimitsAnswer(limits=tuple(LimitAnswer.model_validate(each) for each in found))
