"""Whether a product asks the sub-systems that its stages need, and only ones that there are.

It knows of a sub-system its name and the dimensions that it may answer; whoever publishes gives
them. What no sub-system answers comes from elsewhere and is none of its business.
"""

from collections.abc import Collection, Mapping

from risk.strategy.language import Model, OnMissing, Strategy
from risk.strategy.problems import Code, Problem, Problems
from risk.strategy.walking import names_read, stages_run, unique, with_sources


def unsupplied(
    strategy: Strategy,
    *,
    supplies: Mapping[str, Collection[str]],
    features: Mapping[str, Collection[str]],
) -> tuple[Problem, ...]:
    """Say what is wrong with the choice of sub-systems; empty if nothing is.

    A product that says nothing of them asks all, so nothing can be lacking.

    Args:
        strategy: Read and checked.
        supplies: The dimensions that each sub-system may answer, by its name.
        features: What each model reads, by its name; a model that is not there reads nothing.
    """
    problems = Problems()
    for n, product in enumerate(strategy.products):
        uses = strategy.subsystems.get(product)
        if uses is None:
            continue
        path = f"$.products[{n}].subsystems"
        for m, use in enumerate(uses):
            if use.name not in supplies:
                problems.add(f"{path}[{m}].name", Code.SUBSYSTEM_UNKNOWN, subsystem=use.name)
            elif use.fallback is OnMissing.DECLINE and _is_support(strategy, supplies[use.name]):
                problems.add(f"{path}[{m}].fallback", Code.SUPPORT_DECLINES)
        asked = {use.name for use in uses}
        for name in needed(strategy, product, features=features):
            givers = [giver for giver, fields in supplies.items() if name in fields]
            if givers and not asked & set(givers):
                words = {"name": name, "subsystem": givers[0], "product": product}
                problems.add(path, Code.SUBSYSTEM_OFF, **words)
    return tuple(problems)


def needed(
    strategy: Strategy, product: str, *, features: Mapping[str, Collection[str]]
) -> tuple[str, ...]:
    """Name what a product reads, with what its derived values and counters come from."""
    names = [required.name for required in strategy.required]
    for stage_id in stages_run(strategy, strategy.products[product]):
        stage = strategy.stages[stage_id]
        names += names_read(stage)
        if isinstance(stage, Model):
            names += features.get(stage.model, ())
    found = with_sources(names, dict(strategy.derived))
    by = {counter.name: counter.by for counter in strategy.counters}
    return unique((*found, *(by[name] for name in found if name in by)))


def _is_support(strategy: Strategy, fields: Collection[str]) -> bool:
    """Say whether a sub-system answers nothing but what never declines anybody alone."""
    return bool(fields) and set(fields) <= strategy.support
