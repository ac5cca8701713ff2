"""Where WeChat Pay tells us what happened: POST /pay/notify and /pay/refund-notify.

204 means kept, also for repeats; a refusal is 4xx with the body that the platform asks for, and
the platform comes again. Nothing here trusts a byte before notify.verify has passed it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request
from prometheus_client import Counter
from sqlalchemy import update
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from kernel.database import insert_ignore
from kernel.errors import FenqiError
from kernel.logs import log
from kernel.web import now, runtime
from servicing.payments.console import settle_or_note
from servicing.payments.notify import Notice, NotifyRefused, keys_from_settings, verify
from servicing.payments.ports import payment_fact, refund_fact
from servicing.payments.refunds import RefundNotFound
from servicing.payments.settlement import PaymentMismatch, settle_payment
from servicing.payments.tables import PayNotice
from servicing.payments.watch import alert_mismatch, alert_unknown_refund

blueprint = Blueprint("payments", __name__, url_prefix="/pay")

_MAX_BODY = 64 * 1024
_PAYMENT_EVENT = "TRANSACTION.SUCCESS"
_REFUND_EVENTS = ("REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED")

NOTICES = Counter("fenqi_pay_notices_total", "Notifies by what became of them", ["kind", "outcome"])


@blueprint.post("/notify")
def notify() -> tuple[str, int]:
    """Settle a payment that the platform tells of."""
    notice, at = _checked(), now()
    if notice.event_type == _PAYMENT_EVENT:
        fact = payment_fact(notice.resource)
        with runtime().database.write() as session:
            settled = settle_payment(session, fact=fact, now=at)
            _keep(session, notice, fact.out_trade_no, at)
        NOTICES.labels("payment", settled.outcome).inc()
    else:
        _ignore(notice, at)
    return "", 204


@blueprint.post("/refund-notify")
def refund_notify() -> tuple[str, int]:
    """Settle a refund that the platform tells of, or note one that was made past us."""
    notice, at = _checked(), now()
    if notice.event_type in _REFUND_EVENTS:
        fact = refund_fact(notice.resource)
        with runtime().database.write() as session:
            state = settle_or_note(session, fact=fact, now=at)
            _keep(session, notice, fact.out_refund_no, at)
        NOTICES.labels("refund", state).inc()
    else:
        _ignore(notice, at)
    return "", 204


@blueprint.record
def _exempt_from_csrf(state: Any) -> None:
    """The platform signs its requests; it has no form and no session."""
    if "csrf" in state.app.extensions:
        state.app.extensions["csrf"].exempt(blueprint)


@blueprint.errorhandler(PaymentMismatch)
def _refuse_mismatch(error: PaymentMismatch) -> tuple[Response, int]:
    alert_mismatch(runtime(), error, now=now())
    return _refuse(error)


@blueprint.errorhandler(RefundNotFound)
def _refuse_refund(error: RefundNotFound) -> tuple[Response, int]:
    alert_unknown_refund(runtime(), out_refund_no=error.out_refund_no, now=now())
    return _refuse(error)


@blueprint.errorhandler(FenqiError)
def _refuse(error: FenqiError) -> tuple[Response, int]:
    reason = error.reason.value if isinstance(error, NotifyRefused) else error.code
    NOTICES.labels(request.path.rpartition("/")[2], reason).inc()
    log.warning("pay notify refused", reason=reason, path=request.path)
    return jsonify({"code": "FAIL", "message": error.message_zh}), error.status


@blueprint.errorhandler(HTTPException)
def _refuse_http(error: HTTPException) -> tuple[Response, int]:
    return jsonify({"code": "FAIL", "message": error.name}), error.code or 500


def _checked() -> Notice:
    request.max_content_length = _MAX_BODY
    return verify(
        headers=request.headers,
        body=request.get_data(cache=False),
        now=now(),
        keys=keys_from_settings(runtime().settings),
    )


def _ignore(notice: Notice, at: datetime) -> None:
    """Take note of news that we have no use for; refusing it would only bring it again."""
    with runtime().database.write() as session:
        _keep(session, notice, "", at)
    NOTICES.labels("other", "ignored").inc()


def _keep(session: Session, notice: Notice, reference: str, at: datetime) -> None:
    row: Mapping[str, Any] = {
        "notice_id": notice.notice_id[:64],
        "event_type": notice.event_type[:40],
        "reference": reference,
        "first_at": at,
        "last_at": at,
        "times": 1,
    }
    if not insert_ignore(session, PayNotice, [row], conflict=["notice_id"]):
        session.execute(
            update(PayNotice)
            .where(PayNotice.notice_id == row["notice_id"])
            .values(times=PayNotice.times + 1, last_at=at)
        )
