"""What can be wrong with a strategy: where, a stable code, and a sentence for the analyst.

It finds nothing itself.

    StrategyInvalid  422  the document is no strategy; `problems` names every mistake
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from kernel.errors import Invalid


class Code(StrEnum):
    """Names of mistakes; stable, for programs."""

    NOT_AN_OBJECT = "not-an-object"
    NOT_A_LIST = "not-a-list"
    EMPTY = "empty"
    KEY_UNKNOWN = "key-unknown"
    KEY_MISSING = "key-missing"
    WORD_UNKNOWN = "word-unknown"
    NOT_A_TEXT = "not-a-text"
    NOT_CHINESE = "not-chinese"
    NOT_A_NUMBER = "not-a-number"
    NOT_A_TRUTH = "not-a-truth"
    NOT_A_DAY = "not-a-day"
    NAME_MALFORMED = "name-malformed"
    PERIOD_EMPTY = "period-empty"
    NAME_TAKEN = "name-taken"
    ID_TAKEN = "id-taken"
    FIELD_UNKNOWN = "field-unknown"
    FIELD_NOT_EXACT = "field-not-exact"
    USE_NOT_ALLOWED = "use-not-allowed"
    KIND_DIFFERS = "kind-differs"
    CHOICE_UNKNOWN = "choice-unknown"
    OUTPUT_UNKNOWN = "output-unknown"
    OUTPUT_NOT_SET = "output-not-set"
    REASON_UNKNOWN = "reason-unknown"
    STAGE_UNKNOWN = "stage-unknown"
    STAGE_TWICE = "stage-twice"
    FINAL_MISPLACED = "final-misplaced"
    CYCLE = "cycle"
    TOO_DEEP = "too-deep"
    TOO_LARGE = "too-large"
    CATALOGUE_DIFFERS = "catalogue-differs"
    CONTRADICTION = "contradiction"
    OUTCOMES_CONTRADICT = "outcomes-contradict"
    ROW_WIDTH = "row-width"
    ROW_UNREACHABLE = "row-unreachable"
    ROWS_OVERLAP = "rows-overlap"
    EDGES_NOT_RISING = "edges-not-rising"
    APPROVES_BY_ABSENCE = "approves-by-absence"
    COLLECT_SETS = "collect-sets"
    EFFECT_EMPTY = "effect-empty"
    STATUTORY_MISSING = "statutory-missing"
    STATUTORY_CHANGED = "statutory-changed"
    STATUTORY_AVOIDED = "statutory-avoided"
    SUPPORT_DECLINES = "support-declines"
    USE_CANNOT_DECIDE = "use-cannot-decide"
    PERIOD_OVER = "period-over"
    PERIOD_AHEAD = "period-ahead"
    OUT_OF_RANGE = "out-of-range"
    SUBSYSTEM_TWICE = "subsystem-twice"
    STEP_SKIPPED = "step-skipped"
    PATIENCE_TOO_LONG = "patience-too-long"
    SUBSYSTEM_UNKNOWN = "subsystem-unknown"
    SUBSYSTEM_OFF = "subsystem-off"
    PRICE_OUTSIDE = "price-outside"


SENTENCES: Final[Mapping[Code, str]] = MappingProxyType(
    {
        Code.NOT_AN_OBJECT: "此处应为一个对象",
        Code.NOT_A_LIST: "此处应为一个列表",
        Code.EMPTY: "此处不能为空",
        Code.KEY_UNKNOWN: "不认识的属性“{name}”",
        Code.KEY_MISSING: "缺少属性“{name}”",
        Code.WORD_UNKNOWN: "“{name}”不是可选值，可选：{options}",
        Code.NOT_A_TEXT: "此处应为非空文字",
        Code.NOT_CHINESE: "写给客户的话应为中文",
        Code.NOT_A_NUMBER: "此处应为数值（绝对值小于10的15次方）",
        Code.NOT_A_TRUTH: "此处应为 true 或 false",
        Code.NOT_A_DAY: "此处应为日期，如 2026-12-01",
        Code.NAME_MALFORMED: "“{name}”不是合规的名称：请用小写字母、数字，以下划线、点或短横线连接",
        Code.PERIOD_EMPTY: "失效日期必须晚于生效日期",
        Code.NAME_TAKEN: "名称“{name}”已被使用",
        Code.ID_TAKEN: "编号“{name}”重复",
        Code.FIELD_UNKNOWN: "特征目录中没有“{name}”",
        Code.FIELD_NOT_EXACT: "“{name}”以单精度存储，只供模型使用，规则不能直接比较",
        Code.USE_NOT_ALLOWED: "“{name}”的许可用途不包括“{use}”，不能用于本策略",
        Code.KIND_DIFFERS: "“{name}”的类型是“{kind}”，不能用于此处",
        Code.CHOICE_UNKNOWN: "“{value}”不在“{name}”的可选值之中",
        Code.OUTPUT_UNKNOWN: "没有声明输出“{name}”",
        Code.OUTPUT_NOT_SET: "产品“{product}”走到这里时，“{name}”还没有被前面的阶段赋值",
        Code.REASON_UNKNOWN: "没有声明原因码“{name}”",
        Code.STAGE_UNKNOWN: "没有阶段“{name}”",
        Code.STAGE_TWICE: "产品“{product}”会两次经过阶段“{name}”",
        Code.FINAL_MISPLACED: "产品“{product}”必须以唯一的终审阶段结束",
        Code.CYCLE: "循环引用：{name}",
        Code.TOO_DEEP: "嵌套超过{limit}层",
        Code.TOO_LARGE: "产品“{product}”展开分流后超过{limit}个阶段",
        Code.CATALOGUE_DIFFERS: "策略按特征目录“{name}”编写，当前目录是“{version}”",
        Code.CONTRADICTION: "条件永远不可能成立：“{name}”的要求互相矛盾",
        Code.OUTCOMES_CONTRADICT: "与“{name}”条件相同而结论不同",
        Code.ROW_WIDTH: "本行有{found}格，应有{expected}格",
        Code.ROW_UNREACHABLE: "本行永远不会命中，已被“{name}”行完全覆盖",
        Code.ROWS_OVERLAP: "本行与“{name}”行可能同时命中，而本表要求唯一命中",
        Code.EDGES_NOT_RISING: "分箱上限必须逐个增大，且只有最后一箱没有上限",
        Code.APPROVES_BY_ABSENCE: "不能因“{name}”缺失而通过",
        Code.COLLECT_SETS: "全部命中的决策表只能给出结论，不能给输出赋值",
        Code.EFFECT_EMPTY: "既没有结论也没有输出",
        Code.STATUTORY_MISSING: "缺少法定规则“{name}”",
        Code.STATUTORY_CHANGED: "法定规则“{name}”与规定文本不一致",
        Code.STATUTORY_AVOIDED: "产品“{product}”可能绕过法定规则“{name}”",
        Code.SUPPORT_DECLINES: "关联关系或人脸分等辅助信息不能单独导致拒绝，只能转人工",
        Code.USE_CANNOT_DECIDE: (
            "用途为“{use}”的策略不能决定产品：能通过申请的策略，用途必须是授信，并含全部法定规则"
        ),
        Code.PERIOD_OVER: "策略到“{day}”失效，发布后将没有策略可用",
        Code.PERIOD_AHEAD: "策略从“{day}”起才生效，现在还不能参与决策",
        Code.OUT_OF_RANGE: "此处应为 {least} 到 {most} 之间的整数",
        Code.SUBSYSTEM_TWICE: "产品“{product}”重复列出子系统“{subsystem}”",
        Code.STEP_SKIPPED: "产品“{product}”的查询批次应从 1 起连续编号，缺第 {step} 批",
        Code.PATIENCE_TOO_LONG: (
            "产品“{product}”最长要等 {seconds} 秒，超过承诺的 {limit} 秒：请缩短超时或减少次数"
        ),
        Code.SUBSYSTEM_UNKNOWN: "没有接入子系统“{subsystem}”",
        Code.PRICE_OUTSIDE: (
            "产品“{product}”的价格可能是 {found}，而它只能定在 {allowed}；公式请用取小、取大限定"
        ),
        Code.SUBSYSTEM_OFF: "“{name}”只由子系统“{subsystem}”提供，而产品“{product}”没有启用它",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake.

    Attributes:
        path: JSON path, as `$.stages[2].rules[0].when`.
        message_zh: What the analyst reads.
        words: What was put into the sentence, to say it in another language.
    """

    path: str
    code: Code
    message_zh: str
    words: tuple[tuple[str, str], ...] = ()


class StrategyInvalid(Invalid):
    """The document is no strategy; `problems` names every mistake."""

    code = "strategy-invalid"
    message_zh = "策略未通过校验，请按提示修改"

    def __init__(self, problems: "tuple[Problem, ...]") -> None:
        super().__init__(
            "; ".join(f"{each.path}: {each.code}" for each in problems),
            problems=[
                {"path": each.path, "code": each.code, "message_zh": each.message_zh}
                for each in problems
            ],
        )
        self.problems = problems


class Unreadable(Exception):
    """This part cannot be read on; the problem is already noted."""


class Problems:
    """Collects mistakes while reading goes on."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def add(self, path: str, code: Code, **words: object) -> None:
        """Note a mistake; the same one at the same place counts once."""
        said = tuple((name, str(word)) for name, word in words.items())
        sentence = SENTENCES[code].format(**words)
        problem = Problem(path=path, code=code, message_zh=sentence, words=said)
        self._found[problem] = None

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def __bool__(self) -> bool:
        return bool(self._found)
