"""What staff may see of a customer and do for them, and the roles that hold each right.

Auditors see all and change nothing. A collector reaches people by name and phone and has no use
for an id number.
"""

from typing import Final

from desk.ports import Role, Site

VIEW: Final = "servicing.customer.view"
PAYMENTS: Final = "servicing.customer.payments"
LEDGER: Final = "servicing.customer.ledger"
APPLICATIONS: Final = "servicing.customer.applications"
GROUNDS: Final = "servicing.customer.grounds"
CARE: Final = "servicing.customer.care"
COMPLAINT_TEXTS: Final = "servicing.complaint.read"
CONSENTS: Final = "servicing.customer.consents"

UNMASK_NAME: Final = "servicing.customer.unmask_name"
UNMASK_PHONE: Final = "servicing.customer.unmask_phone"
UNMASK_ID_NUMBER: Final = "servicing.customer.unmask_id_number"

PLACE_HOLD: Final = "servicing.hold.place"
LIFT_HOLD: Final = "servicing.hold.lift"
OPEN_COMPLAINT: Final = "servicing.complaint.open"
HANDLE_COMPLAINT: Final = "servicing.complaint.handle"
FREEZE_LINE: Final = "servicing.line.freeze"
PROPOSE_UNFREEZE: Final = "servicing.line.unfreeze.propose"
DECIDE_UNFREEZE: Final = "servicing.line.unfreeze.decide"
DOWNGRADE: Final = "servicing.loan.downgrade"
DECIDE_CLASS: Final = "servicing.loan.class.decide"
ACT_ON_LOAN: Final = "servicing.loan.act"
DECIDE_ON_LOAN: Final = "servicing.loan.decide"
TRANSFER: Final = "servicing.refund.transfer.propose"
DECIDE_TRANSFER: Final = "servicing.refund.transfer.decide"
MAKE_OFFER: Final = "servicing.offer.make"
DECIDE_OFFER: Final = "servicing.offer.decide"
CHANGE_LINE: Final = "servicing.line.change"
SUBMIT_APPLICATION: Final = "servicing.application.submit"

_CLERK, _COLLECTOR, _FINANCE, _AUDITOR = Role.CLERK, Role.COLLECTOR, Role.FINANCE, Role.AUDITOR
_ANALYST, _MANAGER = Role.RISK_ANALYST, Role.RISK_MANAGER
_ALL: Final = (_CLERK, _COLLECTOR, _ANALYST, _MANAGER, _FINANCE, _AUDITOR)

RIGHTS: Final[tuple[tuple[str, str, tuple[Role, ...]], ...]] = (
    (VIEW, "查看客户、额度与分期", _ALL),
    (PAYMENTS, "查看客户付款与退款", _ALL),
    (LEDGER, "查看客户账务分录", (_MANAGER, _FINANCE, _AUDITOR)),
    (APPLICATIONS, "查看客户申请", (_CLERK, _ANALYST, _MANAGER, _AUDITOR)),
    (GROUNDS, "查看机器决策依据", (_ANALYST, _MANAGER, _AUDITOR)),
    (CARE, "查看停催与投诉", (_CLERK, _COLLECTOR, _ANALYST, _MANAGER, _AUDITOR)),
    (COMPLAINT_TEXTS, "阅读投诉内容", (_CLERK, _MANAGER, _AUDITOR)),
    (CONSENTS, "查看客户授权", (_CLERK, _ANALYST, _MANAGER, _AUDITOR)),
    (UNMASK_NAME, "查看客户完整姓名", (_CLERK, _COLLECTOR, _MANAGER, _FINANCE)),
    (UNMASK_PHONE, "查看客户完整手机号", (_CLERK, _COLLECTOR, _MANAGER)),
    (UNMASK_ID_NUMBER, "查看客户完整证件号", (_CLERK, _MANAGER)),
    (PLACE_HOLD, "登记停催", (_CLERK, _COLLECTOR, _MANAGER)),
    (LIFT_HOLD, "解除停催", (_CLERK, _MANAGER)),
    (OPEN_COMPLAINT, "登记投诉", (_CLERK, _COLLECTOR, _MANAGER)),
    (HANDLE_COMPLAINT, "答复并结案投诉", (_CLERK, _MANAGER)),
    (FREEZE_LINE, "冻结客户额度", (_CLERK, _ANALYST, _MANAGER)),
    (PROPOSE_UNFREEZE, "申请解冻额度", (_CLERK, _ANALYST, _MANAGER)),
    (DECIDE_UNFREEZE, "审批解冻额度", (_MANAGER,)),
    (DOWNGRADE, "申请调整五级分类", (_MANAGER, _FINANCE)),
    (DECIDE_CLASS, "审批五级分类调整", (_MANAGER, _FINANCE)),
    (ACT_ON_LOAN, "办理或申请账务操作", (_CLERK, _COLLECTOR, _MANAGER, _FINANCE)),
    (DECIDE_ON_LOAN, "审批账务操作", (_MANAGER, _FINANCE)),
    (TRANSFER, "登记人工转账退款", (_FINANCE,)),
    (DECIDE_TRANSFER, "审批人工转账退款", (_MANAGER, _FINANCE)),
    (MAKE_OFFER, "向客户发出方案", (_CLERK, _COLLECTOR, _ANALYST, _MANAGER)),
    (DECIDE_OFFER, "审批客户方案", (_MANAGER,)),
    (CHANGE_LINE, "调整客户额度与有效期", (_ANALYST, _MANAGER)),
    (SUBMIT_APPLICATION, "为客户录入申请", (_CLERK,)),
)
"""Code, label, roles that hold it."""


def plug_in(site: Site) -> None:
    """Declare them on a site."""
    for code, label, roles in RIGHTS:
        site.permissions.declare(code, label, roles=roles)
