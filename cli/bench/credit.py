"""A made-up credit world for benches: 3,000 dimensions, thirty rules, a card, 200 trees, subjects.

Everything is drawn from one seed. It measures nothing itself.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from risk.features.catalogue import Catalogue, Kind, Store, Use
from risk.features.synthetic import synthetic_catalogue
from risk.models.trees import LEAF, BoostedTrees, Link, Tree
from risk.strategy.statutory import with_statutory

PRODUCT: Final = "instalment"
MODEL: Final = "bench-trees"
LINK_KINDS: Final = ("device", "phone", "wifi", "address", "card", "ip", "employer", "contact")

_RULES: Final = 30
_TREES: Final = 200
_DEPTH: Final = 5
_FEATURES: Final = 100
_CHARACTERISTICS: Final = 12
_MISSING_SHARE: Final = 0.1
_EVEN: Final = 0.5
_APPROVING: Final = {
    "age_years": 30,
    "is_student": 0.0,
    "exposure_fen": 1_000_000.0,
    "income_monthly_fen": 800_000.0,
    "debt_service_monthly_fen": 120_000.0,
    "bureau_score": 690.0,
}


class CreditWorld:
    """What is decided on, and by what.

    Attributes:
        rule_fields: Exact dimensions that the rules compare; values lie between 0 and 1.
        model_fields: What the trees read.
    """

    def __init__(self, *, seed: int = 1) -> None:
        self._chance: Final = random.Random(seed)  # noqa: S311 -- no secret
        self.catalogue: Final[Catalogue] = synthetic_catalogue()
        numbers = [
            each
            for each in self.catalogue.dimensions[len(_core()) :]
            if each.kind is Kind.NUMBER and Use.CREDIT in each.allowed_uses
        ]
        exact = [each.name for each in numbers if each.store is Store.EXACT]
        coarse = [each.name for each in numbers if each.store is Store.COARSE]
        self.rule_fields: Final = tuple(self._chance.sample(exact, 40))
        self.model_fields: Final = tuple(self._chance.sample(coarse, _FEATURES))

    def strategy(self) -> dict[str, Any]:
        """Write a strategy of thirty rules, the statutory ones among them."""
        document = with_statutory(self._own_strategy(0))
        statutory = len(document["stages"][0]["rules"])
        return with_statutory(self._own_strategy(_RULES - statutory))

    def own_rules(self, rules: int) -> dict[str, Any]:
        """Write a strategy of rules alone: no statutory ones, no card, no model."""
        document = self._own_strategy(rules)
        adult = {"field": "age_years", "is": "at_least", "value": 18}
        final = {"id": "final.approve", "when": adult, "missing": "review"}
        document["stages"] = [
            document["stages"][0],
            _ending()[1] | {"rules": [final]},
        ]
        document["products"] = [{"product": PRODUCT, "stages": ["own", "final"]}]
        return document

    def model(self) -> BoostedTrees:
        """Draw 200 trees of 32 leaves over 100 features."""
        return BoostedTrees(
            features=self.model_fields,
            baseline=-2.0,
            trees=tuple(self._tree() for _ in range(_TREES)),
            link=Link.LOGISTIC,
            missing_at_most=50,
        )

    def values(self) -> dict[str, float]:
        """Draw one subject's vector, one value in ten missing."""
        chance = self._chance
        drawn = {
            each.name: chance.random()
            for each in self.catalogue.dimensions
            if each.store in {Store.EXACT, Store.COARSE}
            and each.kind is Kind.NUMBER
            and chance.random() > _MISSING_SHARE
        }
        return drawn | {name: chance.random() for name in self.rule_fields} | _APPROVING

    def _own_strategy(self, rules: int) -> dict[str, Any]:
        return {
            "id": "bench-credit",
            "title": "基准测试策略",
            "use": "credit",
            "catalogue": self.catalogue.version,
            "effective_from": "2026-01-01",
            "required": [{"field": "age_years", "missing": "review"}],
            "reasons": [
                {"code": "odd", "internal": "指标异常", "customer": "您的申请需要人工核实。"},
                {"code": "score-low", "internal": "评分偏低", "customer": "暂时不能提供这项服务。"},
            ],
            "outputs": [
                {"name": "score", "kind": "number"},
                {"name": "probability", "kind": "number"},
                {"name": "line_fen", "kind": "number"},
            ],
            "stages": [*self._stages(max(rules, 1)), *_ending()],
            "products": [{"product": PRODUCT, "stages": ["own", "card", "trees", "line", "final"]}],
        }

    def _stages(self, rules: int) -> list[dict[str, Any]]:
        fields = self.rule_fields
        return [
            {
                "id": "own",
                "kind": "rules",
                "rules": [_rule(n, fields[n], fields[-n - 1]) for n in range(rules)],
            },
            {
                "id": "card",
                "kind": "card",
                "base": 500,
                "characteristics": [
                    {"field": name, "bins": _bins(), "missing": 0}
                    for name in fields[:_CHARACTERISTICS]
                ],
                "missing_at_most": 6,
                "output": "score",
                "missing": "review",
            },
            {
                "id": "trees",
                "kind": "model",
                "model": MODEL,
                "output": "probability",
                "missing": "review",
            },
        ]

    def _tree(self) -> Tree:
        inner, leaves = 2**_DEPTH - 1, 2**_DEPTH
        chance, every = self._chance, inner + leaves
        is_leaf = [n >= inner for n in range(every)]
        return Tree(
            feature=tuple(LEAF if leaf else chance.randrange(_FEATURES) for leaf in is_leaf),
            threshold=tuple(0.0 if leaf else chance.random() for leaf in is_leaf),
            left=tuple(0 if leaf else 2 * n + 1 for n, leaf in enumerate(is_leaf)),
            right=tuple(0 if leaf else 2 * n + 2 for n, leaf in enumerate(is_leaf)),
            missing_left=tuple(chance.random() < _EVEN for _ in is_leaf),
            value=tuple(chance.uniform(-0.05, 0.05) if leaf else 0.0 for leaf in is_leaf),
        )


