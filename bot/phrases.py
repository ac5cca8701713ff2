"""Everything that the assistant says, in one place, so that one person can review it.

Amounts come ready from servicing's views; this module writes them down and computes none.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from flask_babel import lazy_gettext as _

from kernel.clock import SHANGHAI
from kernel.money import yuan
from servicing.operations import Preview
from servicing.payments.queries import PaymentView
from servicing.queries import (
    HOLD_LAPSED,
    ApplicationDetail,
    ApplicationState,
    FreezeInForce,
    InstalmentView,
    InterestReason,
    LoanView,
    OfferView,
    Piece,
    Quote,
    ReviewView,
    SettlementQuote,
)

MENU = """回复数字即可：
1. 我的分期
2. 下一期
3. 在线还款
4. 金额怎么算
5. 人工服务
回复 0 随时返回菜单"""
WELCOME = "您好，我是分期小助手，可以帮您查分期、算明细、还款。\n" + MENU
THANKS = "不客气，有需要随时找我。回复 0 返回菜单。"
FALLBACK = "没太明白您的意思。您可以直接问“我还差多少没还”“下期什么时候还”，或者\n" + MENU
FALLBACK_AGAIN = (
    "抱歉，还是没能明白。回复“好”，马上为您转接人工客服；\n"
    "也可以回复 1 查分期、2 看下一期、3 去还款、4 看明细。"
)
UNREADABLE = "暂时只看得懂文字消息，语音请打开“转文字”。\n" + MENU
BUSY = "系统繁忙，请稍后再试。急事请回复“人工”。"
NO_LOANS = "您名下目前没有分期。如有疑问，回复“人工”联系客服。"
ALL_SETTLED = "您的分期已全部还清，感谢您的信任！"

_OFFERS: Final = {
    "extension": _("展期方案"),
    "due-day": _("变更还款日"),
    "retention": _("降息方案"),
    "settlement": _("减免结清方案"),
    "line-raise": _("提额邀请"),
    "next-part": _("再次放款"),
}

_FREEZES: Final = {
    "interest": _("利息已冻结"),
    "penalty": _("罚息已冻结"),
    "contact": _("已暂停催收与提醒"),
    "line": _("额度已冻结"),
}

NO_OFFERS = "目前没有等您决定的方案。想调整还款，请回复“展期”或“人工”。"
NO_PAYOFF = "您的分期按计划还款，暂不支持提前结清。\n回复“好”，客服为您核实。"
UNBIND_ASK = (
    "解除绑定后，将不能在本微信查询分期，还款提醒也不再发到这里。\n"
    "确定要解除吗？回复“确认解绑”继续，回复“取消”保留绑定。"
)
UNBOUND = "已为您解除绑定。需要时可随时重新绑定。"
NOT_BOUND = "您的微信还没有绑定，无需解绑。"
KEPT = "好的，绑定保持不变。"
HAND_OVER_LATE = "刚才网络有些慢，请再回复一次“人工”，马上为您转接。"

HARDSHIP = (
    "别着急，遇到困难可以商量。请把情况告诉客服，我们会一起看看有哪些可行的安排。\n"
    "您的权益不会因为询问而受影响。回复“好”，马上为您转接人工客服。"
)
CRISIS = (
    "听到您这么说，我们很担心您。钱的事可以慢慢商量，您的安全最重要。已经为您转接人工客服。\n"
    "如果您或身边的人正有危险，请马上拨打 110 或 120；"
    "想找人说说话，可以拨打 24 小时心理援助热线 12356。"
)
SERVICE = (
    "这件事需要客服为您核实或办理。\n回复“好”，马上为您转接人工客服；回复 0 看看我能帮您查什么。"
)
STOP_CONTACT = (
    "很抱歉打扰到您。回复“好”，由客服登记您的要求并说明后续安排；\n"
    "如果有人不当催收，请直接回复“投诉”和经过，我们会登记核查。"
)
OTHERS = (
    "为保护个人信息，这里只能查询本微信绑定的账户；他人的分期请由本人绑定后查询。\n"
    "要看您自己的，请回复“我的分期”。"
)
ABUSE = "很抱歉让您不愉快。请告诉我哪里没做好：回复“投诉”为您登记，回复“人工”马上为您转接客服。"
EXTENSION = (
    "想调整还款时间或每次还的金额，需要客服核实情况后为您办理，能否办理以客服答复为准。\n"
    "回复“好”，马上为您转接人工客服。"
)
_CHANGE: Final = "也可以自己申请展期，或换一个还款日："
WRONG_PERSON = "很抱歉打扰您。如果您不是本人，或没有办理过分期，请回复“好”，客服会核实并停止联系。"
PROMISE = "好的，已了解您的打算。您可以随时在这里完成还款；到账前系统仍可能发送提醒，敬请谅解。"
_LONGEST_GOODS: Final = 20

APPLICATION_STATUS: Final = {
    ApplicationState.SUBMITTED: "审核中",
    ApplicationState.IN_REVIEW: "人工审核中",
    ApplicationState.APPROVED: "已通过",
    ApplicationState.DECLINED: "未通过",
}
"""For a card of the platform, which has room for five signs."""
_APPLICATION: Final = {
    ApplicationState.SUBMITTED: "您的分期申请正在审核。",
    ApplicationState.IN_REVIEW: "您的分期申请正在由审核人员人工审核。",
    ApplicationState.APPROVED: "您的分期申请已通过。",
    ApplicationState.DECLINED: "很抱歉，您的分期申请未通过。",
    ApplicationState.CANCELLED: "您的分期申请已取消。",
    ApplicationState.BOOKED: "您的分期申请已通过并放款。",
}
_NEXT_STEP: Final = {
    ApplicationState.SUBMITTED: "有结果会在这里通知您。",
    ApplicationState.IN_REVIEW: "审核人员看过后，结果会在这里通知您，请留意消息。",
    ApplicationState.APPROVED: (
        "下一步：门店会为您继续办理，请看清各项费用后再确认。有疑问请回复“人工”。"
    ),
    ApplicationState.DECLINED: "对结果有疑问，可回复“人工复核”，由审核人员重新审核。",
    ApplicationState.BOOKED: "回复“我的分期”查看还款计划。",
}
_LAPSED: Final = (
    "您的分期申请通过后 30 天内没有办理，已自动取消，为它预留的额度已恢复。\n"
    "如仍需要，可在门店重新申请；有疑问请回复“人工”。"
)
CHANGES: Final = {
    "extra-terms": "已展期",
    "moved-due-date": "改还款日",
    "principal-grace": "只还利息",
    "payment-holiday": "暂停还款",
    "rate-change": "利率调整",
    "re-amortisation": "重新分摊",
    "re-age": "计划重组",
    "interest-pause": "利息冻结",
    "penalty-pause": "罚息冻结",
    "termination": "提前到期",
    "cancellation": "退货取消",
    "disbursement": "再次放款",
    "charge": "新增费用",
    "instalment-fee": "新增费用",
    "charge-back": "支付退回",
    "reversal": "记录冲正",
}
"""What is told of a change, by the kind of its event; a card of the platform has room for five."""
NO_REASON: Final = "没有留下记录"
DECIDED_BY_PERSON: Final = (
    "这是审核人员人工作出的决定。仍有疑问，请回复“人工”联系客服，或回复“投诉”。"
)
_TERMS_LEFT: Final = "仍有疑问，请回复“人工”联系客服，或回复“投诉”。"
NO_APPLICATION: Final = "没有查到您的分期申请。如有疑问，回复“人工”联系客服。"
NOTHING_TO_APPEAL: Final = (
    "您没有可以复核的申请。回复“申请结果”查看最近一次申请；其他疑问请回复“人工”。"
)
REVIEWED_STATUS: Final = "已复核"
_APPEALED: Final = (
    "已为您申请人工复核。\n审核人员会重新查看您的申请，不只看机器的结论；"
    "最晚 {by}在这里告诉您结果。\n想补充情况，请回复“人工”告诉客服。"
)
_TERMS_ASKED: Final = (
    "已为您申请人工复核这笔申请的价格与额度。\n{terms}\n"
    "审核人员最晚 {by}在这里告诉您结果。复核期间已批准的条件照常有效，可以照常办理；"
    "复核只会维持或提高批准金额，不会变差。\n想补充情况，请回复“人工”告诉客服。"
)
_TERMS_REVIEWED: Final = (
    "审核人员已复核过这笔申请的价格与额度，这是人工作出的决定。"
    "仍有疑问，请回复“人工”联系客服，或回复“投诉”。"
)
_TERMS_WHY: Final = "对价格或额度有疑问，可回复“人工复核”，由审核人员重新查看。"

COMPLAINT_UNBOUND = (
    "很抱歉给您带来不便。请先验证身份，方便我们登记并答复您；也可以回复“人工”直接联系客服。"
)


def money(fen: int) -> str:
    """Write an amount as the assistant says it."""
    return f"¥{yuan(fen)}"


def day(on: date) -> str:
    """Write a day as the assistant says it."""
    return f"{on.year}年{on.month}月{on.day}日"


def link(label: str, url: str) -> str:
    """Write a link that WeChat shows as a word; both are ours and need no escaping."""
    return f'<a href="{url}">{label}</a>'


def bind_first(base_url: str) -> str:
    """Lead somebody who is not bound to the binding page."""
    return (
        "您的微信还没有绑定，绑定后才能查看自己的分期。\n"
        f"{link('点此验证身份并绑定', f'{base_url}/h5/bind')}\n"
        "请不要在聊天中发送身份证号或验证码。"
    )


def already_bound(base_url: str) -> str:
    """Tell somebody who is bound how to see or end it."""
    seen = link("查看我的分期", f"{base_url}/h5/progress")
    return f"您的微信已经绑定。{seen}\n如需解除，回复“解绑”。"


def repay_link(loan: LoanView, base_url: str) -> str:
    """Lead to the page that pays a loan."""
    return link("点此还款", f"{base_url}/h5/repay/{loan.id}")


def progress(name: str, loans: Sequence[LoanView], base_url: str) -> str:
    """Tell how far each loan is paid and what is still to pay, with the reason."""
    total = sum(loan.remaining_fen for loan in loans)
    parts = [f"{masked_name(name)}，您还需还 {money(total)}："]
    parts += [f"{number}. {_progress_of(loan)}" for number, loan in enumerate(loans, 1)]
    parts.append(link("查看还款计划", f"{base_url}/h5/progress"))
    return "\n".join(parts)


def _progress_of(loan: LoanView) -> str:
    cost = loan.remaining_fen - loan.outstanding_principal_fen
    name = "息费" if any(row.fee_fen or row.penalty_fen for row in loan.plan) else "利息"
    lines = [
        title(loan),
        f"   已还 {loan.paid_terms}/{loan.terms} 期，还差 {money(loan.remaining_fen)}",
        f"   = 本金 {money(loan.outstanding_principal_fen)} + {name} {money(cost)}",
    ]
    if loan.overdue_fen:
        lines.append(f"   已过还款日 {loan.days_past_due} 天，待还 {money(loan.overdue_fen)}")
    elif loan.next is not None:
        lines.append(f"   下一期 {day(loan.next.due_on)}，{money(loan.next.outstanding_fen)}")
    return "\n".join(lines)


def title(loan: LoanView) -> str:
    """Name a loan so that its owner knows it and nobody else learns its number."""
    return f"{goods(loan.merchandise)}（尾号{loan.loan_no[-4:]}）"


def goods(merchandise: str) -> str:
    """Name what was bought."""
    # WeChat reads links out of a text, and shops name their own goods.
    name = " ".join(merchandise.replace("<", "＜").split())
    return name if len(name) <= _LONGEST_GOODS else name[: _LONGEST_GOODS - 1] + "…"


def next_due(loans: Sequence[LoanView], *, on: date, base_url: str) -> str:
    """Tell the next instalment of each loan."""
    lines = []
    for number, loan in enumerate(loans, 1):
        if loan.next is None:
            continue
        row = loan.next
        lines.append(f"{number}. {title(loan)}")
        place = f"第 {row.n}/{len(loan.plan)} 期"
        lines.append(f"   {place}，{day(row.due_on)}（{_distance(row, on)}）")
        lines.append(f"   应还 {money(row.outstanding_fen)}  {repay_link(loan, base_url)}")
    return "\n".join(lines)


def _distance(row: InstalmentView, on: date) -> str:
    if row.days_past_due:
        return f"已过 {row.days_past_due} 天"
    ahead = (row.due_on - on).days
    return f"还有 {ahead} 天" if ahead else "就是今天"


def why_amount(loan: LoanView, quote: Quote) -> str:
    """Give the reason for every fen of a quote."""
    lines = [f"{title(loan)}现在应还 {money(quote.amount_fen)}，由以下几项组成："]
    lines += [_reason(row) for row in quote.lines]
    return "\n".join(lines)


def _reason(row: InstalmentView) -> str:
    lines = [
        f"第 {row.n} 期（{day(row.due_on)}）{money(row.total_fen)}",
        f"   本金 {money(row.principal_fen)}",
        f"   利息 {money(row.interest_fen)}{_why_interest(row.interest_reason)}",
    ]
    if row.fee_fen:
        lines.append(f"   费用 {money(row.fee_fen)}")
    if row.penalty_fen:
        lines.append(f"   罚息 {money(row.penalty_fen)}（逾期本金按日计）")
    if row.waived_fen:
        lines.append(f"   已减免 {money(row.waived_fen)}")
    if row.paid_fen:
        lines.append(f"   已还 {money(row.paid_fen)}，还差 {money(row.outstanding_fen)}")
    return "\n".join(lines)


def _why_interest(reason: InterestReason) -> str:
    """Give the formula, as it comes to the amount; where none does, the reason."""
    if reason.sentence:
        return f"（{reason.sentence}）"
    return " = " + " + ".join(
        f"{reason.base} {money(piece.balance_fen)} × 年利率 {share(piece.rate_annual)}"
        f"{_time_of(reason, piece)}"
        for piece in reason.pieces
    )


def _time_of(reason: InterestReason, piece: Piece) -> str:
    if reason.months:
        return " ÷ 12" if reason.months == 1 else f" × {reason.months} ÷ 12"
    return f" × {piece.days} 天 ÷ {reason.year_days}"


def percent(loan: LoanView) -> str:
    """Write a loan's yearly rate."""
    return share(loan.rate_annual)


