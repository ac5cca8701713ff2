"""The borrower's pages inside WeChat: what is owed, paying it, how it went, and binding.

Who looks is known by WeChat's sign-in (bot.login). A page shows nobody's debt but the looker's
own; another's loan is simply not found. It computes no money and believes nothing that the page
says about a payment.
"""

from datetime import date
from decimal import Decimal
from itertools import accumulate
from typing import Any

from apiflask import APIBlueprint
from flask import Response, g, jsonify, make_response, redirect, render_template, request, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.wrappers import Response as BaseResponse

from bot import binding, h5_amount, h5_applications, h5_offers, login, phrases
from bot.binding import BindingInputInvalid, BindingRefused, BindingTooOften, Claimed
from contact.operations import AddressTaken
from contact.ports import AddressKind
from contact.queries import customer_of
from kernel.clock import business_date
from kernel.errors import FenqiError, Forbidden
from kernel.ids import new_token
from kernel.money import fen_from_yuan, yuan
from kernel.web import now, runtime, today
from servicing import queries
from servicing.documents import queries as documents
from servicing.documents.queries import Asked
from servicing.payments.operations import OrderView, open_payment_order, query_order
from servicing.payments.ports import Purpose
from servicing.queries import LoanView, Quote

blueprint = APIBlueprint(
    "h5",
    __name__,
    url_prefix="/h5",
    template_folder="templates",
    static_folder="static",
    enable_openapi=False,
)
h5_offers.add_to(blueprint)
h5_applications.add_to(blueprint)

_PLATFORM = "MicroMessenger"
_WITHOUT_SIGN_IN = frozenset({"h5.static", "h5.oauth"})
_WITHOUT_BINDING = frozenset({"h5.bind", "h5.bind_submit", "h5.bind_code"})
_LONGEST_KEY = 64
_FEW = 3
_DOCUMENTS = {
    "plan": documents.repayment_plan,
    "statement": documents.statement,
    "certificate": documents.settlement_certificate,
}


class NotBound(Forbidden):
    """The account is nobody's."""

    code = "wechat-not-bound"
    message_zh = "您的微信还没有绑定，请先绑定"


class KeyMissing(BindingInputInvalid):
    """A payment was asked for without the page's key."""

    code = "payment-key-missing"
    message_zh = "页面已过期，请返回重新打开"


@blueprint.before_request
def know_the_looker() -> BaseResponse | None:
    """Let in who is known; send others to sign in or to bind, and outsiders to the guard page."""
    if request.endpoint == "h5.static":
        return None
    if _PLATFORM not in request.headers.get("User-Agent", ""):
        return make_response(render_template("bot/guard.html"), 403)
    if request.endpoint in _WITHOUT_SIGN_IN:
        return None
    openid = login.known_openid(runtime().settings, request)
    if openid is None:
        if request.method != "GET" or _wants_json():
            raise login.LoginRefused("no session")
        return _to_wechat()
    g.openid, g.customer_id = openid, _customer_of(openid)
    if g.customer_id is not None or request.endpoint in _WITHOUT_BINDING:
        return None
    if request.method != "GET" or _wants_json():
        raise NotBound("the account is nobody's")
    return redirect(url_for("h5.bind"))


@blueprint.context_processor
def words() -> dict[str, object]:
    """Give every page its language, and how amounts, days and rates are written."""
    language = str(get_locale() or "zh_CN").replace("_", "-")
    return {
        "language": language,
        "yuan": yuan,
        "day": _day,
        "business_day": business_date,
        "percent": phrases.percent,
        "share": phrases.share,
        "offer_title": phrases.offer_title,
        "freeze_title": phrases.freeze_title,
    }


@blueprint.app_template_filter("as_percent")
def as_percent(share: str | Decimal) -> str:
    """Write a share a year, such as 18.25%."""
    return f"{Decimal(share) * 100:.2f}%"


@blueprint.app_template_filter("as_yuan")
def as_yuan(written: str) -> str:
    """Write an amount of a cost table for people, such as 1,234.50."""
    return yuan(fen_from_yuan(written))


