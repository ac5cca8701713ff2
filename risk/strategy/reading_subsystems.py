"""Reads which sub-systems a product asks: in which step, how patiently, and what silence means.

Whether there are such sub-systems, and whether those left out are needed, is another question:
see `risk.strategy.supplying`.
"""

from collections import Counter
from typing import Final

from risk.strategy.language import OnMissing, SubsystemUse, patience_s
from risk.strategy.nodes import Node, attempt
from risk.strategy.problems import Code

PROMISED_S: Final = 300  # what applicants are promised, as risk.ports has it
MOST_STEPS: Final = 5
LONGEST_CALL_S: Final = 60
MOST_ATTEMPTS: Final = 5


def read_subsystems(document: Node) -> dict[str, tuple[SubsystemUse, ...]]:
    """Read the sub-systems of every product that names its own; an empty list asks nobody."""
    products = document.value["products"]
    if not isinstance(products, list):
        return {}
    found = {}
    for n, entry in enumerate(products):
        node = Node(entry, f"{document.path}.products[{n}]", document.problems)
        if isinstance(entry, dict) and "subsystems" in entry:
            uses = attempt(_uses, node)
            if uses is not None:
                found[str(entry.get("product"))] = uses
    return found


def _uses(product: Node) -> tuple[SubsystemUse, ...]:
    node = product.at("subsystems")
    if node.value == []:
        return ()
    uses = node.each(_use)
    name = product.value.get("product")
    for each, count in Counter(use.name for use in uses).items():
        if count > 1:
            node.note(Code.SUBSYSTEM_TWICE, product=name, subsystem=each)
    steps = {use.step for use in uses}
    for step in range(1, max(steps)):
        if step not in steps:
            node.note(Code.STEP_SKIPPED, product=name, step=step)
    seconds = patience_s(uses)
    if seconds > PROMISED_S:
        node.note(Code.PATIENCE_TOO_LONG, product=name, seconds=seconds, limit=PROMISED_S)
    return tuple(sorted(uses, key=lambda use: use.step))


def _use(node: Node) -> SubsystemUse:
    node.keys("name step timeout_s attempts fallback")
    return SubsystemUse(
        name=node.name("name"),
        step=_within(node, "step", MOST_STEPS),
        timeout_s=_within(node, "timeout_s", LONGEST_CALL_S),
        attempts=_within(node, "attempts", MOST_ATTEMPTS),
        fallback=node.word("fallback", OnMissing),
    )


def _within(node: Node, key: str, most: int) -> int:
    found = node.whole(key)
    return found if 1 <= found <= most else node.at(key).fail(Code.OUT_OF_RANGE, least=1, most=most)