def share(rate_annual: Decimal) -> str:
    """Write a yearly rate, such as 21.6%."""
    return f"{(rate_annual * 100).normalize():f}%"


def repay(loans: Sequence[tuple[LoanView, Quote]], base_url: str) -> str:
    """Tell what to pay now for each loan, and where."""
    lines = ["现在可以还："]
    for number, (loan, quote) in enumerate(loans, 1):
        terms = "、".join(str(row.n) for row in quote.lines)
        lines.append(f"{number}. {title(loan)}第 {terms} 期 {money(quote.amount_fen)}")
        lines.append(f"   {repay_link(loan, base_url)}")
    lines.append("回复 4 看每一分钱怎么算。请只在本公众号内还款，勿向个人转账。")
    return "\n".join(lines)


def payoff(loans: Sequence[tuple[LoanView, SettlementQuote]], *, on: date, base_url: str) -> str:
    """Tell what ends each loan today, part by part, and where to pay it."""
    lines = [f"今天（{day(on)}）提前结清："]
    for number, (loan, quote) in enumerate(loans, 1):
        lines.append(f"{number}. {title(loan)}{money(quote.amount_fen)}")
        lines.append(f"   = {payoff_parts(loan, quote)}")
        if quote.saved_fen:
            lines.append(f"   比按期还少付 {money(quote.saved_fen)}")
        lines.append(f"   {link('点此提前结清', f'{base_url}/h5/repay/{loan.id}?for=settle')}")
    no_fee = "" if any(quote.fee_fen for _, quote in loans) else "，不收手续费"
    lines.append(f"金额当天有效{no_fee}。需要协助请回复“人工”。")
    return "\n".join(lines)