@blueprint.errorhandler(FenqiError)
def refuse(error: FenqiError) -> tuple[BaseResponse, int]:
    """Say in a sentence what is wrong."""
    if request.method == "POST" or _wants_json():
        return jsonify(code=error.code, message=error.message_zh), error.status
    page = render_template("bot/message.html", message=error.message_zh)
    return make_response(page), error.status


@blueprint.errorhandler(CSRFError)
def refuse_forgery(_error: CSRFError) -> tuple[BaseResponse, int]:
    """Ask to open a page again that is too old, or was never ours."""
    return jsonify(code=KeyMissing.code, message=KeyMissing.message_zh), 400


@blueprint.get("/oauth")
def oauth() -> BaseResponse:
    """Take WeChat's answer, remember who looks, and go where they wanted to."""
    settings = runtime().settings
    wanted = login.wanted_path(settings, request)
    openid = login.exchange_code(settings, request.args.get("code", ""))
    response = redirect(wanted)
    login.sign_in(settings, response, openid)
    return response


@blueprint.get("/")
def home() -> BaseResponse:
    """Lead to the looker's loans."""
    return redirect(url_for("h5.progress"))


@blueprint.get("/progress")
def progress() -> str:
    """Show the looker's loans and plans."""
    given = runtime()
    with given.database.read() as session:
        loans = queries.loans_of(session, customer_id=g.customer_id, on=today())
        customer = queries.customer_view(session, given.cipher, customer_id=g.customer_id)
        offered = queries.offers_of(session, customer_id=g.customer_id, on=today())
        frozen = queries.freezes_in_force(session, customer_id=g.customer_id, on=today(), at=now())
    return _page(
        "progress",
        loans=loans,
        who=phrases.masked_name(customer.name),
        offers=[one for one in offered if one.is_alive],
        has_offers=bool(offered),
        frozen=frozen,
    )


@blueprint.get("/doc/<int:loan_id>/<any(plan, statement, certificate):name>")
def document(loan_id: int, name: str) -> Response:
    """Hand the looker a document about a loan of theirs, named in clear; its address is short.

    A link to it is worth nothing without signing in, and WeChat's state holds no longer one.
    """
    given = runtime()
    asked = Asked(customer_id=g.customer_id, loan_id=loan_id, on=today(), at=now(), is_masked=False)
    with given.database.read() as session:
        made = _DOCUMENTS[name](session, given.cipher, asked=asked)
    response = Response(made.content, content_type=made.mimetype)
    response.headers["Content-Disposition"] = f'inline; filename="{made.name}"'
    return response


@blueprint.get("/repay")
def repay_any() -> BaseResponse:
    """Lead to the loan to pay, or let the looker choose."""
    with runtime().database.read() as session:
        loans = queries.loans_of(session, customer_id=g.customer_id, on=today())
    to_pay = [loan for loan in loans if loan.due_fen] or [loan for loan in loans if loan.next]
    if len(to_pay) == 1:
        return redirect(url_for("h5.repay", loan_id=to_pay[0].id))
    return redirect(url_for("h5.progress"))


@blueprint.get("/repay/<int:loan_id>")
def repay(loan_id: int) -> str | BaseResponse | tuple[str, int]:
    """Show what is to pay now, an amount of one's own, or what settles the loan, and the button.

    The page's key pays once.
    """
    loan = _loan(loan_id)
    if _purpose() is Purpose.OWN:
        return h5_amount.page(loan)
    if _purpose() is Purpose.SETTLE:
        with runtime().database.read() as session:
            settling = queries.settlement_quote(
                session, loan_id=loan_id, customer_id=g.customer_id, on=today()
            )
        return _page("settle", loan=loan, quote=settling, key=new_token())
    quote = queries.repayment_quote(loan, on=today())
    return _page("repay", loan=loan, quote=quote, choices=_choices(quote), key=new_token())


@blueprint.post("/repay/<int:loan_id>")
def pay(loan_id: int) -> Response:
    """Open a payment order and hand its parameters to WeChat's payment sheet."""
    key = request.headers.get("Idempotency-Key", "")
    if not key or len(key) > _LONGEST_KEY:
        raise KeyMissing("Idempotency-Key is missing or too long")
    params = open_payment_order(
        runtime(),
        key=f"h5:{g.customer_id}:{key}",
        customer_id=g.customer_id,
        loan_id=loan_id,
        openid=g.openid,
        terms=request.form.get("terms", type=int),
        purpose=_purpose(),
        amount_fen=h5_amount.asked_fen() if _purpose() is Purpose.OWN else 0,
    )
    return jsonify(params=params.bridge(), out_trade_no=params.out_trade_no)


