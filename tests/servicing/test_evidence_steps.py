"""Who is asked about an application is what the strategy of its own product says, step by step."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from house_judges import good_subsystems, publish_house
from verdicts import Verdict
from ways import Judge, Way

from kernel.runtime import Runtime
from risk.decisions.house import HouseDecide
from risk.ports import DecisionProductUnknown, Inquiry, Subsystem, SubsystemFailed, Subsystems
from servicing import jobs, operations, queries
from servicing.ports import Decide, DeclinesAnyway
from servicing.products import STANDARD
from servicing.tables import Application, ApplicationCourse

Answer = Callable[[Inquiry], Mapping[str, Any]]


def use(name: str, step: int = 1, **changes: Any) -> dict[str, Any]:
    plain = {"name": name, "step": step, "timeout_s": 4, "attempts": 1, "fallback": "review"}
    return plain | changes


IN_STEPS = [use("identity"), use("bureau", 2, timeout_s=7, attempts=2, fallback="decline")]

WITHOUT_LISTS = [
    "statutory",
    "own",
    "hard",
    "purchase-card",
    "purchase-band",
    "purchase-line",
    "purchase-left",
    "purchase-amount",
    "purchase-final",
]


class World:
    """Sub-systems that note whom they were asked about, and how patiently."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.silent: set[str] = set()
        self.instead: dict[str, Mapping[str, Any]] = {}

    def every(self) -> Subsystems:
        return Subsystems(each=tuple(map(self._noting, good_subsystems().each)))

    def _noting(self, one: Subsystem) -> Subsystem:
        def ask(inquiry: Inquiry) -> Mapping[str, Any]:
            self.asked.append((one.name, inquiry.timeout_s))
            if one.name in self.silent:
                raise SubsystemFailed("silent")
            return self.instead.get(one.name) or one.ask(inquiry)

        return replace(one, ask=ask)


@pytest.fixture
def world(runtime: Runtime) -> World:
    made = World()
    runtime.provide(Subsystems, made.every())
    return made


@pytest.fixture
def way(runtime: Runtime, book: Any, world: World) -> Way:
    assert not world.asked
    judge = Judge(Verdict())
    runtime.provide(Decide, judge)
    return Way(runtime, book, judge)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicing.jobs._PAUSE_S", 0)


def evidence(way: Way) -> dict[str, tuple[int, str, str | None]]:
    with way.runtime.database.read() as session:
        found = queries.evidence_of(session, application_id=way.id)
    return {row.subsystem: (row.step, row.state, row.failure) for row in found}


