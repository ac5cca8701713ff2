"""Made-up borrowers and what they bought."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰文斌宇浩凯健俊鑫欣怡晨梓涵雨泽佳慧婷雪倩丹萍红梅春燕建国志强海波晓东国庆永康家豪思远若曦"
_SHOPS = (
    "宏达手机卖场",
    "迪信通讯",
    "金鹏数码城",
    "讯联手机行",
    "恒信通讯",
    "万家数码",
    "星辰手机店",
    "飞跃通讯城",
)
_GOODS = (
    "Redmi Note 手机",
    "vivo Y 系列手机",
    "OPPO A 系列手机",
    "荣耀 X 系列手机",
    "华为畅享手机",
    "iPhone 手机",
    "平板电脑",
    "笔记本电脑",
    "电动自行车",
    "智能手表",
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_SIGNS = "10X98765432"
_UNASSIGNED_REGION = "990000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A made-up borrower."""

    name: str
    phone: str
    id_number: str
    openid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What is paid in instalments, and where it was bought; amount in fen."""

    shop: str
    goods: str
    principal_fen: int
    terms: int


def people(random: Random, *, on: date) -> Iterator[Person]:
    """Make up people without end; no two share a phone, id number or openid."""
    serial = 0
    while True:
        serial += 1
        name = random.choice(_SURNAMES) + "".join(
            random.choice(_GIVEN) for _ in range(random.choice((1, 2, 2)))
        )
        born = on - timedelta(days=random.randint(19 * 366, 45 * 365))
        yield Person(
            name=name,
            phone=f"100{serial:08d}",
            id_number=_id_number(born, serial),
            openid=f"oDemo{random.getrandbits(110):022x}"[:28],
        )


def purchase(random: Random) -> Purchase:
    """Make up a purchase: 1,000 to 10,000 yuan over 6 to 24 months."""
    return Purchase(
        shop=random.choice(_SHOPS),
        goods=random.choice(_GOODS),
        principal_fen=max(10, min(100, round(random.lognormvariate(3.45, 0.45)))) * 100_00,
        terms=random.choice((6, 9, 12, 12, 12, 15, 18, 24)),
    )


def _id_number(born: date, serial: int) -> str:
    body = f"{_UNASSIGNED_REGION}{born:%Y%m%d}{serial % 1000:03d}"
    total = sum(int(sign) * weight for sign, weight in zip(body, _WEIGHTS, strict=True))
    return body + _CHECK_SIGNS[total % 11]
