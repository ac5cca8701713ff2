"""Codes of contact in words for staff, each state with the colour of its badge.

Chinese here, English by translation; what a code means is decided where it is made.
"""

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _

Word = tuple[str, str]
"""What a badge says, and its colour."""

STATES: Final[Mapping[str, Word]] = {
    "ready": (_("待发送"), "azure"),
    "claimed": (_("准备发送"), "azure"),
    "sending": (_("发送中"), "azure"),
    "sent": (_("已发送"), "green"),
    "failed": (_("发送失败"), "red"),
    "unknown": (_("结果待查"), "orange"),
    "blocked": (_("未放行"), "orange"),
    "withdrawn": (_("已撤回"), "secondary"),
    "expired": (_("已过期"), "secondary"),
}
PURPOSES: Final[Mapping[str, str]] = {
    "answer": _("应答"),
    "statutory_notice": _("法定告知"),
    "service_reminder": _("账单提醒"),
    "collection": _("逾期催收"),
    "marketing": _("营销"),
}
CHANNELS: Final[Mapping[str, str]] = {
    "wechat_template": _("微信模板消息"),
    "wechat_message": _("微信客服消息"),
    "sms": _("短信"),
}
REASONS: Final[Mapping[str, str]] = {
    "no-rule": _("没有允许发送的规则"),
    "expired": _("已过有效时间"),
    "paid": _("已还款，不再需要"),
    "hold": _("停催中"),
    "address-retired": _("号码或微信已停用"),
    "no-consent": _("客户没有同意"),
    "barred": _("不得营销"),
    "silent-hours": _("静默时段"),
    "quota": _("已达频次上限"),
    "template": _("模板未生效"),
    "staff": _("人工确认"),
}
ADDRESSES: Final[Mapping[str, str]] = {"wechat": _("微信"), "phone": _("手机号")}
RETIRED: Final[Mapping[str, str]] = {
    "wrong_number": _("号码有误"),
    "unbound": _("已解绑"),
    "replaced": _("已更换"),
    "cancelled": _("已注销"),
}
DELIVERIES: Final[Mapping[str, Word]] = {
    "delivered": (_("已送达"), "green"),
    "failed": (_("未送达"), "red"),
}
STEPS: Final[Mapping[str, str]] = {
    "claim": _("领取"),
    "release": _("退回，稍后再发"),
    "allow": _("关口放行，开始发送"),
    "block": _("关口未放行"),
    "expire": _("过期"),
    "withdraw": _("撤回"),
    "accept": _("服务商已接收"),
    "refuse": _("服务商拒绝"),
    "retry": _("服务商没有收到，稍后再发"),
    "lose": _("没有得到答复，结果待查"),
    "delivered": _("已送达"),
    "failed": _("未送达"),
}
