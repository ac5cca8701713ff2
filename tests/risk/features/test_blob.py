import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.features.blob import Absence, BlobCodec, BlobRefused, Picker
from risk.features.catalogue import Kind, Store, parse_catalogue, read_catalogue, written
from risk.features.synthetic import synthetic_catalogue
from risk.features.values import LIMIT

CODEC = BlobCodec(synthetic_catalogue(400))
ODD = [None, "0.5", True, math.nan, math.inf, -math.inf, 1e30, 10**15, [], b"1"]
NUMBERS = [name for name in CODEC.exact if name.endswith(("_fen", "_score"))]


class TestValues:
    def test_come_back_as_they_went_in(self) -> None:
        given_values = {
            "bureau_score": 0.7,
            "is_student": True,
            "employed_on": date(2026, 1, 31),
            "income_monthly_fen": 1_234_567,
            "night_orders_share_90d": 0.7,
        }
        values = CODEC.decode(CODEC.encode(given_values))
        assert values["bureau_score"] == 0.7
        assert values["is_student"] == 1.0
        assert values["employed_on"] == date(2026, 1, 31).toordinal()
        assert values["income_monthly_fen"] == 1_234_567.0
        assert values["night_orders_share_90d"] == pytest.approx(0.7)
        assert values["night_orders_share_90d"] < 0.7  # float32: why rules never compare it
        assert math.isnan(values["exposure_fen"])

    @given(st.dictionaries(st.sampled_from(NUMBERS), st.floats(-LIMIT, LIMIT, exclude_max=True)))
    def test_exact_values_are_exact(self, values: dict[str, float]) -> None:
        decoded = CODEC.decode(CODEC.encode(values))
        inside = {name: value for name, value in values.items() if abs(value) < LIMIT}
        assert {name: decoded[name] for name in inside} == inside

    @pytest.mark.parametrize("odd", ODD, ids=repr)
    def test_an_odd_value_is_missing(self, odd: object) -> None:
        blob = CODEC.encode({"bureau_score": odd})
        assert math.isnan(CODEC.decode(blob)["bureau_score"])
        expected = Absence.NOT_COLLECTED if odd is None else Absence.ODD_VALUE
        assert CODEC.absences(blob)["bureau_score"] is expected

    def test_says_why_a_value_is_missing(self) -> None:
        why = {"bureau_score": Absence.SOURCE_FAILED, "exposure_fen": Absence.NOT_PERMITTED}
        blob = CODEC.encode({"age_years": 30.0}, why)
        absences = CODEC.absences(blob)
        assert "age_years" not in absences
        assert absences["bureau_score"] is Absence.SOURCE_FAILED
        assert absences["exposure_fen"] is Absence.NOT_PERMITTED
        assert absences["night_orders_share_90d"] is Absence.NOT_COLLECTED


class TestTable:
    def test_writes_what_encode_writes(self) -> None:
        rng = np.random.default_rng(0)
        exact = rng.normal(size=(5, len(CODEC.exact)))
        coarse = rng.normal(size=(5, len(CODEC.coarse))).astype(np.float32)
        for table in (exact, coarse):
            table[rng.random(table.shape) < 0.2] = math.nan
        kinds = {each.name: each.kind for each in synthetic_catalogue(400).dimensions}
        for n, name in enumerate(CODEC.exact):
            if kinds[name] is not Kind.NUMBER:
                exact[:, n] = math.nan
        for row, blob in enumerate(CODEC.encode_table(exact, coarse)):
            values = zip(CODEC.names, [*exact[row].tolist(), *coarse[row].tolist()], strict=True)
            assert blob == CODEC.encode({name: value for name, value in values if value == value})  # noqa: PLR0124

    def test_an_odd_value_is_missing(self) -> None:
        exact = np.full((1, len(CODEC.exact)), 1e30)
        coarse = np.full((1, len(CODEC.coarse)), np.inf, dtype=np.float32)
        (blob,) = CODEC.encode_table(exact, coarse)
        assert set(CODEC.absences(blob).values()) == {Absence.NOT_COLLECTED}
        assert len(CODEC.absences(blob)) == 400 - len(fresh())


def fresh() -> tuple[str, ...]:
    return synthetic_catalogue(400).stored(Store.FRESH)


class TestPicker:
    def test_picks_exact_then_coarse(self) -> None:
        picker = Picker(CODEC, ["night_orders_share_90d", "bureau_score", "age_years"])
        assert picker.names == ("bureau_score", "age_years", "night_orders_share_90d")
        blob = CODEC.encode({"bureau_score": 600, "age_years": 30, "night_orders_share_90d": 0.5})
        assert picker(blob) == (600.0, 30.0, 0.5)

    def test_picks_one_or_none(self) -> None:
        blob = CODEC.encode({"bureau_score": 600})
        assert Picker(CODEC, ["bureau_score"])(blob) == (600.0,)
        assert Picker(CODEC, [])(blob) == ()

    def test_knows_its_names(self) -> None:
        with pytest.raises(KeyError, match="phone"):
            Picker(CODEC, ["age_years", "phone"])

    def test_picks_what_decode_reads(self) -> None:
        blob = CODEC.encode({name: float(n) for n, name in enumerate(CODEC.names) if n % 3})
        values = CODEC.decode(blob)
        for name, value in zip(CODEC.names, Picker(CODEC, CODEC.names)(blob), strict=True):
            assert value == values[name] or math.isnan(value)


class TestColumns:
    def test_are_float64_with_missing_as_nan(self) -> None:
        blobs = [
            CODEC.encode({"bureau_score": 600, "night_orders_share_90d": 0.5}),
            CODEC.encode({}),
        ]
        columns = CODEC.columns(blobs, ["bureau_score", "night_orders_share_90d"])
        assert [str(column.dtype) for column in columns.values()] == ["float64"] * 2
        assert columns["bureau_score"][0] == 600.0
        assert columns["night_orders_share_90d"][0] == 0.5
        assert all(math.isnan(column[1]) for column in columns.values())

    def test_refuse_a_strange_blob(self) -> None:
        with pytest.raises(BlobRefused):
            CODEC.columns([CODEC.encode({}), b"FENQ"], ["bureau_score"])


class TestRefusal:
    def test_of_another_catalogue(self) -> None:
        older = parse_catalogue(
            [line.replace("年龄", "岁数") for line in written(read_catalogue())]
        )
        blob = BlobCodec(older).encode({"age_years": 30})
        codec = BlobCodec(read_catalogue())
        for read in (codec.decode, codec.absences, Picker(codec, ["age_years"])):
            with pytest.raises(BlobRefused, match="another catalogue"):
                read(blob)

    @pytest.mark.parametrize("cut", [1, 100, 2000])
    def test_of_a_blob_cut_off(self, cut: int) -> None:
        with pytest.raises(BlobRefused):
            CODEC.decode(CODEC.encode({})[:-cut])

    def test_of_bytes_too_many(self) -> None:
        with pytest.raises(BlobRefused, match="cut off or has bytes too many"):
            CODEC.decode(CODEC.encode({}) + b"\0")

    def test_of_an_unknown_reason(self) -> None:
        with pytest.raises(BlobRefused, match="unknown reason"):
            CODEC.absences(CODEC.encode({})[:-1] + b"\xff")