class TestSteps:
    def test_follow_one_another_with_their_own_patience(self, way: Way, world: World) -> None:
        made = publish_house(way.runtime, standard={"subsystems": [*IN_STEPS, use("lists", 2)]})
        way.gather()
        assert [given["subsystem"] for _, given in way.waiting()] == ["identity"]
        way.work()
        assert world.asked[0] == ("identity", 4)
        assert sorted(world.asked[1:]) == [("bureau", 7), ("lists", 4)]
        assert way.state == "approved"
        with way.runtime.database.read() as session:
            course = session.get_one(ApplicationCourse, way.id)
        assert course.planned_by == f"house-credit v{made.version} @{made.hash[:12]}"

    def test_leave_out_what_the_product_switches_off_and_say_so(
        self, way: Way, world: World
    ) -> None:
        publish_house(
            way.runtime,
            standard={"subsystems": IN_STEPS, "stages": WITHOUT_LISTS},
        )
        way.gather()
        way.work()
        assert {name for name, _ in world.asked} == {"identity", "bureau"}
        assert evidence(way)["lists"] == (1, "not_asked", "switched-off")
        assert way.state == "approved"  # what was never asked is no silence

    def test_of_another_product_are_none_of_its_business(self, way: Way, world: World) -> None:
        publish_house(way.runtime, instalment={"subsystems": [use("identity"), use("bureau")]})
        way.gather()
        way.work()
        assert sorted(name for name, _ in world.asked) == ["bureau", "identity", "lists"]
        assert {timeout for _, timeout in world.asked} == {5}

    def test_are_spared_after_a_silence_that_declines(self, way: Way, world: World) -> None:
        first = [use("bureau", fallback="decline", attempts=2), use("identity", 2), use("lists", 2)]
        publish_house(way.runtime, standard={"subsystems": first})
        world.silent = {"bureau"}
        way.gather()
        way.work()
        assert world.asked == [("bureau", 4)] * 2
        assert evidence(way) == {
            "bureau": (1, "failed", "silent"),
            "identity": (2, "not_asked", "declined-already"),
            "lists": (2, "not_asked", "declined-already"),
        }
        assert (way.state, way.found.reasons) == ("declined", ("evidence-missing",))

    def test_go_on_after_queues_were_lost(self, way: Way, world: World) -> None:
        publish_house(way.runtime, standard={"subsystems": [*IN_STEPS, use("lists", 3)]})
        way.gather()
        jobs.ask_subsystem(way.runtime, application_id=way.id, subsystem="identity")
        for step in (["bureau"], ["lists"]):
            way.lose_queues()
            way.pass_time(seconds=11)
            way.sweep()
            assert [name for name, _ in way.waiting()] == ["ask_further"]
            jobs.ask_further(way.runtime, application_id=way.id)
            jobs.ask_further(way.runtime, application_id=way.id)
            for name in step:
                jobs.ask_subsystem(way.runtime, application_id=way.id, subsystem=name)
        way.work()
        assert [name for name, _ in world.asked] == ["identity", "bureau", "lists"]
        assert way.state == "approved"

    def test_whose_time_is_over_make_room_for_the_next_within_the_promise(self, way: Way) -> None:
        publish_house(way.runtime, standard={"subsystems": [*IN_STEPS, use("lists", 3)]})
        way.gather()
        way.lose_queues()
        way.pass_time(seconds=300 - (7 * 2 + 2 + 10) - (4 + 10) - 10)
        way.sweep()
        way.work()
        assert evidence(way)["identity"] == (1, "timed_out", None)
        assert evidence(way)["bureau"][1] == "answered"
        assert (way.state, way.found.reasons) == ("in_review", ("evidence-missing",))

    def test_stay_as_they_were_laid_out_whatever_is_published_meanwhile(
        self, way: Way, world: World
    ) -> None:
        publish_house(way.runtime, standard={"subsystems": [*IN_STEPS, use("lists", 2)]})
        way.gather()
        publish_house(way.runtime)
        way.gather()
        way.work()
        assert world.asked[0][0] == "identity"
        assert evidence(way)["bureau"][0] == 2

    def test_without_anybody_to_ask_decide_at_once(self, way: Way, runtime: Runtime) -> None:
        runtime.provide(Subsystems, Subsystems(each=()))
        way.gather()
        assert [name for name, _ in way.waiting()] == ["decide_application"]

    def test_name_one_that_is_gone_and_take_its_fallback(self, way: Way, runtime: Runtime) -> None:
        publish_house(runtime, standard={"subsystems": [*IN_STEPS, use("lists")]})
        few = tuple(each for each in good_subsystems().each if each.name != "lists")
        runtime.provide(Subsystems, Subsystems(each=few))
        way.gather()
        way.work()
        assert evidence(way)["lists"] == (1, "failed", "there is no sub-system lists")
        assert way.state == "in_review"


class TestForesight:
    @pytest.fixture
    def house(self, runtime: Runtime) -> Iterator[HouseDecide]:
        decide = HouseDecide(runtime)
        runtime.provide(Decide, decide)
        runtime.provide(DeclinesAnyway, decide.declines_anyway)
        yield decide
        decide.close()

    @pytest.mark.usefixtures("house")
    @pytest.mark.parametrize(
        ("verified", "bureau", "state"),
        [
            (False, (2, "not_asked", "declined-already"), "declined"),
            (True, (2, "answered", None), "approved"),
        ],
    )
    def test_spares_who_could_change_nothing(
        self, runtime: Runtime, book: Any, world: World, verified: bool, bureau: Any, state: str
    ) -> None:
        way = Way(runtime, book, Judge(Verdict()))
        publish_house(runtime, standard={"subsystems": [*IN_STEPS, use("lists", 2)]})
        world.instead["identity"] = {"is_identity_verified": verified}
        way.gather()
        way.work()
        assert evidence(way)["bureau"] == bureau
        assert way.state == state
        if not verified:
            assert way.found.reasons[0] == "identity-not-verified"

    def test_is_held_to_what_it_foresaw(self, runtime: Runtime, book: Any, world: World) -> None:
        judge = Judge(Verdict("approve", line_fen=500_000))
        runtime.provide(Decide, judge)
        runtime.provide(DeclinesAnyway, lambda **_: True)
        way = Way(runtime, book, judge)
        publish_house(runtime, standard={"subsystems": [*IN_STEPS, use("lists", 2)]})
        way.gather()
        way.work()
        assert [name for name, _ in world.asked] == ["identity"]
        assert (way.state, way.found.reasons) == ("in_review", ("evidence-missing",))

    def test_does_not_trust_what_may_still_change(
        self, runtime: Runtime, house: HouseDecide
    ) -> None:
        publish_house(runtime)
        asked: dict[str, Any] = {"subject": "customer:1", "product": "standard"}
        young = {"age_years": 17, "is_identity_verified": False}
        sure = house.declines_anyway
        assert sure(**asked, values=young, pending={"is_identity_verified"})
        assert sure(**asked, values=young, pending={"age_years"})
        assert not sure(**asked, values=young, pending={"age_years", "is_identity_verified"})
        assert not sure(**asked, values={"age_years": 30}, pending=set())
        poor_score = {"age_years": 30, "bureau_score": 400, "income_monthly_fen": 1}
        assert not sure(**asked, values=poor_score, pending={"bureau_queries_30d"})


