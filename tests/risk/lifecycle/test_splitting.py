from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.lifecycle.splitting import Rails, Reading, is_challenged, rails_from


class TestSplit:
    @given(st.text(min_size=1), st.text(), st.integers(0, 1_000))
    def test_stays_the_same_and_only_grows_with_the_share(
        self, subject: str, salt: str, share: int
    ) -> None:
        falls = is_challenged(subject, salt=salt, share_permille=share)
        assert is_challenged(subject, salt=salt, share_permille=share) == falls
        assert not falls or is_challenged(subject, salt=salt, share_permille=share + 1)
        assert not is_challenged(subject, salt=salt, share_permille=0)
        assert is_challenged(subject, salt=salt, share_permille=1_000)

    def test_comes_near_the_share_and_differs_by_salt(self) -> None:
        subjects = [f"customer:{n}" for n in range(20_000)]
        falls = {
            salt: {each for each in subjects if is_challenged(each, salt=salt, share_permille=200)}
            for salt in ("a", "b")
        }
        counts = Counter({salt: len(some) for salt, some in falls.items()})
        assert all(3_700 < count < 4_300 for count in counts.values())
        assert 600 < len(falls["a"] & falls["b"]) < 1_000  # a fifth of a fifth: independent


def reading(**changes: float) -> Reading:
    plain = {"decisions": 1_000, "approved": 600, "reviewed": 100, "errors": 0, "p99_ms": 20.0}
    return Reading(**plain | changes)  # type: ignore[arg-type]


BARELY = ["approve share 18.0% below 20.0%"]
OPEN_OUTCOMES = {
    "approve_share_least": 0,
    "approve_share_most": 1,
    "approve_share_gap_most": 1,
    "decline_share_most": 1,
}


class TestRails:
    RAILS = Rails(
        approve_share_least=0.5,
        approve_share_most=0.7,
        approve_share_gap_most=1,
        review_share_most=0.2,
        p99_ms_most=50,
        early_bad_share_most=1,
        early_bad_gap_most=1,
        least_outcomes=40,
        bad_share_most=0.1,
    )

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({}, []),
            ({"approved": 499}, ["approve share 49.9% below 50.0%"]),
            ({"approved": 701}, ["approve share 70.1% above 70.0%"]),
            ({"reviewed": 201}, ["review share 20.1% above 20.0%"]),
            ({"errors": 11}, ["error share 1.1% above 1.0%"]),
            ({"p99_ms": 80.0}, ["p99 80 ms above 50 ms"]),
            ({"p99_ms": None}, []),
            ({"decisions": 199, "approved": 0}, []),
            ({"known": 40, "bad": 4}, []),
            ({"known": 40, "bad": 5}, ["bad share 12.5% above 10.0%"]),
            ({"known": 39, "bad": 39}, []),
            (
                {"decisions": 0, "approved": 0, "reviewed": 0, "errors": 200},
                ["approve share 0.0% below 50.0%", "error share 100.0% above 1.0%"],
            ),
        ],
    )
    def test_say_what_is_broken(self, changes: dict[str, float], told: list[str]) -> None:
        found = self.RAILS.breaches(reading(**changes), reading())
        assert [str(breach) for breach in found] == told

    @pytest.mark.parametrize(
        ("approved", "champion", "told"),
        [
            (500, 601, ["approve share gap 10.1% above 10.0%"]),
            (701, 600, ["approve share gap 10.1% above 10.0%"]),
            (500, 600, []),
        ],
    )
    def test_hold_the_challenger_near_the_champion(
        self, approved: int, champion: int, told: list[str]
    ) -> None:
        rails = Rails(approve_share_gap_most=0.1001)
        found = rails.breaches(reading(approved=approved), reading(approved=champion))
        assert [str(breach) for breach in found] == told
        few = reading(decisions=199, approved=199)
        assert rails.breaches(reading(approved=approved), few) == ()

    @pytest.mark.parametrize(
        ("changes", "champion", "told"),
        [
            ({}, {}, []),
            ({"approved": 450, "reviewed": 0}, {"approved": 540}, []),
            ({"approved": 510}, {"approved": 620}, ["approve share gap 11.0% above 10.0%"]),
            ({"approved": 180, "reviewed": 150}, {"approved": 250}, BARELY),
            ({"reviewed": 310}, {}, ["review share 31.0% above 30.0%"]),
            ({"errors": 11}, {}, ["error share 1.1% above 1.0%"]),
            ({"p99_ms": 101.0}, {}, ["p99 101 ms above 100 ms"]),
            ({"known": 12, "bad": 12}, {}, []),
            ({"known": 13, "bad": 13}, {}, ["early bad gap 2.2% above 2.0%"]),
            ({"known": 31, "bad": 31}, {"bad": 25}, ["early bad share 5.2% above 5.0%"]),
            ({"decisions": 199, "approved": 199, "bad": 199}, {}, []),
        ],
    )
    def test_hold_without_being_asked(
        self, changes: dict[str, float], champion: dict[str, float], told: list[str]
    ) -> None:
        found = Rails().breaches(reading(**changes), reading(**champion))
        assert [str(breach) for breach in found] == told

    @pytest.mark.parametrize(
        ("opened", "left"),
        [
            ({}, ()),
            ({"approve_share_least": 0, "approve_share_most": 1}, ()),
            (OPEN_OUTCOMES, ("outcomes",)),
            ({"error_share_most": 1}, ("errors",)),
            ({"p99_ms_most": 5_000}, ("time",)),
            ({"early_bad_share_most": 1}, ()),
            ({"early_bad_share_most": 1, "early_bad_gap_most": 1}, ("bad",)),
            ({"early_bad_share_most": 1, "early_bad_gap_most": 1, "bad_share_most": 0.2}, ()),
        ],
    )
    def test_say_what_they_leave_open(self, opened: dict[str, float], left: tuple[str]) -> None:
        assert rails_from(opened).unguarded() == left

    @pytest.mark.parametrize(
        "odd",
        [
            {"x": 1},
            {"error_share_most": 1.1},
            {"least_decisions": 0},
            {"p99_ms_most": 0},
            {"least_outcomes": 0},
            {"least_granted": 0},
            {"early_bad_gap_most": 2},
        ],
    )
    def test_odd_ones_are_refused(self, odd: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="guard rail"):
            rails_from(odd)

    def test_are_read_as_they_were_written(self) -> None:
        assert rails_from(self.RAILS.document()) == self.RAILS
