"""What one version of a strategy changes against another, in words.

It compares documents, right or wrong, and judges nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from flask_babel import gettext

from desk.ports import Change
from risk.admin import saying, words
from risk.admin.cells import text_of
from risk.admin.names import Names
from risk.admin.values import shown
from risk.features.catalogue import Catalogue

_MOST_ROWS: Final = 30

Document = Mapping[str, Any]


def changes(before: Document | None, after: Document, catalogue: Catalogue) -> list[Change]:
    """List what differs; everything is new where there was nothing before."""
    old = before or {}
    return list(_Comparison(old, after, catalogue).all())


class _Comparison:
    def __init__(self, old: Document, new: Document, catalogue: Catalogue) -> None:
        self.old, self.new = old, new
        self.old_names, self.new_names = Names(catalogue, old), Names(catalogue, new)
        self.titles = {
            stage["id"]: str(stage.get("title") or stage["id"])
            for document in (old, new)
            for stage in document.get("stages", ())
        }

    def all(self) -> Iterator[Change]:
        for key, label in (
            ("title", gettext("策略名称")),
            ("effective_from", gettext("生效日期")),
            ("effective_to", gettext("失效日期")),
        ):
            yield from _one(label, self.old.get(key), self.new.get(key))
        uses = (words.said(words.USES, each.get("use", "")) for each in (self.old, self.new))
        yield from _one(gettext("用途"), *uses)
        yield from self._products()
        yield from self._stages()
        yield from self._listed("required", "field", gettext("必备资料"), _required)
        yield from self._listed("reasons", "code", gettext("原因码"), _reason)
        yield from self._listed("derived", "name", gettext("策略内计算"), _derived)
        yield from self._listed("outputs", "name", gettext("策略输出"), _output)
        yield from self._listed("counters", "name", gettext("时间窗口计数"), _raw)

    def _products(self) -> Iterator[Change]:
        def order(document: Document) -> dict[str, str]:
            return {
                each["product"]: " → ".join(self.titles.get(s, s) for s in each["stages"])
                for each in document.get("products", ())
            }

        old, new = order(self.old), order(self.new)
        for product in dict.fromkeys([*old, *new]):
            label = gettext("产品 %(product)s 的阶段", product=product)
            yield from _one(label, old.get(product), new.get(product))
        olds, news = _asked(self.old), _asked(self.new)
        for product in dict.fromkeys([*olds, *news]):
            label = gettext("产品 %(product)s 的外部查询", product=product)
            yield from _one(label, olds.get(product), news.get(product))

    def _listed(
        self, key: str, name: str, label: str, say: Callable[[Any, Names], str]
    ) -> Iterator[Change]:
        old = {each[name]: say(each, self.old_names) for each in self.old.get(key, ())}
        new = {each[name]: say(each, self.new_names) for each in self.new.get(key, ())}
        for each in dict.fromkeys([*old, *new]):
            said = self.new_names.field(each).label
            yield from _one(f"{label} · {said}", old.get(each), new.get(each))

    def _stages(self) -> Iterator[Change]:
        old = {stage["id"]: stage for stage in self.old.get("stages", ())}
        new = {stage["id"]: stage for stage in self.new.get("stages", ())}
        for stage_id in dict.fromkeys([*old, *new]):
            yield from self._stage(stage_id, old.get(stage_id), new.get(stage_id))

    def _stage(self, stage_id: str, old: Document | None, new: Document | None) -> Iterator[Change]:
        label = self.titles[stage_id]
        if old is None or new is None or old["kind"] != new["kind"]:
            yield from _one(gettext("阶段 %(title)s", title=label), _kind(old), _kind(new))
        old, new = old or {}, new or {}
        kind = (new or old)["kind"]
        yield from _one(f"{label} · {gettext('名称')}", old.get("title"), new.get("title"))
        if kind in {"rules", "final"}:
            yield from self._rules(label, old, new)
        elif kind == "table":
            yield from self._table(label, old, new)
        elif kind in _SAID:
            say = _SAID[kind]
            olds, news = dict(say(old, self.old_names)), dict(say(new, self.new_names))
            for part in dict.fromkeys([*olds, *news]):
                yield from _one(f"{label} · {part}", olds.get(part), news.get(part))
        else:
            yield from self._flat(label, old, new)
        if kind != "rules":
            yield from _one(f"{label} · {gettext('无法判断时')}", *map(_missing, (old, new)))

    def _rules(self, label: str, old: Document, new: Document) -> Iterator[Change]:
        olds = {rule["id"]: rule for rule in old.get("rules", ())}
        news = {rule["id"]: rule for rule in new.get("rules", ())}
        for rule_id in dict.fromkeys([*olds, *news]):
            before, after = olds.get(rule_id), news.get(rule_id)
            title = (after or before or {}).get("title") or rule_id
            if before is None or after is None:
                said = (_rule(before, self.old_names), _rule(after, self.new_names))
                yield from _one(f"{label} · {title}", *said)
                continue
            parts = (_rule_parts(before, self.old_names), _rule_parts(after, self.new_names))
            for part in parts[1]:
                yield from _one(f"{label} · {title} · {part}", parts[0][part], parts[1][part])
        ends = (saying.effect(each.get("otherwise", {}), self.new_names) for each in (old, new))
        yield from _one(f"{label} · {gettext('其余情况')}", *ends)

    def _table(self, label: str, old: Document, new: Document) -> Iterator[Change]:
        columns = (_columns(old, self.old_names), _columns(new, self.new_names))
        yield from _one(f"{label} · {gettext('条件列')}", *columns)
        policies = (words.said(words.POLICIES, each.get("policy", "")) for each in (old, new))
        yield from _one(f"{label} · {gettext('命中方式')}", *policies)
        found = list(_rows(_lines(old, self.old_names), _lines(new, self.new_names)))
        for number, before, after in found[:_MOST_ROWS]:
            where = gettext("第 %(number)s 行", number=number)
            yield from _one(f"{label} · {where}", before, after)
        if len(found) > _MOST_ROWS:
            rest = gettext("另有 %(count)s 行变化", count=len(found) - _MOST_ROWS)
            yield Change(label=label, before="", after=str(rest))

    def _flat(self, label: str, old: Document, new: Document) -> Iterator[Change]:
        olds, news = dict(_flat(old, self.old_names)), dict(_flat(new, self.new_names))
        for path in dict.fromkeys([*olds, *news]):
            yield from _one(f"{label} · {path}", olds.get(path), news.get(path))


def _asked(document: Document) -> dict[str, str]:
    """Say whom each product asks, step by step; the house's own way is nothing to speak of."""
    return {
        str(each["product"]): "；".join(map(_inquiry, each["subsystems"])) or str(gettext("不查询"))
        for each in document.get("products", ())
        if "subsystems" in each
    }


