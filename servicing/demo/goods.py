"""What made-up borrowers buy: phones mostly, in phone shops mostly."""

from dataclasses import dataclass
from random import Random

_SHOPS = (
    *("宏达手机卖场", "迪信达通讯", "金鹏数码城", "讯联手机行", "恒信通讯", "万佳数码"),
    *("星辰手机店", "飞跃通讯城", "百汇手机广场", "天翔数码"),
)
_GOODS = (
    *("Redmi Note 手机", "vivo Y 系列手机", "OPPO A 系列手机", "荣耀 X 系列手机"),
    *("华为畅享手机", "华为 nova 手机", "iPhone 手机", "平板电脑", "笔记本电脑"),
    *("电动自行车", "智能手表"),
)
_TERMS = (6, 9, 12, 12, 12, 18, 24)
_STEP_FEN = 100_00
_STEPS = (10, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What is paid in instalments, and where it was bought; amount in fen."""

    shop: str
    goods: str
    principal_fen: int
    terms: int


def purchase(random: Random) -> Purchase:
    """Make up a purchase: 1,000 to 10,000 yuan in steps of 100, over 6 to 24 months."""
    steps = round(random.lognormvariate(3.45, 0.45))
    return Purchase(
        shop=random.choice(_SHOPS),
        goods=random.choice(_GOODS),
        principal_fen=min(max(steps, _STEPS[0]), _STEPS[1]) * _STEP_FEN,
        terms=random.choice(_TERMS),
    )
