"""Why an event cannot happen to a loan: a word for programs, a sentence for whoever asked.

The sentence says what to do instead where there is something.
"""

from collections.abc import Mapping
from typing import Final

REASONS: Final[Mapping[str, str]] = {
    "no-amount": "金额须大于 0",
    "not-disbursed": "该分期尚未放款，不能办理",
    "not-running": "该分期已结清、已核销或已放弃债权，不能办理",
    "charged-off": "该分期已核销或债权已放弃，不能再加收费用",
    "written-off": "该分期债权已放弃，收到的钱只能登记核销后收回",
    "not-written-off": "收款日当天债权尚未放弃，收到的钱请按还款登记",
    "owed-no-more": "债权已放弃，不能恢复欠款；如系误操作，请先冲正“放弃债权”",
    "only-write-off": "债权已放弃，须先冲正“放弃债权”，才能冲正其他记录",
    "not-cancellable": "该分期债权已放弃或合同已取消，不能办理退货",
    "nothing-of-this": "没有可减免的欠款",
    "no-payment": "没有找到这笔还款，或已冲正、已被撤回",
    "beyond-payment": "撤回金额不能超过这笔还款尚未撤回的部分",
    "nothing-to-reverse": "没有可冲正的记录",
    "prepays-too-little": "金额须先还清应还款和截至当天的利息费用，其余才抵本金；请提高金额",
    "not-prepayable": "该分期已到期、已核销或已结束，不能提前还款；请按应还款归还",
    "ended-plan": "该分期已结清或已结束，没有可变更的还款计划",
    "nothing-to-come": "没有未到期的分期，不能办理",
    "not-late": "没有逾期未还的本金，不需要分摊",
    "plan-fixed": "该分期每期金额已固定，不能再变更",
    "due-order": "还款日须晚于上一期的还款日",
    "no-period": "期数须至少为 1 期",
    "past-plan": "首个还款日不能早于今天，期数须至少为 1 期",
    "beyond-undrawn": "超过还可放款的金额，或已过最晚放款日",
    "nothing-undrawn": "没有还可放的款项",
    "line-short": "额度不足或未占用这么多",
    "subsidy": "该分期没有这么多商户贴息可收付",
}
