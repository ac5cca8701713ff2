"""What else happens to loans and lines: a borrower for each, told like a story and then played.

The loan of a scene comes with the former book; what the scene is about is done to it through the
operations that staff and borrowers use.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from servicing import operations, queries
from servicing.demo.judging import REVIEWER
from servicing.demo.stage import CHANNEL, Stage
from servicing.demo.stories import Chapter, Story
from servicing.engine.profile import Excess
from servicing.offering import OfferKind
from servicing.tables import Loan

_A_WEEK: Final = timedelta(days=7)
_A_YEAR: Final = timedelta(days=365)
_OTHER_DAYS: Final = (8, 18)

Play = Callable[[Stage, Loan], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A borrower whose loan came with the former book, and what happens to it."""

    story: Story
    play: Play


def _scene(note: str, due_in: int, paid: int, left: int, play: Play) -> Scene:
    chapter = Chapter(due_in=due_in, paid=paid, left=left)
    return Scene(story=Story(note=note, chapters=(chapter,)), play=play)


def play_scenes(stage: Stage, first_id: int, last_id: int) -> None:
    """Play the scenes whose borrowers are there; theirs are the ids from the first on."""
    for customer_id, scene in enumerate(SCENES, first_id):
        if customer_id <= last_id:
            scene.play(stage, stage.loan(customer_id))
    operations.lapse_offers(stage.session, on=stage.on, now=stage.now)


def _offered(kind: OfferKind, *, is_taken: bool, **details: Any) -> Play:
    def play(stage: Stage, loan: Loan) -> None:
        offer = stage.offer(kind, loan.id, **details)
        if is_taken:
            stage.accept(offer)

    return play


def _acted(act: str, **details: Any) -> Play:
    return lambda stage, loan: stage.act(loan, act, **details)


def _other_due_day(stage: Stage, loan: Loan) -> None:
    view = queries.loan_of(
        stage.session, loan_id=loan.id, customer_id=loan.customer_id, on=stage.on
    )
    is_early = view.plan[-1].due_on.day < _OTHER_DAYS[1]
    offer = stage.offer(OfferKind.DUE_DAY, loan.id, due_day=_OTHER_DAYS[is_early])
    stage.accept(offer)


def _prepays_a_part(stage: Stage, loan: Loan) -> None:
    operations.post_prepayment(
        stage.session,
        loan_id=loan.id,
        amount_fen=loan.principal_fen // 4,
        value_date=stage.on,
        key=f"demo/prepay/{loan.id}",
        now=stage.now,
        effect=Excess.REDUCE_INSTALMENT,
    )


def _declines_a_lower_rate(stage: Stage, loan: Loan) -> None:
    offer = stage.offer(OfferKind.RETENTION, loan.id, rate_annual="0.18")
    operations.decline_offer(
        stage.session,
        offer_id=offer.id,
        customer_id=loan.customer_id,
        channel=CHANNEL,
        reason="暂时不需要",
        now=stage.now,
    )


