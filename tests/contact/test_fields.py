import pytest
from hypothesis import given
from hypothesis import strategies as st

from contact.fields import LIMITS, FieldType, cut, cut_to_type, fits, type_of


class TestTypeOf:
    @pytest.mark.parametrize(
        ("key", "wanted"),
        [
            ("thing1", FieldType.THING),
            ("thing01", FieldType.THING),
            ("thing", FieldType.THING),
            ("character_string21", FieldType.CHARACTER_STRING),
            ("phone_number_3", FieldType.PHONE_NUMBER),
            ("amount2", FieldType.AMOUNT),
            ("first", None),
            ("Thing1", None),
            ("1", None),
            ("", None),
        ],
    )
    def test_reads_the_type_out_of_a_key(self, key: str, wanted: FieldType | None) -> None:
        assert type_of(key) is wanted


class TestCut:
    @pytest.mark.parametrize(
        ("field_type", "text", "wanted"),
        [
            (FieldType.PHRASE, "非常重要的客户", "非常..."),
            (FieldType.PHONE_NUMBER, "+86-0755-8888-999988", "+86-0755-8888-..."),
            (FieldType.THING, "二十个字" * 5, "二十个字" * 5),
            (FieldType.THING, "😀" * 21, "😀" * 17 + "..."),
            (FieldType.CHARACTER_STRING, "x" * 33, "x" * 29 + "..."),
            (FieldType.AMOUNT, "¥" + "1" * 40, "¥" + "1" * 40),
        ],
    )
    def test_cuts_by_type(self, field_type: FieldType, text: str, wanted: str) -> None:
        assert cut_to_type(field_type, text) == wanted

    @given(st.text(), st.integers(min_value=0, max_value=40))
    def test_a_cut_text_is_short_enough_and_a_short_one_is_kept(
        self, text: str, limit: int
    ) -> None:
        got = cut(text, limit=limit)
        assert len(got) <= limit
        assert got == text or len(text) > limit


class TestFits:
    @pytest.mark.parametrize(
        ("field_type", "text"),
        [
            (FieldType.THING, "iPhone 15（128G）"),
            (FieldType.CHARACTER_STRING, "NO.20260310-1"),
            (FieldType.PHONE_NUMBER, "+86-13800138000"),
            (FieldType.CAR_NUMBER, "粤A8Z888挂"),
            (FieldType.PHRASE, "即将到期"),
            (FieldType.NAME, "阿依古丽·买买提"),
            (FieldType.NAME, "Li Lei"),
            (FieldType.LETTER, "abcXYZ"),
            (FieldType.SYMBOL, "！"),
            (FieldType.NUMBER, "12.5"),
            (FieldType.AMOUNT, "¥1234.56"),
            (FieldType.TIME, "2026年3月1日 08:30"),
            (FieldType.DATE, "2026年3月1日"),
        ],
    )
    def test_takes_what_the_platform_takes(self, field_type: FieldType, text: str) -> None:
        assert fits(field_type, text)

    @pytest.mark.parametrize("field_type", list(LIMITS))
    def test_takes_nothing_too_long_or_empty(self, field_type: FieldType) -> None:
        assert not fits(field_type, "1" * (LIMITS[field_type] + 1))
        assert not fits(field_type, "")

    @pytest.mark.parametrize(
        ("field_type", "text"),
        [
            (FieldType.PHRASE, "OK"),
            (FieldType.AMOUNT, "１２元"),
            (FieldType.LETTER, "a1"),
            (FieldType.SYMBOL, "ab"),
            (FieldType.NAME, "李Lei"),
            (FieldType.DATE, "2026-03-01"),
        ],
    )
    def test_refuses_other_signs(self, field_type: FieldType, text: str) -> None:
        assert not fits(field_type, text)
