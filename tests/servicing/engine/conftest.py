"""Loans and events for the money engine, with legal defaults."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from servicing.engine import events
from servicing.engine.terms import Method, Terms

START = date(2026, 1, 31)


def _terms(**changes: Any) -> Terms:
    defaults: dict[str, Any] = {
        "principal_fen": 1_200_000,
        "start_on": START,
        "rate_annual": Decimal("0.18"),
        "terms": 12,
    }
    return Terms(**defaults | changes)


@pytest.fixture(scope="session")
def make_terms() -> Callable[..., Terms]:
    return _terms


@pytest.fixture(scope="session")
def draw() -> events.Disbursement:
    return events.Disbursement(id="draw", on=START, amount_fen=1_200_000)


@pytest.fixture(scope="session")
def terms() -> Terms:
    """Three instalments of 1,000 yuan each, and interest on what is left."""
    return _terms(principal_fen=300_000, terms=3, method=Method.EQUAL_PRINCIPAL)


@pytest.fixture(scope="session")
def drawn() -> events.Disbursement:
    return events.Disbursement(id="draw", on=START, amount_fen=300_000)
