"""What the assistant answers to each intent and event: one small handler each.

Importing this module fills the table of bot.dialogue. Handlers compute nothing: they read a
servicing query, or call one operation, and pass the result to bot.phrases.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bot import phrases
from bot.dialogue import DECISION, Asked, Handler, Reply, answers, follows, on_event
from bot.understanding import Intent, understand
from contact.operations import record_delivery, retire_address
from contact.ports import AddressKind
from kernel.clock import business_date
from servicing import queries
from servicing.operations import appeal_application, open_complaint, place_hold, raise_alert
from servicing.payments.queries import payments_of
from servicing.queries import (
    IMPORTED,
    ApplicationDetail,
    ApplicationState,
    ComplaintView,
    LoanView,
    OfferView,
)

_UNBIND = "unbind"
_PERSON = "person"
_CLEARER = "clearer"
_PRICED = (ApplicationState.APPROVED, ApplicationState.BOOKED)
_IN_QUESTION = (ApplicationState.DECLINED, ApplicationState.IN_REVIEW)
_LEFT_ALONE = timedelta(days=3)
_SURE = ("是", "是的", "确认", "确定")
_YES = (*_SURE, "好", "好的", "好啊", "可以", "要", "行", "嗯", "ok", "同意", "转")
_NO = ("不", "不用", "不要", "不了", "取消", "算了", "否", "no")

Tell = Callable[[Asked, int, tuple[LoanView, ...]], Reply]


def _about_loans(tell: Tell) -> Handler:
    """Make a handler of something that is told about a bound customer's open loans."""

    def handle(asked: Asked) -> Reply:
        if asked.customer_id is None:
            return Reply(text=phrases.bind_first(asked.base_url))
        loans = queries.loans_of(asked.session, customer_id=asked.customer_id, on=asked.on)
        still_open = tuple(loan for loan in loans if loan.remaining_fen)
        if not still_open:
            return Reply(text=phrases.ALL_SETTLED if loans else phrases.NO_LOANS)
        return tell(asked, asked.customer_id, still_open)

    return handle


@answers(Intent.PROGRESS)
@_about_loans
def _progress(asked: Asked, customer_id: int, loans: tuple[LoanView, ...]) -> Reply:
    customer = queries.customer_view(asked.session, asked.cipher, customer_id=customer_id)
    parts = [phrases.progress(customer.name, loans, asked.base_url)]
    frozen = queries.freezes_in_force(
        asked.session, customer_id=customer_id, on=asked.on, at=asked.now
    )
    if frozen:
        parts.append(phrases.frozen(frozen, loans))
    if offered := _offered(asked, customer_id):
        parts.append(phrases.offers(offered, asked.base_url))
    return Reply(text="\n".join(parts))


@answers(Intent.NEXT_DUE)
@_about_loans
def _next_due(asked: Asked, _customer_id: int, loans: tuple[LoanView, ...]) -> Reply:
    return Reply(text=phrases.next_due(loans, on=asked.on, base_url=asked.base_url))


@answers(Intent.WHY_AMOUNT)
@_about_loans
def _why_amount(asked: Asked, _customer_id: int, loans: tuple[LoanView, ...]) -> Reply:
    told = [
        phrases.why_amount(loan, queries.repayment_quote(loan, on=asked.on))
        + f"\n{phrases.repay_link(loan, asked.base_url)}"
        for loan in loans
    ]
    return Reply(text="\n".join(told))


@answers(Intent.REPAY)
@_about_loans
def _repay(asked: Asked, _customer_id: int, loans: tuple[LoanView, ...]) -> Reply:
    quoted = [(loan, queries.repayment_quote(loan, on=asked.on)) for loan in loans]
    return Reply(text=phrases.repay(quoted, asked.base_url))


