"""Made-up borrowers: who they are, with whom they live, where they work.

Families and dormitories share an address and a wifi quite honestly; that is what link rules must
learn to bear. Nobody here exists.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

from kernel.identity import check_sign

_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程"
    "苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛"
)
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰文斌宇浩凯健俊鑫欣怡晨梓涵雨泽佳慧婷"
    "雪倩丹萍红梅春燕建国志海波晓东庆永康家豪思远若曦"
)
_CITIES = (
    "东莞市长安镇",
    "深圳市龙华区",
    "苏州市吴中区",
    "郑州市中牟县",
    "成都市郫都区",
    "重庆市璧山区",
)
_STREETS = ("富民路", "工业大道", "人民路", "科技一路", "兴业街", "创新路", "建设路", "和平街")
_FACTORIES = ("富昌电子厂", "宏业精密制造", "联达光电", "永盛服装厂", "新锐科技园", "佳能达物流园")
_EMPLOYERS = (
    *("顺达快递", "美味鲜餐饮", "便民超市", "安居装饰", "鑫源汽修", "众诚物业", "个体经营"),
    *_FACTORIES,
)
_FAMILY: Final = 0.08
_DORMITORY: Final = 0.03
_STUDENTS: Final = 0.01
# GB/T 2260 gives no province the number 99, and no mobile range begins with 100.
_UNASSIGNED_REGION = 990_000
_SERIALS_A_DAY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A made-up borrower; `wifi` and `device` are hashes as an application would carry them."""

    name: str
    phone: str
    id_number: str
    openid: str
    employer: str
    address: str
    wifi: str
    device: str
    is_student: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Home:
    """What people who live together share."""

    size: int
    address: str
    wifi: str
    surname: str | None = None
    employer: str | None = None


def people(random: Random, *, on: date) -> Iterator[Person]:
    """Make up people without end; no two share a phone, id number or openid."""
    serial = 0
    while True:
        home = _home(random)
        for _ in range(home.size):
            serial += 1
            yield _person(random, home, serial, on)


def _home(random: Random) -> _Home:
    city, street = random.choice(_CITIES), random.choice(_STREETS)
    at = f"{city}{street}{random.randint(1, 399)}号"
    kind = random.random()
    if kind < _DORMITORY:
        factory = random.choice(_FACTORIES)
        address = f"{at}{factory}宿舍{random.randint(1, 9)}栋"
        size = random.randint(4, 12)
        return _Home(size=size, address=address, wifi=_hash(address), employer=factory)
    address = f"{at}{random.randint(1, 32)}楼{random.randint(1, 8)}室"
    if kind < _DORMITORY + _FAMILY:
        surname = random.choice(_SURNAMES)
        return _Home(size=2, address=address, wifi=_hash(address), surname=surname)
    return _Home(size=1, address=address, wifi=_hash(f"{address}{random.random()}"))


def _person(random: Random, home: _Home, serial: int, on: date) -> Person:
    surname = home.surname or random.choice(_SURNAMES)
    given = "".join(random.choices(_GIVEN, k=random.choice((1, 2, 2))))
    born = on - timedelta(days=random.randint(19 * 366, 45 * 365))
    return Person(
        name=surname + given,
        phone=f"100{serial:08d}",
        id_number=_id_number(born, serial),
        openid=f"oDemo{random.getrandbits(92):023x}",
        employer=home.employer or random.choice(_EMPLOYERS),
        address=home.address,
        wifi=home.wifi,
        device=f"{random.getrandbits(64):016x}",
        is_student=random.random() < _STUDENTS,
    )


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:16]


def _id_number(born: date, serial: int) -> str:
    """Return 18 signs with a right check sign (GB 11643), of a region that does not exist."""
    region = _UNASSIGNED_REGION + serial // _SERIALS_A_DAY % 10_000
    body = f"{region}{born:%Y%m%d}{serial % _SERIALS_A_DAY:03d}"
    return body + check_sign(body)