def payoff_parts(loan: LoanView, quote: SettlementQuote) -> str:
    """Name the parts of a settlement: what is due, the principal to come, the running interest."""
    parts = [f"未到期本金 {money(quote.later_principal_fen)}"]
    if quote.due_fen:
        parts.insert(0, f"应还未还 {money(quote.due_fen)}")
    if quote.cost_fen:
        parts.append(
            f"本期 {quote.cost_days} 天利息 {money(quote.cost_fen)}"
            f"（剩余本金 × 年利率 {percent(loan)} ÷ 360 × 天数，不超过整期）"
        )
    if quote.fee_fen:
        parts.append(f"提前结清手续费 {money(quote.fee_fen)}")
    said = " + ".join(parts)
    said += f" - 超出成本上限部分 {money(quote.credit_fen)}" if quote.credit_fen else ""
    said += f" − 减免 {money(quote.waived_fen)}" if quote.waived_fen else ""
    if quote.back_fen:
        said += f"；付清后另退还您 {money(quote.back_fen)}（超出成本上限部分，原路退回）"
    return said


def offer_title(offer: OfferView) -> str:
    """Say what is offered."""
    return str(_OFFERS.get(offer.kind, offer.kind))


def change(loan: LoanView, done: Preview, on: date) -> str:
    """Tell what a change did: what is owed before and after, and the next instalment."""
    lines = [f"{title(loan)}有变更：{CHANGES[done.kind]}，{day(on)}起。"]
    before, after = money(done.remaining_before_fen), money(done.remaining_after_fen)
    if done.extra_fen:
        more = "多" if done.extra_fen > 0 else "少"
        lines.append(f"剩余应还 {before} → {after}（{more} {money(abs(done.extra_fen))}）")
    else:
        lines.append(f"剩余应还 {after}，没有变化")
    if done.credit_after_fen > done.credit_before_fen:
        lines.append(f"应退还给您 {money(done.credit_after_fen)}")
    if loan.next is not None:
        lines.append(f"下一期 {day(loan.next.due_on)}，{money(loan.next.outstanding_fen)}")
    return "\n".join([*lines, "回复“我的分期”查看详情。如有疑问，请回复“人工”。"])


