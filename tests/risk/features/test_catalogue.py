import math

import pytest

from risk.features.catalogue import (
    COLUMNS,
    CatalogueInvalid,
    Store,
    Use,
    parse_catalogue,
    read_catalogue,
    written,
)
from risk.features.synthetic import synthetic_catalogue

HEAD = ["# version 2026.11", ",".join(COLUMNS)]
AGE = "age_years,年龄,number,years,,exact,application,PIPL art. 13(1)(2),credit fraud,no,"


def refused(*lines: str) -> list[str]:
    with pytest.raises(CatalogueInvalid) as caught:
        parse_catalogue(lines)
    return list(caught.value.extras["problems"])


class TestReading:
    def test_reads_the_core_catalogue(self) -> None:
        catalogue = read_catalogue()
        age = catalogue.by_name["age_years"]
        assert (age.label, age.unit, age.store) == ("年龄", "years", Store.EXACT)
        assert catalogue.by_name["lender_type"].choices == (
            "bank",
            "consumer_finance",
            "small_loan",
        )

    def test_reads_the_range_of_a_number(self) -> None:
        by_name = read_catalogue().by_name
        assert by_name["age_years"].bounds == (0, 120)
        assert by_name["requested_fen"].bounds == (0, math.inf)
        assert by_name["bureau_score"].bounds is None
        assert by_name["face_similarity"].bounds == (0, 1)
        assert by_name["face_similarity"].choices == ()

    @pytest.mark.parametrize("wrong", ["1..0", "..", "0-1", "a..b", "0..1..2", "0"])
    def test_refuses_a_range_that_is_none(self, wrong: str) -> None:
        said = [f"line 3: choices '{wrong}' are no range like 0..1, 0.. or ..9"]
        assert refused(*HEAD, f"{AGE}{wrong}") == said

    def test_skips_blank_lines_and_remarks(self) -> None:
        assert len(parse_catalogue([*HEAD, "", "# people", AGE]).dimensions) == 1

    def test_a_catalogue_written_and_read_again_is_the_same(self) -> None:
        catalogue = synthetic_catalogue(200)
        again = parse_catalogue(written(catalogue))
        assert again == catalogue
        assert again.digest == catalogue.digest

    def test_quotes_labels_with_commas(self) -> None:
        lines = [*HEAD, AGE.replace("年龄", '"年龄, ""周岁"""')]
        catalogue = parse_catalogue(lines)
        assert catalogue.by_name["age_years"].label == '年龄, "周岁"'
        assert parse_catalogue(written(catalogue)) == catalogue

    def test_spacing_does_not_change_the_digest_but_words_do(self) -> None:
        plain = parse_catalogue([*HEAD, AGE])
        assert parse_catalogue([*HEAD, "", AGE.replace(",", " , ")]).digest == plain.digest
        assert parse_catalogue([*HEAD, AGE.replace("exact", "coarse")]).digest != plain.digest

    def test_the_synthetic_catalogue_has_three_thousand_dimensions(self) -> None:
        catalogue = synthetic_catalogue()
        assert len(catalogue.by_name) == 3000
        assert parse_catalogue(written(catalogue)) == catalogue

    @pytest.mark.parametrize("size", [3, 99_999])
    def test_the_synthetic_catalogue_has_bounds(self, size: int) -> None:
        with pytest.raises(ValueError, match="cannot make"):
            synthetic_catalogue(size)


class TestMistakes:
    @pytest.mark.parametrize(
        ("old", "new", "problem"),
        [
            ("age_years", "Age", "name 'Age' is not lower-case words joined by underscores"),
            ("年龄", "", "label is empty"),
            ("PIPL art. 13(1)(2)", "", "legal_basis is empty"),
            ("number", "numeral", "kind 'numeral' is none of number, truth, day, text"),
            ("exact", "near", "store 'near' is none of exact, coarse, fresh"),
            ("years,,", "years,soon,", "window 'soon' is not like 30min, 24h, 30d or 12m"),
            (
                "credit fraud",
                "credit love",
                f"allowed_uses 'love' is none of {', '.join(Use)}",
            ),
            (",no,", ",maybe,", "is_supporting 'maybe' is neither yes nor no"),
            (",no,", ",no,red blue", "choices 'red blue' are no range like 0..1, 0.. or ..9"),
            ("number", "text", "a text travels fresh; a blob holds numbers"),
        ],
    )
    def test_names_the_line(self, old: str, new: str, problem: str) -> None:
        assert refused(*HEAD, AGE.replace(old, new)) == [f"line 3: {problem}"]

    def test_a_day_is_never_coarse(self) -> None:
        line = AGE.replace("number", "day").replace("exact", "coarse")
        assert refused(*HEAD, line) == ["line 3: a day does not fit into float32"]

    def test_choices_are_for_texts_and_numbers(self) -> None:
        line = AGE.replace("number", "truth") + "0..1"
        assert refused(*HEAD, line) == ["line 3: choices are for texts and numbers only"]

    def test_names_every_bad_line(self) -> None:
        lines = refused(*HEAD, AGE, AGE, "a,b", AGE.replace("age_years", ""))
        assert lines == [
            "line 4: name 'age_years' stands on line 3 already",
            f"line 5: 2 cells where {len(COLUMNS)} are needed",
            "line 6: name '' is not lower-case words joined by underscores",
        ]

    @pytest.mark.parametrize("lines", [(), ("name,label",), ("# version 1", "a,b")])
    def test_needs_a_version_and_the_columns(self, lines: tuple[str, ...]) -> None:
        problems = refused(*lines)
        assert problems[0] == "line 1: expected `# version YYYY.MM`"
        assert problems[1].startswith("line 2: expected the columns name,label")