def _purpose() -> Purpose:
    if h5_amount.FIELD in request.args:
        return Purpose.OWN
    return Purpose.SETTLE if request.args.get("for") == Purpose.SETTLE else Purpose.DUE


@blueprint.get("/orders/<out_trade_no>")
def order_state(out_trade_no: str) -> Response:
    """Tell how a payment went; we ask WeChat Pay, the page's own word proves nothing."""
    return jsonify(state=_order(out_trade_no).state)


@blueprint.get("/result/<out_trade_no>")
def result(out_trade_no: str) -> str:
    """Show a payment and wait for its end."""
    order = _order(out_trade_no)
    return _page("result", order=order, loan=_loan(order.loan_id))


@blueprint.get("/bind")
def bind() -> str:
    """Show the form, or that the account is bound."""
    if g.customer_id is not None:
        return _page("bound")
    return _bind_form()


@blueprint.post("/bind/code")
def bind_code() -> Response:
    """Send a one-time code; the answer is the same whether the phone is known or not."""
    binding.request_code(runtime(), openid=g.openid, phone=request.form.get("phone", "").strip())
    return jsonify(message=_("验证码已发送，请查收短信"), wait_s=binding.RESEND_S)


@blueprint.post("/bind")
def bind_submit() -> str | tuple[str, int]:
    """Bind the account, or show the form again with one sentence."""
    form = request.form
    claimed = Claimed(
        phone=form.get("phone", ""), code=form.get("code", ""), id_last4=form.get("id_last4", "")
    )
    if not form.get("agree"):
        return _bind_form(_("请先阅读并同意绑定说明")), 422
    try:
        binding.bind(runtime(), openid=g.openid, claimed=claimed, now=now())
    except (BindingInputInvalid, BindingRefused, BindingTooOften, AddressTaken) as error:
        return _bind_form(error.message_zh), error.status
    return _page("bound")


def _choices(quote: Quote) -> list[tuple[int, int]]:
    """Offer to pay all that is asked for, or the oldest few instalments: how many, and the sum."""
    sums = list(accumulate(row.outstanding_fen for row in quote.lines))
    all_of_them, fewer = len(sums), min(len(sums) - 1, _FEW)
    return [(terms, sums[terms - 1]) for terms in (all_of_them, *range(1, fewer + 1)) if terms]


def _bind_form(problem: str = "") -> str:
    return _page(
        "bind",
        problem=problem,
        phone=request.form.get("phone", ""),
        agrees="agree" in request.form,
        consent=binding.CONSENT,
    )


def _page(template: str, **values: Any) -> str:
    return render_template(f"bot/{template}.html", **values)


def _day(on: date) -> str:
    if str(get_locale()) == "en":
        return on.isoformat()
    return phrases.day(on) if on.year != today().year else f"{on.month}月{on.day}日"


def _loan(loan_id: int) -> LoanView:
    with runtime().database.read() as session:
        return queries.loan_of(session, loan_id=loan_id, customer_id=g.customer_id, on=today())


def _order(out_trade_no: str) -> OrderView:
    return query_order(runtime(), out_trade_no=out_trade_no, customer_id=g.customer_id)


def _customer_of(openid: str) -> int | None:
    given = runtime()
    with given.database.read() as session:
        return customer_of(
            session, channel_kind=AddressKind.WECHAT, address=openid, cipher=given.cipher
        )


def _wants_json() -> bool:
    return request.path.startswith("/h5/orders/")


def _here() -> str:
    """Name this page again; of its query only what is ours, since WeChat's state is short."""
    return f"{request.path}?for={Purpose.SETTLE}" if _purpose() is Purpose.SETTLE else request.path


def _to_wechat() -> BaseResponse:
    response = BaseResponse(status=302)
    response.location = login.authorise_url(
        runtime().settings,
        request,
        response,
        back=url_for("h5.oauth"),
        wanted=_here(),
    )
    return response
