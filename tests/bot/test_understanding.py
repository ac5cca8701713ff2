import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.understanding import Intent, understand


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("我的分期", Intent.PROGRESS),
        ("我还差多少没还", Intent.PROGRESS),
        ("还剩几期啊？", Intent.PROGRESS),
        ("一共还要还多少钱", Intent.PROGRESS),
        ("下一期什么时候", Intent.NEXT_DUE),
        ("这个月几号还款", Intent.NEXT_DUE),
        ("我要还款", Intent.REPAY),
        ("怎么还钱", Intent.REPAY),
        ("为什么要还这么多", Intent.WHY_AMOUNT),
        ("利息怎么算的", Intent.WHY_AMOUNT),
        ("转人工", Intent.HUMAN),
        ("找客服", Intent.HUMAN),
        ("我要投诉你们乱收费，不还款了", Intent.COMPLAINT),
        ("解绑", Intent.UNBIND),
        ("绑定手机号", Intent.BIND),
        ("你好", Intent.GREETING),
        ("菜单", Intent.MENU),
        ("１", Intent.PROGRESS),
        (" 0 ", Intent.MENU),
        ("今天天气不错", Intent.UNKNOWN),
        ("", Intent.UNKNOWN),
    ],
)
def test_takes_a_text_for_what_it_asks(text: str, intent: Intent) -> None:
    assert understand(text).intent is intent


@given(st.text(max_size=200))
def test_never_fails(text: str) -> None:
    assert 0 <= understand(text).confidence <= 1
