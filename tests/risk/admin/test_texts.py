"""What analysts type and read: values, cells, conditions and formulas, there and back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.admin.cells import cell_of, text_of
from risk.admin.conditions import for_builder, from_builder
from risk.admin.editing import EditNotReadable
from risk.admin.names import Field, Names
from risk.admin.values import kept, typed
from risk.features.catalogue import Kind, read_catalogue
from risk.features.synthetic import synthetic_catalogue

MONEY = Field(name="income_monthly_fen", label="月收入", kind=Kind.NUMBER, unit="fen")
NUMBER = Field(name="score", label="评分", kind=Kind.NUMBER)
TEXT = Field(name="band", label="等级", kind=Kind.TEXT)
DAY = Field(name="employed_on", label="入职日期", kind=Kind.DAY)
TRUTH = Field(name="is_student", label="在校学生", kind=Kind.TRUTH)

numbers = st.one_of(
    st.integers(-(10**12), 10**12),
    st.floats(-1e9, 1e9, allow_nan=False).filter(lambda value: not value.is_integer()),
)
signs = st.text(st.characters(categories=["Lu", "Nd"]), min_size=1, max_size=6)


@pytest.fixture
def names() -> Names:
    return Names(read_catalogue(), {"outputs": [{"name": "score", "kind": "number"}]})


class TestValues:
    @pytest.mark.parametrize(
        ("text", "field", "value"),
        [
            ("5,000", MONEY, 500_000),
            ("¥12.34", MONEY, 1_234),
            ("5%", NUMBER, 0.05),
            ("0.7", NUMBER, 0.7),
            ("1e30", NUMBER, 10**30),
            ("五千", MONEY, "五千"),
            ("nan", NUMBER, "nan"),
            ("是", TRUTH, True),
            ("也许", TRUTH, "也许"),
            (" 2026-12-01 ", DAY, "2026-12-01"),
        ],
    )
    def test_are_kept_as_meant_or_as_typed(self, text: str, field: Field, value: Any) -> None:
        assert kept(text, field) == value

    @given(numbers)
    def test_come_back_as_they_were(self, value: float) -> None:
        for field in (NUMBER, MONEY):
            assert kept(typed(value, field), field) == pytest.approx(value, rel=1e-15)


class TestCells:
    @pytest.mark.parametrize(
        ("text", "field", "cell"),
        [
            ("", NUMBER, None),
            ("不限", TEXT, None),
            ("≥18 <25", NUMBER, {"from": 18, "below": 25}),
            (">=18 且 <25", NUMBER, {"from": 18, "below": 25}),
            ("18~25", NUMBER, {"from": 18, "below": 25}),
            ("5000～8000", MONEY, {"from": 500_000, "below": 800_000}),
            ("＜3", NUMBER, {"below": 3}),
            ("≤3", NUMBER, {"is": "at_most", "value": 3}),
            (">60", NUMBER, {"is": "above", "value": 60}),
            ("2026-01-01~2026-02-01", DAY, {"from": "2026-01-01", "below": "2026-02-01"}),
            ("A、B", TEXT, ["A", "B"]),
            ("≠A", TEXT, {"is": "differs", "value": "A"}),
            ("≠A、B", TEXT, {"is": "none_of", "value": ["A", "B"]}),
            ("-5", NUMBER, -5),
            ("缺失", NUMBER, {"is": "missing"}),
            ("名单：own", TEXT, {"is": "in_list", "list": "own", "match": "exact"}),
            ("开头：DG", TEXT, {"is": "starts_with", "value": "DG"}),
            ("很多", NUMBER, "很多"),
            ("{坏", NUMBER, "{坏"),
        ],
    )
    def test_are_read_as_analysts_write_them(self, text: str, field: Field, cell: Any) -> None:
        assert cell_of(text, field) == cell

    cells = st.one_of(
        st.none(),
        numbers,
        st.lists(numbers, min_size=2, max_size=4),
        st.fixed_dictionaries({"from": numbers, "below": numbers}),
        numbers.map(lambda value: {"below": value}),
        st.sampled_from(["above", "at_most", "differs"]).flatmap(
            lambda word: numbers.map(lambda value: {"is": word, "value": value})
        ),
        st.sampled_from([{"is": "missing"}, {"is": "present"}]),
        st.just({"is": "above", "value": {"field": "line_fen"}}),
    )

    @given(cells)
    def test_of_numbers_come_back_as_they_were(self, cell: Any) -> None:
        assert cell_of(text_of(cell, NUMBER), NUMBER) == cell

    @given(st.lists(signs, min_size=1, max_size=3, unique=True))
    def test_of_texts_come_back_as_they_were(self, values: list[str]) -> None:
        one = values[0] if len(values) == 1 else values
        assert cell_of(text_of(one, TEXT), TEXT) == one
        none_of = {"is": "none_of", "value": [*values, "0"]}
        assert cell_of(text_of(none_of, TEXT), TEXT) == none_of


class TestConditions:
    @pytest.mark.parametrize(
        "condition",
        [
            {"field": "age_years", "is": "below", "value": 18},
            {"field": "income_monthly_fen", "is": "between", "value": [500_000, None]},
            {"field": "lender_type", "is": "one_of", "value": ["bank", "small_loan"]},
            {"field": "income_monthly_fen", "is": "below", "value": {"field": "requested_fen"}},
            {"field": "phone", "is": "in_list", "list": "own-blocked", "match": "fuzzy"},
            {"field": "is_student", "is": "equals", "value": True},
            {
                "any": [
                    {"field": "score", "is": "missing"},
                    {"not": {"field": "score", "is": "above", "value": 0.5}},
                    {
                        "not": {
                            "any": [
                                {"field": "score", "is": "above", "value": 1},
                                {"field": "age_years", "is": "present"},
                            ]
                        }
                    },
                ]
            },
        ],
    )
    def test_come_back_from_the_builder_as_they_were(self, names: Names, condition: Any) -> None:
        assert from_builder(for_builder(condition, names), names) == condition

    @pytest.mark.parametrize("tree", [[], "x", {"join": "xor", "parts": []}, {"join": "all"}])
    def test_that_are_none_are_refused(self, names: Names, tree: Any) -> None:
        with pytest.raises(EditNotReadable):
            from_builder(tree, names)

    def test_that_are_endless_are_refused(self, names: Names) -> None:
        tree: dict[str, Any] = {"join": "all", "parts": []}
        for _ in range(30):
            tree = {"join": "any", "parts": [tree]}
        with pytest.raises(EditNotReadable):
            from_builder(tree, names)


class TestSearch:
    def test_finds_by_label_name_window_unit_and_basis(self, workplace: Any) -> None:
        with workplace.app.test_request_context():
            names = Names(synthetic_catalogue(), {"use": "credit"})
            for text, wanted in (
                ("近30天征信", "bureau_queries_30d"),
                ("bureau_sc", "bureau_score"),
                ("月收入 元", "income_monthly_fen"),
                ("art. 29", "face_similarity"),
            ):
                assert names.search(text).fields[0].name == wanted

    def test_offers_nothing_that_credit_may_not_use(self, workplace: Any) -> None:
        catalogue = synthetic_catalogue()
        with workplace.app.test_request_context():
            found = Names(catalogue, {"use": "marketing"}).search("年龄")
            assert (found.fields, found.withheld) == ((), 1)
            every = Names(catalogue, {"use": "credit"}).search("")
        offered = {field.name for field in every.fields}
        assert all("credit" in catalogue.by_name[name].allowed_uses for name in offered)
        assert every.total + every.withheld == len(catalogue.dimensions)