@answers(Intent.PAYOFF)
@_about_loans
def _payoff(asked: Asked, customer_id: int, loans: tuple[LoanView, ...]) -> Reply:
    quoted = [
        (
            loan,
            queries.settlement_quote(
                asked.session, loan_id=loan.id, customer_id=customer_id, on=asked.on
            ),
        )
        for loan in loans
        if loan.settles_early
    ]
    if not quoted:
        return Reply(text=phrases.NO_PAYOFF, awaits=_PERSON)
    return Reply(text=phrases.payoff(quoted, on=asked.on, base_url=asked.base_url))


@answers(Intent.PAID)
def _paid(asked: Asked) -> Reply:
    if asked.customer_id is None:
        return Reply(text=phrases.bind_first(asked.base_url))
    found = payments_of(asked.session, customer_id=asked.customer_id, limit=1)
    return Reply(text=phrases.last_payment(found[0] if found else None))


@answers(Intent.STATUS)
@follows(DECISION, "为什么", "为啥", "为何", "为什么呢", "凭什么", "什么原因", "原因", "why")
def _status(asked: Asked) -> Reply:
    if asked.customer_id is None:
        return Reply(text=phrases.bind_first(asked.base_url))
    found = queries.latest_application(asked.session, customer_id=asked.customer_id)
    if found is None:
        return Reply(text=phrases.NO_APPLICATION)
    return Reply(text=_standing(asked, found), awaits=DECISION)


@answers(Intent.APPEAL, writes=True)
def _appeal(asked: Asked) -> Reply:
    if asked.customer_id is None:
        return Reply(text=phrases.bind_first(asked.base_url))
    found = _in_question(asked, asked.customer_id)
    if found is None:
        return Reply(text=phrases.NOTHING_TO_APPEAL)
    if found.state == ApplicationState.IN_REVIEW or found.is_by_person or _is_asked(asked, found):
        return Reply(text=_explained(asked, found))
    appeal_application(asked.session, application_id=found.id, now=asked.now)
    return Reply(text=_appealed(asked, found.id))


@answers(Intent.WHY_TERMS)
def _why_terms(asked: Asked) -> Reply:
    """Tell an applicant of late where price and amount come from, others how interest is made."""
    if asked.customer_id is None:
        return Reply(text=phrases.bind_first(asked.base_url))
    found = _in_question(asked, asked.customer_id)
    return Reply(text=_explained(asked, found)) if found else _why_amount(asked)


def _in_question(asked: Asked, customer_id: int) -> ApplicationDetail | None:
    """Find what a borrower may ask about; approved before this book, it has no price of ours."""
    found = queries.latest_application(
        asked.session, customer_id=customer_id, states=(*_IN_QUESTION, *_PRICED)
    )
    if found is None or found.state not in _PRICED or found.decided_by != IMPORTED:
        return found
    return queries.latest_application(asked.session, customer_id=customer_id, states=_IN_QUESTION)


def _is_asked(asked: Asked, found: ApplicationDetail) -> bool:
    """Say whether a person looks or has looked at the terms of an application."""
    review = queries.review_of(asked.session, application_id=found.id)
    return found.state in _PRICED and review is not None


def _explained(asked: Asked, found: ApplicationDetail) -> str:
    return _terms(asked, found) if found.state in _PRICED else _standing(asked, found)


def _standing(asked: Asked, found: ApplicationDetail) -> str:
    """Tell where an application stands, and by when a person answers if one looks at it."""
    reasons = queries.customer_reasons(found.reasons, found.told)
    review = queries.review_of(asked.session, application_id=found.id)
    told = phrases.application(found, reasons)
    if review is None or not review.waits_in(found.state):
        return told
    return f"{told}\n{phrases.waits_until(review.due_at)}"


def _terms(asked: Asked, found: ApplicationDetail) -> str:
    product = queries.product_version(
        asked.session, code=found.product_code, version=found.product_version
    )
    reasons = queries.customer_reasons(found.reasons, found.told)
    review = queries.review_of(asked.session, application_id=found.id)
    return phrases.why_terms(
        found,
        reasons,
        product=product.name_zh,
        list_rate=product.rate_annual,
        review=review,
    )