def change_links(loans: Sequence[LoanView], base_url: str) -> str:
    """Lead to the pages on which a borrower asks for more time or another day to pay."""
    links = [link(title(loan), f"{base_url}/h5/change/{loan.id}") for loan in loans]
    return "\n".join([_CHANGE, *links])


def offers(found: Sequence[OfferView], base_url: str) -> str:
    """Tell what is offered, until when, and where to read and decide."""
    lines = ["目前有这些方案，等您决定：" if len(found) > 1 else "目前有一个方案，等您决定："]
    for number, one in enumerate(found, 1):
        lines.append(f"{number}. {offer_title(one)}，有效期至 {day(one.valid_until)}")
        lines.append(f"   {_offered(one)}")
        lines.append(f"   {link('查看详情', f'{base_url}/h5/offers/{one.id}')}")
    lines.append("看清还款计划和费用后再确认；不需要也可以在页面上谢绝。")
    return "\n".join(lines)


def _offered(offer: OfferView) -> str:
    said = offer.details
    if offer.kind == "settlement":
        done = "已同意，" if offer.state == "accepted" else ""
        return f"{done}再付 {money(offer.left_fen)} 即结清，减免 {money(offer.waived_fen)}"
    if offer.kind == "line-raise":
        before, after = offer.preview["granted_before_fen"], said["granted_fen"]
        return f"额度从 {money(before)} 提高到 {money(after)}"
    if offer.kind == "next-part":
        fen = said["amount_fen"]
        return f"放款 {money(fen)}，{_dearer(offer, lent_fen=fen)}"
    if offer.kind == "extension":
        return f"增加 {said['extra_terms']} 期，{_dearer(offer)}"
    if offer.kind == "due-day":
        return f"改为每月 {said['due_day']} 日还款，{_dearer(offer)}"
    return f"年利率降到 {Decimal(said['rate_annual']) * 100:.2f}%，{_dearer(offer)}"


