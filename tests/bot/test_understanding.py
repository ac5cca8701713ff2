from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.understanding import Intent, normalise, understand

TABLE = {
    Intent.CRISIS: (
        "我不想活了|再逼我就跳楼|信不信我死给你们看|逼死我你们就满意了|活着没意思|"
        "还不上我只能自杀了|没钱，活不下去了|I will kill myself"
    ),
    Intent.SERVICE: ("我想退货|手机坏了还要还吗|开个结清证明|额度多少|合同发我一份|逾期会上征信吗"),
    Intent.STOP_CONTACT: "别再打电话了|不要给我发短信|stop calling me",
    Intent.OTHERS: "我老公办的还多少|帮我查下13800138000的欠款|他的还欠多少",
    Intent.ABUSE: "傻逼|操你妈|你们去死吧",
    Intent.PROGRESS: (
        "我其他的还有多少|再查下我的分期|how much do I owe|"
        "嗯那个我想问一下我那个手机分期还差多少钱呀|"
        "我还差多少没还|我的分期|还剩几期|还欠多少钱|账单|"
        "１|還差多少|还了几期了|查一下我的借款|钱还完了没"
    ),
    Intent.NEXT_DUE: (
        "我这个月还多少|when is my next payment|"
        "下一期什么时候|几号还款|这个月要还多少|下个月还多少|还款日是哪天|2|最晚什么时候"
    ),
    Intent.REPAY: (
        "微信付不了款|pay now|三|余额不足怎么办|还款|我要还款|怎么还|在线还款|付款|3|"
        "还款链接发一下|在哪还钱"
    ),
    Intent.WHY_TERMS: "利率为什么是这个|为什么利率这么高|额度为什么这么低|怎么只批这么点",
    Intent.WHY_AMOUNT: (
        "怎么还这么多|逾期一天罚多少|"
        "为什么是这个金额|利息怎么算的|年利率多少|这期怎么这么多|费用明细|4|凭什么收这么多"
    ),
    Intent.PAYOFF: "提前还清要多少|一次性还完|我想提前结清|全部还清",
    Intent.PAID: (
        "我昨天就还了|刚还完怎么显示逾期|我已经还了为什么还催|我已经还了|还款成功了吗|"
        "刚刚还了怎么还显示没还|扣款失败|到账了没"
    ),
    Intent.PROMISE: "月底还|等我发工资|我明天还|15号还1000元|发工资就还|后天一定还",
    Intent.EXTENSION: (
        "还款日能改吗|这个月先还一半行吗|能不能晚几天还|可以延期吗|宽限几天|申请展期|过两天再还"
    ),
    Intent.HARDSHIP: "失业了|没钱还|还不起了|最近很困难|住院了没收入",
    Intent.APPEAL: "人工复核|申诉|我不服|我要求重新审核|能不能再审一次|换个人重新看看",
    Intent.STATUS: (
        "我的申请怎么样了|审核结果|为什么被拒|申请结果|审批通过了吗|审核要多久|批了吗|"
        "为什么拒绝我|怎么没通过|凭什么不批|我的申请进度|拒绝的原因是什么|人工审核好了吗"
    ),
    Intent.HUMAN: "I want to talk to a human|律师函|转人工|人工客服|找真人|5|电话多少",
    Intent.COMPLAINT: (
        "扣款扣了两次|你们天天打我家里人电话|催收员骂我|我要去银保监会|我要投诉|"
        "你们乱收费|打12378|再骚扰我就举报|高利贷"
    ),
    Intent.WRONG_NUMBER: "身份证被人冒用|打错了|我不认识他|不是本人|我没办过分期",
    Intent.BIND: "手机号换了收不到验证码|绑定手机号|怎么绑定|换手机了|登录",
    Intent.UNBIND: "解绑|取消绑定|解除绑定",
    Intent.MENU: "0|菜单|帮助|你能做什么",
    Intent.GREETING: "你好|您好！|在吗|hello|早上好",
    Intent.THANKS: "谢谢|好的|收到|OK",
    Intent.UNKNOWN: "跳楼价|找朋友借|[微笑]|天上有几朵云|asdf|🙂||明月几时有",
}
STABLE = {
    "progress",
    "next_due",
    "repay",
    "why_amount",
    "payoff",
    "bind",
    "unbind",
    "human",
    "complaint",
    "hardship",
    "extension",
    "greeting",
    "menu",
    "unknown",
}
CASES = [(text, intent) for intent, texts in TABLE.items() for text in texts.split("|")]


class TestUnderstand:
    @pytest.mark.parametrize(("text", "intent"), CASES)
    def test_takes_a_text_for_what_it_asks(self, text: str, intent: Intent) -> None:
        assert understand(text).intent is intent

    @pytest.mark.parametrize(
        ("text", "intent"),
        [
            ("我要投诉，为什么还款不到账", Intent.COMPLAINT),
            ("你好，我还欠多少", Intent.PROGRESS),
            ("没钱，能不能晚几天", Intent.HARDSHIP),
            ("解绑后还能还款吗", Intent.UNBIND),
            ("投诉没用，我不想活了", Intent.CRISIS),
        ],
    )
    def test_the_more_urgent_wins(self, text: str, intent: Intent) -> None:
        assert understand(text).intent is intent

    @pytest.mark.parametrize(
        ("text", "is_urgent"),
        [
            ("我要去跳河", True),
            ("打12378", True),
            ("找消协", True),
            ("我要投诉", False),
            ("人工", False),
        ],
    )
    def test_lives_and_supervisors_are_urgent(self, text: str, is_urgent: bool) -> None:
        assert understand(text).is_urgent is is_urgent

    def test_confidence_tells_commands_rules_and_guesses_apart(self) -> None:
        texts = ("1", "我的分期", "我想看看我的分期呢", "分期呢", "嘎嘎")
        assert [understand(text).confidence for text in texts] == [1.0, 1.0, 0.9, 0.6, 0.0]

    def test_names_are_stable(self) -> None:
        assert {intent.value for intent in Intent} >= STABLE

    @pytest.mark.parametrize(
        ("text", "slots"),
        [
            ("我明天还500块", {"amount": "500.00", "date": "2026-03-11"}),
            ("3月15号还1.2万元", {"amount": "12000.00", "date": "2026-03-15"}),
            ("下月5号还三千五百元", {"amount": "3500.00", "date": "2026-04-05"}),
            ("还剩12期", {"count": "12"}),
            ("2026-04-01还", {"date": "2026-04-01"}),
            ("31号还", {"date": "2026-03-31"}),
            ("2月31号还", {"date": "2月31号"}),
            ("一次性还清", {}),
            ("¥1,234.56", {"amount": "1234.56"}),
        ],
    )
    def test_reads_amounts_dates_and_counts(self, text: str, slots: dict[str, str]) -> None:
        assert understand(text, on=date(2026, 3, 10)).slots == slots

    def test_a_date_stays_as_said_without_a_day_to_count_from(self) -> None:
        assert understand("明天还").slots == {"date": "明天"}

    @given(st.text(max_size=600))
    def test_any_text_is_understood_somehow(self, text: str) -> None:
        found = understand(text, on=date(2026, 12, 31))
        assert found.intent in Intent
        assert 0 <= found.confidence <= 1

    def test_width_case_space_and_old_signs_do_not_matter(self) -> None:
        assert normalise("　我 的帳單 ＯＫ？！") == "我的账单ok"