class TestProduct:
    def test_is_the_one_that_is_applied_for(
        self, runtime: Runtime, book: Any, world: World
    ) -> None:
        judge = Judge(Verdict())
        runtime.provide(Decide, judge)
        phone = replace(STANDARD, code="phone")
        with runtime.database.write() as session:
            found = book.application(session, product=phone)
        with runtime.database.read() as session:
            asked = queries.question_of(
                session, runtime.cipher, application_id=found, now=runtime.clock.now()
            )
        assert asked is not None
        assert (asked.product, asked.values["product"]) == ("phone", "phone")

    @pytest.mark.parametrize(
        ("funder", "lender"), [("own", "small_loan"), ("partner-bank", "bank"), ("old", None)]
    )
    def test_says_who_lends(
        self, runtime: Runtime, book: Any, funder: str, lender: str | None
    ) -> None:
        with runtime.database.write() as session:
            found = book.application(session)
            session.get_one(Application, found).funder = funder
        with runtime.database.read() as session:
            asked = queries.question_of(
                session, runtime.cipher, application_id=found, now=runtime.clock.now()
            )
        assert asked is not None
        assert asked.values.get("lender_type") == lender

    def test_that_no_strategy_decides_goes_to_a_person(self, way: Way, runtime: Runtime) -> None:
        def nobody(**_: Any) -> Verdict:
            raise DecisionProductUnknown("no strategy decides the product")

        runtime.provide(Decide, nobody)
        way.gather()
        way.work()
        assert (way.state, way.found.reasons) == ("in_review", ("no-strategy",))
        with runtime.database.read() as session:
            course = session.get_one(ApplicationCourse, way.id)
        assert (course.state, course.machine_outcome) == ("decided", "review")


class TestPrice:
    RANGED = replace(STANDARD, rate_least=Decimal("0.12"))

    @pytest.fixture
    def priced(self, runtime: Runtime, book: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        def decided(verdict: Verdict, product: Any = None) -> queries.ApplicationDetail:
            monkeypatch.setattr(
                "servicing.operations.applications.deciding.product_version",
                lambda *_, **__: product or self.RANGED,
            )
            with runtime.database.write() as session:
                found = book.application(session, product=product or self.RANGED)
                operations.decide_application(
                    session, application_id=found, decision=verdict, now=book.now
                )
                return queries.application_of(session, application_id=found)

        return decided

    @pytest.mark.parametrize("rate", ["0.12", "0.15", "0.216"])
    def test_becomes_that_of_the_loan(self, priced: Any, rate: str) -> None:
        found = priced(Verdict(line_fen=500_000, rate_annual=Decimal(rate)))
        assert (found.state, found.rate_annual) == ("approved", Decimal(rate))

    @pytest.mark.parametrize("rate", ["0.119999", "0.216001", "0", "-0.1", "5"])
    def test_outside_of_the_product_is_looked_at_by_a_person(self, priced: Any, rate: str) -> None:
        found = priced(Verdict(line_fen=500_000, rate_annual=Decimal(rate)))
        assert (found.state, found.reasons) == ("in_review", ("price-outside",))
        assert found.rate_annual == STANDARD.rate_annual

    def test_of_a_product_without_a_range_is_fixed(self, priced: Any) -> None:
        found = priced(Verdict(line_fen=500_000, rate_annual=Decimal("0.18")), STANDARD)
        assert found.reasons == ("price-outside",)
        same = priced(Verdict(line_fen=500_000, rate_annual=STANDARD.rate_annual), STANDARD)
        assert same.state == "approved"

    def test_waits_for_the_person_who_reviews(self, priced: Any) -> None:
        found = priced(Verdict("review", "slips", rate_annual=Decimal("0.15")))
        assert (found.state, found.rate_annual) == ("in_review", Decimal("0.15"))

    def test_of_what_is_declined_says_nothing(self, priced: Any) -> None:
        found = priced(Verdict("decline", "slips", rate_annual=Decimal(9)))
        assert (found.state, found.reasons) == ("declined", ("slips",))
