"""What staff may see of strategies and decisions, and do to them, and who holds each right.

Whoever writes a strategy cannot put it in force: that is another person's, and desk sees to it.
"""

from typing import Final

from desk.ports import Role, Site

VIEW: Final = "risk.strategy.view"
EDIT: Final = "risk.strategy.edit"
TRY: Final = "risk.strategy.try"
PROPOSE: Final = "risk.strategy.propose"
PUBLISH: Final = "risk.strategy.publish"
ROLL_BACK: Final = "risk.strategy.roll_back"
DECISIONS: Final = "risk.decision.view"
REPLAY: Final = "risk.decision.replay"
LISTS: Final = "risk.list.view"
EDIT_LISTS: Final = "risk.list.edit"
DECIDE_LISTS: Final = "risk.list.decide"
UNMASK: Final = "risk.decision.unmask"

_ANALYST, _MANAGER, _AUDITOR = Role.RISK_ANALYST, Role.RISK_MANAGER, Role.AUDITOR

RIGHTS: Final[tuple[tuple[str, str, tuple[Role, ...]], ...]] = (
    (VIEW, "查看风险策略", (_ANALYST, _MANAGER, _AUDITOR)),
    (EDIT, "编辑策略草稿", (_ANALYST, _MANAGER)),
    (TRY, "试算策略草稿", (_ANALYST, _MANAGER)),
    (PROPOSE, "提交策略发布", (_ANALYST, _MANAGER)),
    (PUBLISH, "审批策略发布", (_MANAGER,)),
    (ROLL_BACK, "回滚策略", (_MANAGER,)),
    (DECISIONS, "查看决策记录", (_ANALYST, _MANAGER, _AUDITOR)),
    (REPLAY, "重放决策", (_ANALYST, _MANAGER, _AUDITOR)),
    (LISTS, "查看名单", (_ANALYST, _MANAGER, _AUDITOR)),
    (EDIT_LISTS, "维护名单", (_ANALYST, _MANAGER)),
    (DECIDE_LISTS, "审批名单条目", (_MANAGER,)),
    (UNMASK, "查看决策中的完整文本", (_MANAGER,)),
)
"""Code, label, roles that hold it."""


def plug_in(site: Site) -> None:
    """Declare them on a site."""
    for code, label, roles in RIGHTS:
        site.permissions.declare(code, label, roles=roles)
