from pathlib import Path

from bot.evaluation import evaluate, evaluate_file


class TestEvaluate:
    def test_counts_what_was_understood(self) -> None:
        labelled = [("我的分期", "progress"), ("还款", "repay"), ("嘎嘎", "repay")]
        found = evaluate(labelled)
        assert (found.rows, round(found.accuracy, 2)) == (3, 0.67)
        assert round(found.macro_f1, 3) == 0.833
        assert found.mistakes == (("repay", "unknown", 1),)

    def test_reads_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "texts.csv"
        path.write_text("text,intent\n投诉你们,complaint\n", encoding="utf-8")
        assert evaluate_file(path).accuracy == 1.0

    def test_nothing_is_no_accident(self) -> None:
        assert evaluate([]).accuracy == 0.0