def _appealed(asked: Asked, application_id: int) -> str:
    found = queries.application_of(asked.session, application_id=application_id)
    review = queries.review_of(asked.session, application_id=application_id)
    assert found is not None  # noqa: S101 -- just appealed
    assert review is not None  # noqa: S101
    return phrases.appealed(found, review.due_at)


@answers(Intent.PROMISE)
def _promise(_asked: Asked) -> Reply:
    return Reply(text=phrases.PROMISE)


@answers(Intent.CRISIS, writes=True)
def _crisis(asked: Asked) -> Reply:
    """Bring a person at once, and let no machine remind somebody who may harm themselves."""
    # A stranger is known by their account alone, which is not for staff to see.
    who = asked.customer_id or asked.cipher.blind_index(asked.message.openid, context="bot.risk")
    is_new = raise_alert(
        asked.session,
        key=f"borrower-at-risk/{who}/{asked.on.isoformat()}",
        kind="borrower-at-risk",
        severity="high",
        customer_id=asked.customer_id,
        details={"channel": "wechat"},
        now=asked.now,
    )
    if is_new and asked.customer_id is not None:
        place_hold(
            asked.session,
            customer_id=asked.customer_id,
            reason="wellbeing",
            scope="all",
            until=asked.now + _LEFT_ALONE,
            opened_by="machine",
            now=asked.now,
        )
    return Reply(text=phrases.CRISIS, hands_over=True)


@answers(Intent.HARDSHIP)
def _hardship(_asked: Asked) -> Reply:
    return Reply(text=phrases.HARDSHIP, awaits=_PERSON)


@answers(Intent.EXTENSION)
def _extension(asked: Asked) -> Reply:
    """Tell what is offered already, and lead to what the borrower can ask for without a person."""
    if asked.customer_id is None:
        return Reply(text=phrases.EXTENSION, awaits=_PERSON)
    open_offers = [one for one in _offered(asked, asked.customer_id) if one.loan_id is not None]
    loans = queries.loans_of(asked.session, customer_id=asked.customer_id, on=asked.on)
    may_ask = [loan for loan in loans if loan.next and not loan.days_past_due]
    parts = [phrases.EXTENSION]
    if may_ask:
        parts.append(phrases.change_links(may_ask, asked.base_url))
    if open_offers:
        parts.insert(0, phrases.offers(open_offers, asked.base_url))
    return Reply(text="\n".join(parts), awaits=_PERSON)


@answers(Intent.OFFERS)
def _offers(asked: Asked) -> Reply:
    if asked.customer_id is None:
        return Reply(text=phrases.bind_first(asked.base_url))
    found = _offered(asked, asked.customer_id)
    return Reply(text=phrases.offers(found, asked.base_url) if found else phrases.NO_OFFERS)


def _offered(asked: Asked, customer_id: int) -> list[OfferView]:
    """List what the borrower may say yes to, or has to pay yet."""
    found = queries.offers_of(asked.session, customer_id=customer_id, on=asked.on)
    return [one for one in found if one.is_alive]


@answers(Intent.SERVICE)
def _service(_asked: Asked) -> Reply:
    return Reply(text=phrases.SERVICE, awaits=_PERSON)


@answers(Intent.STOP_CONTACT)
def _stop_contact(_asked: Asked) -> Reply:
    return Reply(text=phrases.STOP_CONTACT, awaits=_PERSON)


@answers(Intent.OTHERS)
def _others(_asked: Asked) -> Reply:
    return Reply(text=phrases.OTHERS)


@answers(Intent.ABUSE)
def _abuse(_asked: Asked) -> Reply:
    return Reply(text=phrases.ABUSE)


@answers(Intent.WRONG_NUMBER)
def _wrong_person(_asked: Asked) -> Reply:
    return Reply(text=phrases.WRONG_PERSON, awaits=_PERSON)