def _settlement(*, days: int = 0, share_paid: int = 0, is_taken: bool = True) -> Play:
    """Offer to settle for four fifths; a share in a hundred of that is paid on the same day."""

    def play(stage: Stage, loan: Loan) -> None:
        on = stage.on - timedelta(days=days)
        ends = queries.settlement_quote(
            stage.session, loan_id=loan.id, customer_id=loan.customer_id, on=on
        )
        sum_fen = ends.amount_fen * 4 // 5
        offer = stage.offer(OfferKind.SETTLEMENT, loan.id, days=days, sum_fen=sum_fen)
        if is_taken:
            stage.accept(offer, days=days)
        if share_paid:
            stage.pay(loan, sum_fen * share_paid // 100, days=days)

    return play


def _restructured(stage: Stage, loan: Loan) -> None:
    first_due_on = (stage.on + timedelta(days=30)).isoformat()
    stage.act(loan, "re-age", first_due_on=first_due_on, terms=12, interest=None)


def _charged_off_and_paid(stage: Stage, loan: Loan) -> None:
    stage.act(loan, "charge-off")
    stage.pay(loan, loan.principal_fen // 20)


def _given_up_and_recovered(stage: Stage, loan: Loan) -> None:
    stage.act(loan, "write-off")
    operations.recover(
        stage.session,
        loan_id=loan.id,
        amount_fen=loan.principal_fen // 10,
        on=stage.on,
        key=f"demo/recover/{loan.id}",
        actor=REVIEWER,
        now=stage.now,
    )


def _frozen(what: str, reason: str) -> Play:
    def play(stage: Stage, loan: Loan) -> None:
        last_on = (stage.on + timedelta(days=29)).isoformat()
        first_on = stage.on.isoformat()
        stage.act(loan, f"freeze-{what}", first_on=first_on, last_on=last_on, reason=reason)

    return play


def _goods_went_back(stage: Stage, loan: Loan) -> None:
    stage.act(loan, "cancel-purchase", amount_fen=loan.principal_fen, bears_cost=False)


def _paid_by_mistake(stage: Stage, loan: Loan) -> None:
    seq = stage.pay(loan, 30_000, days=1)
    operations.reverse(
        stage.session,
        loan_id=loan.id,
        seq=seq,
        on=stage.on,
        key=f"demo/reverse/{loan.id}",
        actor=REVIEWER,
        now=stage.now,
    )


def _judged_worse(stage: Stage, loan: Loan) -> None:
    operations.downgrade(
        stage.session,
        loan_id=loan.id,
        at_least="substandard",
        until_on=stage.on + timedelta(days=90),
        reason="失联，经营异常",
        by=REVIEWER,
        on=stage.on,
        now=stage.now,
    )


def _line_raised(stage: Stage, loan: Loan) -> None:
    line = stage.line(loan.customer_id)
    offer = stage.offer(OfferKind.LINE_RAISE, line.id, granted_fen=line.granted_fen + 300_000)
    stage.accept(offer)


def _line_cut_and_frozen(stage: Stage, loan: Loan) -> None:
    line = stage.line(loan.customer_id)
    operations.change_granted(
        stage.session,
        line_id=line.id,
        granted_fen=line.granted_fen - 100_000,
        actor=REVIEWER,
        now=stage.now,
    )
    operations.freeze_line(stage.session, line_id=line.id, reason="requested", now=stage.now)


def _complains(stage: Stage, loan: Loan) -> None:
    operations.open_complaint(
        stage.session,
        stage.cipher,
        customer_id=loan.customer_id,
        loan_id=loan.id,
        category="contact",
        channel="wechat",
        text="我已经说明月底发工资就还，请不要每天提醒。",
        opened_by=REVIEWER,
        now=stage.at(2),
    )


SCENES: Final = (
    _scene("已展期 3 期", 11, 3, 9, _offered(OfferKind.EXTENSION, is_taken=True, extra_terms=3)),
    _scene("已变更还款日", 9, 2, 10, _other_due_day),
    _scene("已提前还了一部分", 14, 4, 8, _prepays_a_part),
    _scene("已免 50 元利息", -18, 3, 6, _acted("waive", component="interest", amount_fen=5_000)),
    _scene("减免结清方案待确认", -66, 4, 8, _settlement(is_taken=False)),
    _scene("按减免方案结清", -72, 6, 6, _settlement(share_paid=100)),
    _scene("减免方案到期未还清", -97, 5, 7, _settlement(days=20, share_paid=30)),
    _scene("因灾暂停计息", -8, 3, 9, _frozen("interest", "disaster")),
    _scene("已重组", -48, 5, 7, _restructured),
    _scene("已核销，仍在还", -130, 4, 8, _charged_off_and_paid),
    _scene("已放弃追索，收回一部分", -260, 2, 10, _given_up_and_recovered),
    _scene("合同提前到期", -58, 4, 8, _acted("terminate")),
    _scene("已退货", 24, 0, 12, _goods_went_back),
    _scene("延期一期还款", 7, 5, 7, _acted("holiday", periods=1, bears_interest=True)),
    _scene("已降利率", 16, 3, 9, _offered(OfferKind.RETENTION, is_taken=True, rate_annual="0.15")),
    _scene("谢绝降利率", 21, 2, 10, _declines_a_lower_rate),
    _scene(
        "展期方案待确认", 13, 4, 8, _offered(OfferKind.EXTENSION, is_taken=False, extra_terms=2)
    ),
    _scene("误入账已冲正", 19, 3, 6, _paid_by_mistake),
    _scene("人工下调分类", -12, 3, 6, _judged_worse),
    _scene("已提额", 10, 7, 5, _line_raised),
    _scene("额度已调低并冻结", -25, 4, 5, _line_cut_and_frozen),
    _scene("投诉处理中", -35, 3, 9, _complains),
)
