"""Apps that are made in no time, since nearly every test makes one of its own.

A server makes one app and keeps it; there the house lets Werkzeug write out how each address is
built and Jinja compile each template. A test asks for a few pages of an app and throws it away, and
spent most of its time on that: so addresses are written out when one is first built, and
templates are compiled once a run.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule


def make_quickly() -> None:
    """Let all apps of this process share compiled templates and build addresses when asked."""
    Flask.jinja_options = {"bytecode_cache": _Templates()}
    write_out = Rule._compile_builder

    def write_out_later(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
        written: list[Callable[..., Any]] = []

        def build(_rule: Rule, **values: Any) -> Any:
            if not written:
                written.append(write_out(rule, append_unknown))
            return written[0](rule, **values)

        return build

    Rule._compile_builder = write_out_later  # type: ignore[method-assign]


class _Templates(BytecodeCache):
    """Compiled templates by name, source and the language they are written in."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get(_key_of(bucket))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[_key_of(bucket)] = bucket.code


def _key_of(bucket: Bucket) -> tuple[Any, ...]:
    return bucket.key, bucket.checksum, tuple(sorted(bucket.environment.extensions))