@answers(Intent.HUMAN)
@follows(_PERSON, *_YES)
def _human(_asked: Asked) -> Reply:
    return Reply(hands_over=True)


@answers(Intent.COMPLAINT, writes=True)
def _complaint(asked: Asked) -> Reply:
    is_urgent = understand(asked.text).is_urgent
    if asked.customer_id is None:
        text = f"{phrases.COMPLAINT_UNBOUND}\n{phrases.bind_first(asked.base_url)}"
        return Reply(text=text, hands_over=is_urgent)
    known = _complaints(asked, asked.customer_id)
    complaint_id = open_complaint(
        asked.session,
        asked.cipher,
        customer_id=asked.customer_id,
        loan_id=None,
        category="chat",
        channel="wechat",
        text=asked.text or "投诉",
        opened_by="borrower",
        now=asked.now,
    )
    view = _complaints(asked, asked.customer_id)[complaint_id]
    tell = phrases.complaint_known if complaint_id in known else phrases.complaint_taken
    text = tell(view.complaint_no, business_date(view.answer_due_at))
    return Reply(text=text, hands_over=is_urgent)


def _complaints(asked: Asked, customer_id: int) -> dict[int, ComplaintView]:
    complaints = queries.complaints_of(asked.session, asked.cipher, customer_id=customer_id)
    return {complaint.id: complaint for complaint in complaints}


@answers(Intent.BIND)
def _bind(asked: Asked) -> Reply:
    say = phrases.bind_first if asked.customer_id is None else phrases.already_bound
    return Reply(text=say(asked.base_url))


@answers(Intent.UNBIND)
def _ask_unbind(asked: Asked) -> Reply:
    if asked.customer_id is None:
        return Reply(text=phrases.NOT_BOUND)
    return Reply(text=phrases.UNBIND_ASK, awaits=_UNBIND)


@follows(_UNBIND, "确认解绑", *_SURE, writes=True)
def _unbind(asked: Asked) -> Reply:
    if asked.customer_id is None:
        return Reply(text=phrases.NOT_BOUND)
    retire_address(
        asked.session,
        customer_id=asked.customer_id,
        channel_kind=AddressKind.WECHAT,
        reason="unbound",
        now=asked.now,
    )
    return Reply(text=phrases.UNBOUND)


@follows(_UNBIND, *_NO)
def _keep(_asked: Asked) -> Reply:
    return Reply(text=phrases.KEPT)


@follows(_PERSON, *_NO)
@answers(Intent.THANKS)
def _thanks(_asked: Asked) -> Reply:
    return Reply(text=phrases.THANKS)


@answers(Intent.GREETING)
@on_event("subscribe", "scan")
def _greeting(asked: Asked) -> Reply:
    if asked.customer_id is None:
        return Reply(text=f"{phrases.WELCOME}\n{phrases.bind_first(asked.base_url)}")
    return Reply(text=phrases.WELCOME)


@answers(Intent.MENU)
def _menu(_asked: Asked) -> Reply:
    return Reply(text=phrases.MENU)


@answers(Intent.UNKNOWN)
def _unknown(asked: Asked) -> Reply:
    if not asked.text:
        return Reply(text=phrases.UNREADABLE)
    if asked.awaiting == _CLEARER:
        return Reply(text=phrases.FALLBACK_AGAIN, awaits=_PERSON)
    return Reply(text=phrases.FALLBACK, awaits=_CLEARER)


@on_event("templatesendjobfinish", writes=True)
def _template_result(asked: Asked) -> Reply:
    message = asked.message
    record_delivery(
        asked.session,
        provider="wechat",
        provider_id=message.text("MsgID")[:64],
        status=message.text("Status"),
        at=_instant(message.text("CreateTime"), asked.now),
        cipher=asked.cipher,
        address=message.openid,
    )
    return Reply()


def _instant(seconds: str, otherwise: datetime) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return otherwise
