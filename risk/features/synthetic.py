"""A catalogue of any size for tests and measurements, before the real pool has grown.

The core catalogue comes first; behind it stand measures of made-up themes over usual windows.
"""

import itertools
from typing import Final

from risk.features.catalogue import Catalogue, Dimension, Kind, Store, Use, read_catalogue

SIZE: Final = 3_000

_THEMES: Final = {
    "digital": "数码",
    "travel": "出行",
    "food": "餐饮",
    "clothing": "服饰",
    "home": "家居",
    "health_goods": "健康用品",
    "books": "图书",
    "games": "游戏",
    "beauty": "美妆",
    "sports": "运动",
    "education": "教育",
    "phone_bill": "话费",
    "transfer": "转账",
    "repayment": "还款",
    "login": "登录",
    "application": "申请",
}
_MEASURES: Final = {
    "count": ("次数", "count"),
    "sum_fen": ("金额", "fen"),
    "average_fen": ("均额", "fen"),
    "max_fen": ("最大金额", "fen"),
    "merchants": ("商户数", "count"),
    "days_active": ("活跃天数", "days"),
    "share_at_night": ("夜间占比", "share"),
    "gap_min_minutes": ("最短间隔", "minutes"),
    "growth": ("环比", "share"),
    "refunds": ("退款次数", "count"),
    "refund_share": ("退款占比", "share"),
    "days_since_last": ("距今天数", "days"),
    "weekend_share": ("周末占比", "share"),
    "cities": ("城市数", "count"),
    "devices": ("设备数", "count"),
}
_WINDOWS: Final = ("1h", "24h", "3d", "7d", "14d", "30d", "60d", "90d", "180d", "6m", "12m", "24m")
_EXACT_EVERY: Final = 10


def synthetic_catalogue(size: int = SIZE) -> Catalogue:
    """Make a catalogue of `size` dimensions; every tenth made-up one is exact, the rest coarse.

    Raises:
        ValueError: `size` is less than the core's or more than can be made up.
    """
    core = read_catalogue()
    made = tuple(itertools.islice(_made_up(), max(0, size - len(core.dimensions))))
    dimensions = (*core.dimensions, *made)
    if len(dimensions) != size:
        raise ValueError(f"cannot make a catalogue of {size} dimensions")
    return Catalogue(version=core.version, dimensions=dimensions)


def _made_up() -> itertools.chain[Dimension]:
    grid = itertools.product(("", "peer_"), _THEMES, _MEASURES, _WINDOWS)
    return itertools.chain(_one(n, *cell) for n, cell in enumerate(grid))


def _one(n: int, who: str, theme: str, measure: str, window: str) -> Dimension:
    label, unit = _MEASURES[measure]
    return Dimension(
        name=f"{who}{theme}_{measure}_{window}",
        label=f"{'同群' if who else ''}{_THEMES[theme]}{label}（{window}）",
        kind=Kind.NUMBER,
        unit=unit,
        window=window,
        store=Store.COARSE if n % _EXACT_EVERY else Store.EXACT,
        source="own",
        legal_basis="PIPL art. 13(1)(2)",
        allowed_uses=frozenset({Use.CREDIT, Use.FRAUD, Use.MONITORING}),
        is_supporting=False,
        choices=(),
    )
