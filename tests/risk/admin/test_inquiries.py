"""An analyst says whom a product asks outside, by a form, and is told what would not work."""

from collections.abc import Callable, Mapping
from typing import Any

from fixed_prices import FixedPrices
from workplace import Seat

from risk.ports import ProductPrices

AT = "/admin/risk/strategies/house-credit"
LINES = {
    "name": ["identity", "bureau", "lists"],
    "step": ["1", "2", "2"],
    "timeout_s": ["4", "8", "3"],
    "attempts": ["2", "2", "1"],
    "fallback": ["review", "decline", "ignore"],
}

Draft = Callable[[], dict[str, Any]]


def save(office: Any, seat: Seat, base: int = 1, **changes: Any) -> Any:
    form = {"product": "standard", "whose": "own", "on": LINES["name"], **LINES, **changes}
    return office.save(seat, "/subsystems", base, **form).get_json()


def of_standard(document: Mapping[str, Any]) -> dict[str, Any]:
    return next(each for each in document["products"] if each["product"] == "standard")


class TestForm:
    def test_says_whom_a_product_asks(self, office: Any, analyst: Seat, draft: Draft) -> None:
        answer = save(office, analyst)
        assert (answer["version"], answer["problems"]) == (2, [])
        assert of_standard(draft())["subsystems"] == [
            {"name": name, "step": step, "timeout_s": wait, "attempts": times, "fallback": silence}
            for name, step, wait, times, silence in (
                ("identity", 1, 4, 2, "review"),
                ("bureau", 2, 8, 2, "decline"),
                ("lists", 2, 3, 1, "ignore"),
            )
        ]
        page = analyst.get(f"{AT}?product=standard").text
        assert "按此安排最长等待 48 秒，承诺在 300 秒内给出结果" in page
        changed = analyst.get(f"{AT}/changes").text
        assert "第 2 批 征信报告（8 秒 × 2 次，无应答：拒绝）" in changed
        assert "subsystems" not in next(
            each for each in draft()["products"] if each["product"] == "instalment"
        )

    def test_leaves_it_to_the_house_again(self, office: Any, analyst: Seat, draft: Draft) -> None:
        save(office, analyst)
        answer = save(office, analyst, 2, whose="house")
        assert answer["version"] == 3
        assert "subsystems" not in of_standard(draft())
        assert "系统默认：全部同时查询" in analyst.get(f"{AT}?product=standard").text

    def test_tells_what_is_read_and_never_answered(self, office: Any, analyst: Seat) -> None:
        (problem,) = save(office, analyst, on=["identity", "bureau"])["problems"]
        assert problem["message"] == (
            "“外部名单命中数”只由子系统“外部名单”提供，而产品“standard”没有启用它"
        )
        assert problem["url"] == f"{AT}?product=standard"

    def test_keeps_what_was_typed_wrong_at_its_place(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        answer = save(office, analyst, timeout_s=["", "600", "3"], step=["1", "1", "3"])
        found = {(each["path"], each["code"]) for each in answer["problems"]}
        assert found == {
            ("$.products[1].subsystems[0].timeout_s", "not-a-number"),
            ("$.products[1].subsystems[1].timeout_s", "out-of-range"),
        }
        assert of_standard(draft())["subsystems"][1]["timeout_s"] == 600
        page = analyst.get(f"{AT}?product=standard").text
        assert 'value="600"' in page
        assert "按此安排最长等待" not in page

    def test_a_copied_product_asks_just_the_same(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        save(office, analyst)
        office.save(analyst, "/products", 2, product="phone", like="standard")
        copied = draft()["products"][-1]
        assert copied == of_standard(draft()) | {"product": "phone"}
        office.save(analyst, "/subsystems", 3, product="phone", whose="house", **LINES)
        assert "subsystems" in of_standard(draft())


def test_a_price_outside_of_the_product_is_told_where_it_is_set(office: Any, analyst: Seat) -> None:
    office.house.runtime.provide(ProductPrices, FixedPrices())
    (problem,) = save(office, analyst)["problems"]
    assert problem["message"] == (
        "产品“instalment”的价格可能是 12.0000%，而它只能定在 15.0000%～21.6000%；"
        "公式请用取小、取大限定"
    )
    assert problem["url"] == f"{AT}/stages/price"
