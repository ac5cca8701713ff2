"""What steps and their days are called: one word for each, whichever of its names a case uses."""

from datetime import date
from typing import Final

from cli.money_cases.reading import Json, NotCovered, day, first_of, letters

# Each step with its other names; spelling, and words such as `create` before it, say nothing.
_NAMES: Final = {
    "accrue": ("accrual", "accrue interest"),
    "approve": ("approval",),
    "business_date": ("set business date",),
    "close": ("request closure", "closure request", "loan closure request"),
    "charge": ("fee", "loan charge", "due date charge"),
    "charge_off": (),
    "chargeback": (),
    "credit_balance_refund": ("cbr",),
    "delinquency_pause": ("pause delinquency",),
    "delinquency_resume": ("resume delinquency",),
    "disburse": ("disbursement", "disbursal", "drawdown"),
    "first_due": ("first due date", "repayment start"),
    "interest_payment_waiver": (),
    "interest_pause": (
        "pause interest",
        "interest freeze",
        "freeze interest",
        "freeze",
        "freeze account",
    ),
    "merchant_issued_refund": ("merchant refund",),
    "re_age": ("re aging", "re ageing"),
    "re_amortize": ("re amortise", "re amortization", "re amortisation"),
    "recovery": ("recover", "recovery payment", "recovery repayment"),
    "repay": ("repayment", "payment", "pay"),
    "reschedule": ("loan reschedule", "restructure"),
    "run_cob": ("cob", "inline cob", "run inline cob", "close of business", "close day"),
    "submit": ("submission", "application"),
    "terminate_contract": ("contract termination", "terminate", "termination"),
    "undo": ("undo transaction", "undo repayment", "reverse", "reversal", "cancel"),
    "undo_contract_termination": ("undo terminate contract", "undo termination"),
    "undo_disbursal": ("undo disbursement",),
    "undo_re_age": ("undo re aging",),
    "undo_re_amortize": ("undo re amortise", "undo re amortization"),
    "undo_waive_charge": ("undo charge waiver", "undo waiver"),
    "waive_charge": ("charge waiver",),
    "waive_interest": ("interest waiver",),
    "write_off": (),
}
_MAKING: Final = ("add", "create", "make", "apply")
_STEPS: Final = {letters(said): step for step, others in _NAMES.items() for said in (step, *others)}
_FIRST: Final = ("start", "start_date", "from", "from_date", "first_on", "date")
_LAST: Final = ("end", "end_date", "to", "to_date", "until", "last_on")


def op_of(step: Json) -> str:
    """Return which step of our list one is, or the word it uses if it is none of them."""
    said = letters(step["op"])
    for making in ("", *_MAKING):
        if said.startswith(making) and said[len(making) :] in _STEPS:
            return _STEPS[said[len(making) :]]
    return str(step["op"])


def span_of(step: Json) -> tuple[date, date | None]:
    """Read from when to when something holds; the last day may be open."""
    first, last = first_of(step, *_FIRST), first_of(step, *_LAST)
    if first is None:
        raise NotCovered(f"from when {step['op']} holds")
    return day(first), day(last) if last else None