def application(chance: random.Random) -> Mapping[str, Any]:
    """Draw what an applicant states, about as much as twenty fields."""
    return {
        "requested_fen": chance.randrange(100_000, 900_000, 1_000),
        "requested_terms": 12,
        "lender_type": "consumer_finance",
        "is_identity_verified": True,
        "identity_key": f"{chance.getrandbits(128):032x}",
        "employer_name": "宏达电子有限公司",
        "city": "东莞",
        "phone": f"139{chance.randrange(10**8):08d}",
        "ip": "10.1.2.3",
        "device_id": f"{chance.getrandbits(64):016x}",
        "is_emulator": False,
        "face_similarity": 0.93,
        "device_customers_7d": 1,
        "merchant_name": "宏达手机卖场",
    }


def links(chance: random.Random, values: int) -> dict[str, str]:
    """Draw eight shared values out of a pool of each kind."""
    return {kind: f"{kind}{chance.randrange(values)}" for kind in LINK_KINDS}


def _core() -> Sequence[object]:
    from risk.features.catalogue import read_catalogue  # noqa: PLC0415 -- only here

    return read_catalogue().dimensions


def _rule(n: int, first: str, second: str) -> dict[str, Any]:
    """Write one rule of two comparisons; about one subject in a hundred meets it."""
    return {
        "id": f"own.r{n}",
        "title": f"规则{n}",
        "when": {
            "all": [
                {"field": first, "is": "above", "value": 0.9},
                {"field": second, "is": "below", "value": 0.1},
            ]
        },
        "outcome": "review",
        "reason": "odd",
        "missing": "review",
    }


def _bins() -> list[dict[str, Any]]:
    edges = [{"below": edge / 10, "points": edge - 5} for edge in range(1, 8)]
    return [*edges, {"points": 6}]


def _ending() -> list[dict[str, Any]]:
    return [
        {
            "id": "line",
            "kind": "compute",
            "set": [
                {
                    "output": "line_fen",
                    "value": {"least": [{"multiply": ["income_monthly_fen", 2]}, "requested_fen"]},
                }
            ],
            "missing": "review",
        },
        {
            "id": "final",
            "kind": "final",
            "rules": [
                {
                    "id": "final.approve",
                    "when": {
                        "all": [
                            {"field": "score", "is": "at_least", "value": 480},
                            {"field": "probability", "is": "below", "value": 0.5},
                            {"field": "line_fen", "is": "above", "value": 0},
                        ]
                    },
                    "missing": "review",
                }
            ],
            "otherwise": {"outcome": "decline", "reason": "score-low"},
        },
    ]
