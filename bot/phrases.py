"""Everything that the assistant says, in one place, so that one person can review it."""

from collections.abc import Sequence

from kernel.money import yuan
from servicing.queries import InstalmentView, LoanView, Quote

MENU = """回复数字即可：
1. 我的分期
2. 下一期
3. 在线还款
4. 金额怎么算
5. 人工服务
回复 0 随时返回菜单"""
WELCOME = "您好，我是分期小助手，可以帮您查分期和还款。\n" + MENU
FALLBACK = "没太明白您的意思。" + MENU
NO_LOANS = "您名下目前没有分期。如有疑问，回复“人工”联系客服。"
ALL_SETTLED = "您的分期已全部还清，感谢您的信任！"
UNREADABLE = "暂时只看得懂文字消息。" + MENU
UNBOUND = "已为您解除绑定，之后将不再通过本微信查询您的分期。"
NOT_BOUND = "您的微信还没有绑定，无需解绑。"
BIND_FIRST = "您的微信还没有绑定，暂时查不到分期。回复“人工”，客服会协助您验证身份。"
COMPLAINT = "很抱歉给您带来不便，正在为您转接人工客服。"


def repay_link(loan: LoanView, base_url: str) -> str:
    """Lead to the page that pays a loan."""
    return f'<a href="{base_url}/h5/repay/{loan.id}">点此还款</a>'


def money(fen: int) -> str:
    """Write an amount as the assistant says it."""
    return f"¥{yuan(fen)}元"


def progress(name: str, loans: Sequence[LoanView]) -> str:
    """Tell how far each loan is paid and what is still to pay, with the reason."""
    total = sum(loan.remaining_fen for loan in loans)
    parts = [f"{masked_name(name)}，您还需还 {money(total)}："]
    parts += [f"{number}. {_progress_of(loan)}" for number, loan in enumerate(loans, 1)]
    return "\n".join(parts)


def _progress_of(loan: LoanView) -> str:
    interest = loan.remaining_fen - loan.outstanding_principal_fen
    lines = [
        f"{loan.merchandise}（尾号{loan.loan_no[-4:]}）",
        f"   已还 {loan.paid_terms}/{loan.terms} 期，还差 {money(loan.remaining_fen)}",
        f"   = 本金 {money(loan.outstanding_principal_fen)} + 利息 {money(interest)}",
    ]
    if loan.overdue_fen:
        lines.append(f"   已过还款日 {loan.days_past_due} 天，待还 {money(loan.overdue_fen)}")
    if loan.next is not None and not loan.overdue_fen:
        lines.append(f"   下一期 {loan.next.due_on:%Y-%m-%d} 还 {money(loan.next.outstanding_fen)}")
    return "\n".join(lines)


def next_due(loans: Sequence[LoanView]) -> str:
    """Tell the next instalment of each loan."""
    return "\n".join(
        f"{number}. {loan.merchandise}：第 {loan.next.n} 期，{loan.next.due_on:%Y-%m-%d} "
        f"应还 {money(loan.next.outstanding_fen)}"
        for number, loan in enumerate(loans, 1)
        if loan.next is not None
    )


def why_amount(loan: LoanView, quote: Quote) -> str:
    """Give the reason for every fen of a quote."""
    lines = [f"{loan.merchandise}现在应还 {money(quote.amount_fen)}，由以下几项组成："]
    lines += [_reason(loan, row) for row in quote.lines]
    return "\n".join(lines)


def _reason(loan: LoanView, row: InstalmentView) -> str:
    rate = f"{loan.rate_annual * 100:.2f}".rstrip("0").rstrip(".")
    base = f"剩余本金 {money(row.balance_before_fen)}"
    lines = [
        f"第 {row.n} 期（{row.due_on:%Y-%m-%d}）{money(row.total_fen)}",
        f"   本金 {money(row.principal_fen)}",
        f"   利息 {money(row.interest_fen)} = {base} × 年利率 {rate}% ÷ 12",
    ]
    if row.paid_fen:
        lines.append(f"   已还 {money(row.paid_fen)}，还差 {money(row.outstanding_fen)}")
    return "\n".join(lines)


def masked_name(name: str) -> str:
    """Hide all of a name but its first and, if it has three signs or more, last sign."""
    if len(name) <= 2:  # noqa: PLR2004 -- a name of two signs keeps its first
        return name[:1] + "*"
    return name[0] + "*" * (len(name) - 2) + name[-1]
