"""HTTP into contact: what the SMS provider reports of deliveries.

The provider does not sign its reports, so one is believed only if it brings back the reference
that we signed. Nothing here needs or shows personal data.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from flask import Blueprint, request
from flask.blueprints import BlueprintSetupState

from contact.operations import record_delivery
from kernel.clock import SHANGHAI
from kernel.errors import Invalid
from kernel.web import now, runtime

_MOST_RECEIPTS: Final = 1000

blueprint = Blueprint("contact", __name__, url_prefix="/contact")


class ReceiptsNotReadable(Invalid):
    """The body is not a JSON array of receipts."""

    code = "contact-receipts-not-readable"


@blueprint.record
def _expect_no_form_token(state: BlueprintSetupState) -> None:
    csrf = state.app.extensions.get("csrf")
    if csrf is not None:
        csrf.exempt(blueprint)


@blueprint.post("/sms-receipts")
def sms_receipts() -> dict[str, object]:
    """Note receipts; the provider repeats them until it reads code 0."""
    given = runtime()
    with given.database.write() as session:
        for receipt in _receipts():
            record_delivery(
                session,
                provider="sms",
                provider_id=str(receipt.get("biz_id", ""))[:64],
                status="delivered" if receipt.get("success") is True else "failed",
                at=_instant(receipt.get("report_time")),
                cipher=given.cipher,
                reference=str(receipt.get("out_id", ""))[:64],
            )
    return {"code": 0, "msg": "成功"}


def _receipts() -> Iterator[dict[str, Any]]:
    try:
        receipts = json.loads(request.get_data())
    except (ValueError, RecursionError) as error:
        raise ReceiptsNotReadable("expected a JSON array of receipts") from error
    if not isinstance(receipts, list) or len(receipts) > _MOST_RECEIPTS:
        raise ReceiptsNotReadable("expected a JSON array of receipts")
    return (receipt for receipt in receipts if isinstance(receipt, dict))


def _instant(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=SHANGHAI)
    except ValueError:
        return now()
