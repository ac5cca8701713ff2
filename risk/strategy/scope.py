"""Which names a strategy may read, of which kind, and which it does read.

It decides on single names; whether an output is set before it is read is checked elsewhere.
"""

from collections.abc import Collection
from typing import Final

from risk.features.catalogue import Catalogue, Dimension, Kind, Store, Use
from risk.strategy.nodes import Node
from risk.strategy.problems import Code

_ALL: Final = frozenset(Kind)


class Scope:
    """The names in reach of a strategy.

    Args:
        catalogue: Its dimensions can be named if they allow the use.
        use: What the strategy decides on.
    """

    def __init__(self, catalogue: Catalogue, use: Use) -> None:
        self.use: Final = use
        self.kinds: Final[dict[str, Kind]] = {each.name: each.kind for each in catalogue.dimensions}
        self.outputs: Final[dict[str, Kind]] = {}
        self.reasons: Final[set[str]] = set()
        self.stages: Final[set[str]] = set()
        self.ids: Final[set[str]] = set()
        self.inputs: Final[dict[str, None]] = {}
        self._catalogue = catalogue
        self._counters: set[str] = set()

    def declare(self, node: Node, kind: Kind) -> str:
        """Take a new name into reach: a derived value or an output."""
        name = node.as_name()
        if name in self.kinds:
            node.fail(Code.NAME_TAKEN, name=name)
        self.kinds[name] = kind
        return name

    def declare_counter(self, node: Node) -> str:
        """Take a counter into reach."""
        name = self.declare(node, Kind.NUMBER)
        self._counters.add(name)
        return name

    def declare_output(self, node: Node, kind: Kind) -> str:
        """Take an output into reach."""
        name = self.declare(node, kind)
        self.outputs[name] = kind
        return name

    def identify(self, node: Node) -> str:
        """Read an id that nothing else has."""
        name = node.as_name()
        if name in self.ids:
            node.fail(Code.ID_TAKEN, name=name)
        self.ids.add(name)
        return name

    def read(self, node: Node, kinds: Collection[Kind] = _ALL) -> tuple[str, Kind]:
        """Read a name whose value is looked at, and note it as an input.

        Raises:
            Unreadable: It is unknown, of another kind, or must not be looked at.
        """
        name = node.as_name()
        if name not in self.kinds:
            node.fail(Code.FIELD_UNKNOWN, name=name)
        kind = self.kinds[name]
        if kind not in kinds:
            node.fail(Code.KIND_DIFFERS, name=name, kind=kind)
        dimension = self.dimension(name)
        if dimension is not None:
            self._check(node, dimension)
        if dimension is not None or name in self._counters:
            self.inputs[name] = None
        return name, kind

    def output(self, node: Node) -> tuple[str, Kind]:
        """Read the name of an output that is set here."""
        name = node.as_name()
        if name not in self.outputs:
            node.fail(Code.OUTPUT_UNKNOWN, name=name)
        return name, self.outputs[name]

    def reason(self, node: Node) -> str:
        """Read a reason code that the strategy declares."""
        name = node.as_name()
        if name not in self.reasons:
            node.fail(Code.REASON_UNKNOWN, name=name)
        return name

    def dimension(self, name: str) -> Dimension | None:
        """Return the dimension of a name, None for a counter, derived value or output."""
        return self._catalogue.by_name.get(name)

    def _check(self, node: Node, dimension: Dimension) -> None:
        if self.use not in dimension.allowed_uses:
            node.fail(Code.USE_NOT_ALLOWED, name=dimension.name, use=self.use)
        if dimension.store is Store.COARSE:
            node.fail(Code.FIELD_NOT_EXACT, name=dimension.name)