def _dearer(offer: OfferView, lent_fen: int = 0) -> str:
    """Say how much more is to be paid than what is lent by it."""
    shown = offer.preview
    extra = shown["remaining_after_fen"] - shown["remaining_before_fen"] - lent_fen
    return f"共{'多' if extra > 0 else '少'}付 {money(abs(extra))}" if extra else "不多付"


def freeze_title(freeze: FreezeInForce) -> str:
    """Say what is frozen."""
    return str(_FREEZES[freeze.what])


def frozen(found: Sequence[FreezeInForce], loans: Sequence[LoanView]) -> str:
    """Tell what is frozen for a borrower, and until when."""
    by_id = {loan.id: loan for loan in loans}
    lines = []
    for one in found:
        about = f"{title(by_id[one.loan_id])}：" if one.loan_id in by_id else ""
        until = f"至 {day(one.until)}（含当天）" if one.until else "没有截止日"
        lines.append(f"· {about}{freeze_title(one)}，{until}")
    return "\n".join(lines)


def last_payment(payment: PaymentView | None) -> str:
    """Tell which payment arrived last."""
    if payment is None:
        return (
            "还没有查到您的线上还款记录。刚付款的话，一般一分钟内到账，到账后会给您发回执。\n"
            "如已扣款仍未到账，回复“人工”。"
        )
    return (
        f"最近一笔还款 {money(payment.amount_fen)}，已于 {day(payment.value_date)}入账。\n"
        "如果不是这一笔，一般一分钟内到账，到账后会给您发回执；仍未到账请回复“人工”。"
    )