def _inquiry(use: Document) -> str:
    said = gettext(
        "第 %(step)s 批 %(name)s（%(timeout_s)s 秒 × %(attempts)s 次，无应答：%(silence)s）",
        **{key: use.get(key, "") for key in ("step", "timeout_s", "attempts")},
        name=words.subsystem(str(use.get("name", ""))),
        silence=words.said(words.SILENCE, use.get("fallback")),
    )
    return str(said)


def _one(label: str, before: Any, after: Any) -> Iterator[Change]:
    if before != after:
        texts = ["" if each is None else str(each) for each in (before, after)]
        yield Change(label=label, before=texts[0], after=texts[1])


def _kind(stage: Document | None) -> str | None:
    return str(words.word(words.STAGE_KINDS, stage["kind"])[0]) if stage else None


def _rule(rule: Document | None, names: Names) -> str | None:
    if rule is None:
        return None
    return "；".join(f"{part}：{said}" for part, said in _rule_parts(rule, names).items() if said)


def _rule_parts(rule: Document, names: Names) -> dict[str, str]:
    period = " – ".join(str(rule.get(key) or "") for key in ("effective_from", "effective_to"))
    outcome = rule.get("outcome")
    return {
        str(gettext("名称")): str(rule.get("title") or ""),
        str(gettext("条件")): saying.condition(rule.get("when"), names),
        str(gettext("结论")): str(words.word(words.OUTCOMES, outcome)[0]) if outcome else "",
        str(gettext("原因码")): str(rule.get("reason") or ""),
        str(gettext("资料缺失时")): saying.missing(rule.get("missing")),
        str(gettext("有效期")): period.strip(" –"),
        str(gettext("允许静默")): str(gettext("是")) if rule.get("may_snooze") else "",
    }


def _required(entry: Document, _: Names) -> str:
    return saying.missing(entry.get("missing"))


def _reason(entry: Document, _: Names) -> str:
    return f"{entry.get('internal', '')} / {entry.get('customer', '')}"


def _derived(entry: Document, names: Names) -> str:
    return saying.formula(entry.get("value"), names, names.field(entry["name"]).unit)


def _output(entry: Document, _: Names) -> str:
    return words.said(words.KINDS, entry.get("kind"))


