"""Cards and trees: fitted on one part, honest on the other, the same when served."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from cli import commands
from cli.bench.figures import Asked
from risk.features.catalogue import parse_catalogue
from risk.models.arrays import scores
from risk.models.equality import assert_forms_agree, probing_rows
from risk.models.reading import read_model, written_model
from risk.training.binning import fit_bins, fit_codes
from risk.training.fitting import fit_card, fit_trees
from risk.training.measures import auc, brier, ks, psi
from risk.training.table import TableInvalid, read_table, target_of
from risk.training.training import Recipe, train
from risk.training.validation import Plan, derived, validate

ROOT = Path(__file__).resolve().parents[3]
CATALOGUE = """\
# version 2026.11
name,label,kind,unit,window,store,source,legal_basis,allowed_uses,is_supporting,choices
late,逾期,number,days,,exact,LATE,x,credit,no,
income,收入,number,yuan,,exact,INCOME,x,credit,no,
taste,偏好,number,share,,exact,TASTE,x,marketing,no,
"""


def people(rows: int = 3_000, seed: int = 1) -> dict[str, np.ndarray]:
    """Late people go bad more, well paid ones less; taste tells nothing."""
    chance = np.random.default_rng(seed)
    late, income = chance.exponential(20, rows).round(), chance.normal(8_000, 2_500, rows).round()
    odds = -2.2 + 0.04 * late - 0.0002 * (income - 8_000)
    bad = (chance.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)
    return {"LATE": late, "INCOME": income, "TASTE": chance.random(rows), "BAD": bad}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    columns = people()
    lines = [",".join([*columns, "CITY"])]
    for n, row in enumerate(zip(*columns.values(), strict=True)):
        lines.append(",".join([*map(str, row), "甲" if n % 3 else ""]))
    path = tmp_path / "people.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


class TestTable:
    def test_columns_are_numbers_or_texts_and_empty_cells_missing(self, table: Path) -> None:
        found = read_table(table)
        assert found.columns["LATE"].dtype == np.float64
        assert found.columns["CITY"][:2].tolist() == [None, "甲"]
        assert found.rows == 3_000

    def test_a_row_stays_on_its_side_of_the_split_wherever_it_stands(self, table: Path) -> None:
        head, *lines = table.read_text("utf-8").splitlines()
        before = read_table(table)
        table.write_text("\n".join([head, *reversed(lines)]), encoding="utf-8")
        assert read_table(table).chance.tolist() == before.chance[::-1].tolist()
        assert 0.25 < (before.chance < 0.3).mean() < 0.35

    @pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1\n"])
    def test_what_is_no_table_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "x.csv").write_text(text)
        with pytest.raises(TableInvalid):
            read_table(tmp_path / "x.csv")

    def test_a_target_needs_both_outcomes_and_a_column(self, table: Path) -> None:
        found = read_table(table)
        assert target_of(found, "CITY", "甲").mean() == pytest.approx(2 / 3)
        for name, positive in (("BAD", "7"), ("nobody", None)):
            with pytest.raises(TableInvalid):
                target_of(found, name, positive)


class TestMeasures:
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
    def test_auc_counts_pairs_and_ks_is_the_widest_gap(self, told: list[Any]) -> None:
        y = np.array([float(bad) for bad, _ in told])
        score = np.array([float(each) for _, each in told])
        if not 0 < y.sum() < len(y):
            return
        bads, goods = score[y == 1], score[y == 0]
        pairs = [(b > g) + 0.5 * (b == g) for b in bads for g in goods]
        assert auc(y, score) == pytest.approx(np.mean(pairs))
        gaps = [abs((bads <= cut).mean() - (goods <= cut).mean()) for cut in range(6)]
        assert ks(y, score) == pytest.approx(max(gaps))

    def test_brier_and_psi(self) -> None:
        assert brier(np.array([1.0, 0.0]), np.array([0.5, 0.5])) == 0.25
        same = np.linspace(0, 1, 1_000)
        assert psi(same, same) == 0
        assert psi(same, same**3) > 0.25


class TestBinning:
    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 10_000), st.sampled_from([1, -1]))
    def test_bad_rates_go_one_way(self, seed: int, sign: int) -> None:
        chance = np.random.default_rng(seed)
        x = chance.integers(0, 40, 800).astype(float)
        y = (chance.random(800) < 0.1 + 0.01 * (x if sign > 0 else 40 - x)).astype(float)
        bins = fit_bins(x, y)
        steps = np.diff(bins.woe) * bins.direction
        assert (steps > 0).all()
        assert bins.direction == sign
        places = np.searchsorted(bins.edges, x, side="right")
        assert np.bincount(places).min() >= 0.03 * len(x)

    def test_codes_and_missing_values_have_bins_of_their_own(self) -> None:
        chance = np.random.default_rng(1)
        x = chance.random(2_000)
        y = (chance.random(2_000) < x / 2).astype(float)
        x[:200], y[:200] = -9, 1
        x[200:300], y[200:300] = np.nan, 0
        bins = fit_bins(x, y, specials=(-9, -8))
        assert bins.specials[-9.0] > max(bins.woe)
        assert bins.missing < min(bins.woe)
        assert -8.0 not in bins.specials

    def test_what_was_never_missing_counts_as_the_worst(self) -> None:
        columns = people()
        bins = fit_bins(columns["LATE"], columns["BAD"])
        assert bins.missing == max(bins.woe)

    def test_texts_are_numbered_by_their_bad_rates(self) -> None:
        texts = np.array(["a"] * 100 + ["b"] * 100 + ["rare"] + [None], dtype=object)
        y = np.array([1.0] * 50 + [0.0] * 50 + [1.0] * 10 + [0.0] * 90 + [1.0, 0.0])
        codes = fit_codes(texts, y)
        numbers = codes.column(texts)
        assert numbers[100] < codes.other == numbers[200] < numbers[0]
        assert np.isnan(numbers[201])


class TestModels:
    def test_the_served_forms_say_what_was_fitted(self) -> None:
        columns = people()
        y = columns.pop("BAD")
        card = fit_card(columns, y)
        assert set(card.weights) >= {"LATE", "INCOME"}
        trees = fit_trees(columns, y, directions={"LATE": 1, "INCOME": -1}, seed=0)
        served = trees.trees()
        table = np.column_stack([columns[name] for name in served.features])
        table[::7, 0] = np.nan
        asked = dict(zip(served.features, table.T, strict=True))
        assert np.abs(scores(served, table) - trees.probability(asked)).max() < 1e-12
        points = card.card()
        said = scores(points, np.column_stack([columns[name] for name in points.features]))
        assert auc(y, -said) == pytest.approx(auc(y, card.probability(columns)), abs=0.005)
        for model in (points, served):
            again = read_model(json.loads(json.dumps(written_model(model))))
            assert assert_forms_agree(again, probing_rows(again, seed=2, rows=500)) == 500

    def test_trees_keep_their_directions(self) -> None:
        columns = people()
        y = columns.pop("BAD")
        trees = fit_trees(columns, y, directions={"LATE": 1}, seed=0)
        line = np.linspace(0, 150, 60)
        asked = {"LATE": line, "INCOME": np.full(60, 8e3), "TASTE": np.full(60, 0.5)}
        assert (np.diff(trees.probability(asked)) >= 0).all()


class TestTraining:
    def test_reads_what_may_be_used_for_credit_and_judges_out_of_sample(self, table: Path) -> None:
        catalogue = parse_catalogue(CATALOGUE.splitlines())
        trained = train(read_table(table), Recipe(catalogue=catalogue, target="BAD"))
        assert trained.report["train_rows"] + trained.report["test_rows"] == 3_000
        assert 0.6 < trained.report["card"]["auc"] < 0.9
        features = read_model(trained.models["trees"]).features
        assert set(features) == {"late", "income"}
        again = train(read_table(table), Recipe(catalogue=catalogue, target="BAD"))
        assert again == trained

    def test_the_commands_train_backtest_and_validate(
        self, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
        file = tmp_path / "catalogue.csv"
        file.write_text(CATALOGUE, encoding="utf-8")
        data = ["--data", str(table), "--target", "BAD", "--catalogue", str(file)]
        out = tmp_path / "out"
        ran = CliRunner().invoke(commands, ["risk", "train", *data, "--out", str(out)])
        assert ran.exit_code == 0, ran.output
        document = str(out / "strategy.json")
        more = ["--amount", "income", "--segment", "late", "--against", document]
        ran = CliRunner().invoke(commands, ["risk", "backtest", document, *data, *more])
        assert ran.exit_code == 0, ran.output
        report = json.loads(ran.stdout)
        assert report["kept_as"] is None
        assert 0.4 < report["draft"]["approve_share"] < 0.8
        assert report["draft"]["bad_rate_to_base"] < 0.8
        assert report["reject_bias"]["is_free_of_it"]
        assert sum(cell["count"] for cell in report["swap_set"]) == report["rows"]
        args = ["--data", str(table), "--target", "BAD", "--folds", "2", "--special=-9"]
        ran = CliRunner().invoke(commands, ["risk", "validate", *args])
        assert ran.exit_code == 0, ran.output
        found = json.loads(ran.stdout)
        assert 0.6 < found["card"]["auc"] < 0.9
        assert set(found) == {"card", "challenger", "psi", "rows", "folds", "seconds"}

    def test_a_backtest_of_nothing_says_how_it_is_asked(self) -> None:
        ran = CliRunner().invoke(commands, ["risk", "backtest", "house-credit"])
        assert ran.exit_code == 2
        assert "KEY:VERSION" in ran.output


class TestValidation:
    def judged(self, table: Path, **plan: Any) -> dict[str, Any]:
        return validate(read_table(table), Plan(target="BAD", **({"folds": 3} | plan)))

    def test_is_honest_about_noise(self, table: Path, tmp_path: Path) -> None:
        chance = np.random.default_rng(5)
        lines = ["X,BAD", *(f"{chance.random()},{int(chance.random() < 0.2)}" for _ in range(900))]
        path = tmp_path / "noise.csv"
        path.write_text("\n".join(lines))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("risk.training.fitting._LEAST_VALUE", 0.0)
            found = self.judged(path)
        assert 0.4 < found["card"]["auc"] < 0.6
        assert 0.4 < found["challenger"]["auc"] < 0.6

    def test_tests_out_of_time_and_by_groups(self, table: Path) -> None:
        assert self.judged(table, test_where="INCOME >= 9000")["folds"] == 1
        grouped = self.judged(table, groups="LATE", drop=("TASTE", "CITY"))
        assert grouped["folds"] == 3
        with pytest.raises(TableInvalid):
            self.judged(table, test_where="INCOME around 9000")
        with pytest.raises(TableInvalid):
            self.judged(table, drop=("nobody",))

    def test_derives_columns(self, table: Path) -> None:
        found = derived(read_table(table), {"ratio": {"divide": ["INCOME", {"add": ["LATE", 1]}]}})
        plain = people()
        assert found.columns["ratio"][5] == plain["INCOME"][5] / (plain["LATE"][5] + 1)
        zero = derived(read_table(table), {"x": {"divide": ["INCOME", 0]}})
        assert np.isnan(zero.columns["x"]).all()
        for odd in ({"x": "nobody"}, {"x": {"power": ["LATE", 2]}}):
            with pytest.raises(TableInvalid):
                derived(read_table(table), odd)


def test_on_real_data_approval_and_bad_rate_are_where_they_should_be(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    data = [
        *("--data", str(shared / "data" / "taiwan" / "UCI_Credit_Card.csv")),
        *("--target", "default.payment.next.month"),
        *("--catalogue", str(ROOT / "docs" / "examples" / "taiwan-catalogue.csv")),
    ]
    ran = CliRunner().invoke(commands, ["risk", "train", *data, "--out", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    document = str(tmp_path / "strategy.json")
    ran = CliRunner().invoke(commands, ["risk", "backtest", document, *data])
    assert ran.exit_code == 0, ran.output
    draft = json.loads(ran.stdout)["draft"]
    assert draft["approve_share"] == pytest.approx(0.6, abs=0.01)
    assert draft["bad_rate_to_base"] <= 0.5
    assert draft["known"] == draft["approved"]


def test_web_processes_load_no_fitting() -> None:
    """Decided in a process of its own, where nothing else has been imported."""
    code = (
        "import sys, wsgi, risk.lifecycle.queries, risk.lifecycle.publishing, risk.operations\n"
        "import risk.lifecycle.shadowing, risk.lifecycle.challenging, risk.jobs\n"
        "print([name for name in ('sklearn', 'scipy', 'numpy') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(("name", "scale"), [("rules", 40), ("backtest", 2_000)])
def test_benches_measure_and_check(name: str, scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip(f"cli.bench.{name}")
    monkeypatch.setattr(module, "ROUNDS", 1)
    figure = module.measure(Asked(seconds=1, scale=scale, database=""))
    assert figure.figure > 0
    assert figure.ratio > 0
    assert figure.details["rules"] == 30