def complaint_taken(number: str, answer_by: date) -> str:
    """Acknowledge a complaint with its number."""
    return (
        f"很抱歉给您带来不便。您的投诉已登记，编号 {number}。\n"
        f"我们会在 {day(answer_by)}前答复您；处理期间不会再催收。\n"
        "想马上说明情况，请回复“人工”。"
    )


def complaint_known(number: str, answer_by: date) -> str:
    """Tell that what was said is added to a complaint that is open already."""
    return (
        f"您说的情况已补充到投诉（编号 {number}），我们会在 {day(answer_by)}前答复您；"
        "处理期间不会再催收。\n想马上说明情况，请回复“人工”。"
    )


def application(found: ApplicationDetail, reasons: Sequence[str]) -> str:
    """Tell where an application stands, what that rests on, and what its owner can do."""
    terms = f"{goods(found.merchandise)}，{money(found.amount_fen)}，分 {found.terms} 期"
    if found.state == ApplicationState.CANCELLED and HOLD_LAPSED in found.reasons:
        return f"{_LAPSED}\n{terms}"
    lines = [_APPLICATION[ApplicationState(found.state)], terms]
    if found.state == ApplicationState.DECLINED:
        lines += ["原因："] + [f"· {reason}" for reason in reasons or (NO_REASON,)]
    return "\n".join([*lines, *_next_step(found)])


def appealed(found: ApplicationDetail, due_at: datetime) -> str:
    """Tell that a person looks at an application, and by when they answer."""
    if found.state == ApplicationState.IN_REVIEW:
        return _APPEALED.format(by=moment(due_at))
    return _TERMS_ASKED.format(terms=_priced(found), by=moment(due_at))