def _raw(entry: Document, _: Names) -> str:
    return " ".join(str(value) for value in entry.values())


def _missing(stage: Document) -> str:
    return saying.missing(stage["missing"]) if "missing" in stage else ""


def _columns(table: Document, names: Names) -> str:
    return "、".join(names.field(each).label for each in table.get("columns", ()))


def _formulas(stage: Document, names: Names) -> Iterator[tuple[str, str]]:
    for each in stage.get("set", ()):
        field = names.field(each["output"])
        yield field.label, saying.formula(each["value"], names, field.unit)


def _points(card: Document, names: Names) -> Iterator[tuple[str, str]]:
    """Say what a card gives, one line for each characteristic."""
    for key, said in (("base", gettext("基础分")), ("missing_at_most", gettext("最多可缺"))):
        if key in card:
            yield str(said), str(card[key])
    for entry in card.get("characteristics", ()):
        field = names.field(entry["field"])
        parts = [(saying.below(each.get("below"), field), each) for each in entry["bins"]]
        parts += [(shown(each["value"], field), each) for each in entry.get("specials", ())]
        said = [f"{part} {each['points']}" for part, each in parts]
        if "missing" in entry:
            said.append(f"{gettext('缺失')} {entry['missing']}")
        yield field.label, "；".join(said)


def _bands(matrix: Document, names: Names) -> Iterator[tuple[str, str]]:
    """Say the bands of a matrix, and what follows in each cell."""
    for axis in ("rows", "columns"):
        if axis in matrix:
            field = names.field(matrix[axis]["field"])
            bands = [saying.cell(band, field, names) for band in matrix[axis]["bands"]]
            yield field.label, "；".join(bands)
    for n, line in enumerate(matrix.get("cells", ()), start=1):
        for m, cell in enumerate(line, start=1):
            where = gettext("第 %(row)s 行第 %(column)s 列", row=n, column=m)
            yield str(where), saying.effect(cell, names)


def _leaves(tree: Document, names: Names) -> Iterator[tuple[str, str]]:
    """Say what each leaf of a tree does, by the conditions that lead to it."""
    yield from _below(tree.get("root", {}), names, ())


def _below(node: Document, names: Names, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if "when" not in node:
        yield " → ".join(path) or str(gettext("所有人")), saying.effect(node, names)
        return
    said = saying.condition(node["when"], names)
    yield from _below(node["then"], names, (*path, said))
    yield from _below(node["else"], names, (*path, str(gettext("并非（%(what)s）", what=said))))


def _cases(branch: Document, names: Names) -> Iterator[tuple[str, str]]:
    """Say where each case of a branch leads, and where all others go."""
    for case in branch.get("cases", ()):
        yield saying.condition(case.get("when"), names), " → ".join(case.get("stages", ()))
    yield str(gettext("其余情况")), " → ".join(branch.get("otherwise", ()))


_SAID: Final[Mapping[str, Callable[[Document, Names], Iterator[tuple[str, str]]]]] = {
    "compute": _formulas,
    "card": _points,
    "matrix": _bands,
    "tree": _leaves,
    "branch": _cases,
}


def _lines(table: Document, names: Names) -> list[str]:
    """Write each row of a table in one line."""
    fields = [names.field(name) for name in table.get("columns", ())]
    return [
        "，".join(
            f"{field.label} {text_of(cell, field)}"
            for field, cell in zip(fields, row.get("cells", ()), strict=False)
            if cell is not None
        )
        + f" → {saying.effect(row, names)}"
        for row in table.get("rows", ())
    ]


def _rows(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, str | None, str | None]]:
    """Pair rows that were changed; each with its number, as it is now where it still is."""
    for kind, i, end_i, j, end_j in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        for n in range(max(end_i - i, end_j - j)):
            before = old[i + n] if i + n < end_i else None
            after = new[j + n] if j + n < end_j else None
            yield (j if after is not None else i) + n + 1, before, after


def _flat(part: Any, names: Names, path: str = "") -> Iterator[tuple[str, str]]:
    """Name every leaf of what has no words of its own; a condition is said as one."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key in {"id", "kind", "title", "missing"} and not path:
                continue
            inside = f"{path} {key}".strip()
            if key == "when":
                yield inside, saying.condition(value, names)
            elif key == "field":
                yield inside, names.field(value).label
            else:
                yield from _flat(value, names, inside)
    elif isinstance(part, list):
        for n, value in enumerate(part, start=1):
            yield from _flat(value, names, f"{path} {n}")
    else:
        yield path, str(part)
