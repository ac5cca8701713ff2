import math
from datetime import date, datetime
from decimal import Decimal

import pytest

from risk.features.catalogue import Kind
from risk.features.values import CLEAN, is_missing, shown

ODD = [None, math.nan, math.inf, -math.inf, 1e30, -(10**15), [], {}, Decimal(1), b"1"]
DAY = date(2026, 1, 31)


class TestClean:
    @pytest.mark.parametrize("kind", Kind)
    @pytest.mark.parametrize("odd", ODD, ids=repr)
    def test_an_odd_value_is_missing(self, kind: Kind, odd: object) -> None:
        assert is_missing(CLEAN[kind](odd))

    @pytest.mark.parametrize(
        ("kind", "raw"),
        [
            (Kind.NUMBER, "0.5"),
            (Kind.NUMBER, True),
            (Kind.TRUTH, "true"),
            (Kind.TRUTH, 2),
            (Kind.TRUTH, 0.5),
            (Kind.DAY, "2026-02-30"),
            (Kind.DAY, "20260131"),
            (Kind.DAY, "2026-W05-6"),
            (Kind.DAY, 0.0),
            (Kind.DAY, 1.5),
            (Kind.DAY, True),
            (Kind.DAY, datetime(2026, 1, 31, 12)),  # noqa: DTZ001 - it must not count as a day
            (Kind.TEXT, " "),
            (Kind.TEXT, ""),
            (Kind.TEXT, 5),
        ],
    )
    def test_a_value_of_another_kind_is_missing(self, kind: Kind, raw: object) -> None:
        assert is_missing(CLEAN[kind](raw))

    @pytest.mark.parametrize(
        ("kind", "raw", "value"),
        [
            (Kind.NUMBER, 5, 5.0),
            (Kind.NUMBER, -0.5, -0.5),
            (Kind.TRUTH, False, 0.0),
            (Kind.TRUTH, 1, 1.0),
            (Kind.DAY, DAY, float(DAY.toordinal())),
            (Kind.DAY, "2026-01-31", float(DAY.toordinal())),
            (Kind.DAY, float(DAY.toordinal()), float(DAY.toordinal())),
            (Kind.TEXT, "北京", "北京"),
        ],
    )
    def test_a_value_is_kept(self, kind: Kind, raw: object, value: object) -> None:
        assert CLEAN[kind](raw) == value


class TestShown:
    @pytest.mark.parametrize(
        ("kind", "value", "expected"),
        [
            (Kind.NUMBER, 0.5, 0.5),
            (Kind.NUMBER, math.nan, None),
            (Kind.TRUTH, 1.0, True),
            (Kind.DAY, float(DAY.toordinal()), "2026-01-31"),
            (Kind.TEXT, "北京", "北京"),
            (Kind.TEXT, None, None),
        ],
    )
    def test_is_what_people_read(self, kind: Kind, value: object, expected: object) -> None:
        assert shown(kind, value) == expected