def waits_until(due_at: datetime) -> str:
    """Tell by when a person answers."""
    return f"审核人员最晚 {moment(due_at)}告诉您结果。"


def why_terms(
    found: ApplicationDetail,
    reasons: Sequence[str],
    *,
    product: str,
    list_rate: Decimal,
    review: ReviewView | None,
) -> str:
    """Tell where the price and the amount of an approved application come from."""
    lines = [
        _priced(found),
        f"· {_why_price(found, product, list_rate)}",
        f"· 金额 {money(found.amount_fen)} 是这笔申请批准的金额，在您的可用额度之内",
    ]
    lines += [f"· {reason}" for reason in reasons]
    if review is None:
        lines.append(DECIDED_BY_PERSON if found.is_by_person else _TERMS_WHY)
    else:
        waits = review.waits_in(found.state)
        lines.append(waits_until(review.due_at) if waits else _TERMS_REVIEWED)
    return "\n".join(lines)


def _why_price(found: ApplicationDetail, product: str, list_rate: Decimal) -> str:
    rate = share(found.rate_annual)
    if found.rate_annual == list_rate:
        return f"年利率 {rate}是您申请时产品“{product}”公布的价格，不因人而异"
    return (
        f"年利率 {rate}是按您的申请资料和评估结果定的，"
        f"不高于您申请时产品“{product}”公布的 {share(list_rate)}"
    )


def reviewed(found: ApplicationDetail, *, was_fen: int, amount_fen: int, was_rate: Decimal) -> str:
    """Tell what a person made of approved terms."""
    better = []
    if amount_fen > was_fen:
        better.append(f"批准金额由 {money(was_fen)} 提高到 {money(amount_fen)}")
    if found.rate_annual < was_rate:
        better.append(f"年利率由 {share(was_rate)}降到 {share(found.rate_annual)}")
    made = "，".join(better or ["原来批准的条件维持不变"]) + "。"
    return f"审核人员已复核您的申请：{made}\n{_priced(found)}\n{_TERMS_LEFT}"


def moment(at: datetime) -> str:
    """Write a deadline as the assistant says it, such as 3月11日 10:00前."""
    there = at.astimezone(SHANGHAI)
    return f"{there.month}月{there.day}日 {there:%H:%M}前"


def _priced(found: ApplicationDetail) -> str:
    return (
        f"{goods(found.merchandise)}，{money(found.amount_fen)}，分 {found.terms} 期，"
        f"年利率 {share(found.rate_annual)}"
    )


def _next_step(found: ApplicationDetail) -> list[str]:
    if found.state == ApplicationState.DECLINED and found.is_by_person:
        return [DECIDED_BY_PERSON]
    told = _NEXT_STEP.get(ApplicationState(found.state))
    return [told] if told else []


def moved_away() -> str:
    """Tell a WeChat account that its customer bound another one."""
    return (
        "您的分期账户已绑定到另一个微信，本微信不再接收相关消息。如非本人操作，请立即回复“人工”。"
    )


def bound(name: str) -> str:
    """Greet somebody who has just bound their account."""
    return f"{masked_name(name)}，绑定成功！\n{MENU}"


def receipt_label(loan: LoanView) -> str:
    """Say in a receipt what was paid for and what comes next."""
    if loan.next is None:
        return f"{title(loan)}已全部还清，感谢您的信任"
    done = f"{title(loan)}已还 {loan.paid_terms}/{loan.terms} 期"
    if loan.next.days_past_due:
        return f"{done}，还有 {money(loan.overdue_fen)} 已过还款日"
    return f"{done}，下一期 {day(loan.next.due_on)}应还 {money(loan.next.outstanding_fen)}"


def masked_name(name: str) -> str:
    """Hide all of a name but its first and, if it has three signs or more, last sign."""
    if len(name) <= 2:  # noqa: PLR2004 -- a name of two signs keeps its first
        return name[:1] + "*"
    return name[0] + "*" * (len(name) - 2) + name[-1]
