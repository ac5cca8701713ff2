"""The `fenqi risk` commands: they read files and call risk's operations."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy.orm import Session

import risk
from desk.operations import append_audit
from desk.operations.approvals import SecondPersonNeeded
from desk.operations.documents import save_draft
from kernel.clock import business_date
from kernel.errors import Invalid
from kernel.json_once import KeyTwice, read_once
from kernel.runtime import Runtime
from risk.decisions.list_files import read_entries
from risk.decisions.listed import make_list, put_on_list, terms_of
from risk.decisions.rebuilding import rebuild_piece
from risk.decisions.replay import replay
from risk.decisions.strategies import (
    STRATEGY,
    Publication,
    prices_of,
    publish_model,
    rollback_strategy,
    strategies_in_force,
    tell_workers,
)
from risk.features.catalogue import Catalogue, read_catalogue
from risk.lifecycle.publishing import (
    mark_version_tested,
    publish_version,
    save_cases,
    tested_version,
)
from risk.ports import ProductPrices
from risk.strategy.changes import Change, RuleChange, ScoreChange
from risk.strategy.lists import MATCHES, STATUTORY_LISTS, ListKind, ListTerms
from risk.strategy.reading import read_strategy
from risk.strategy.statutory import with_statutory as with_the_pack

HOUSE_CASES: Final = Path(risk.__file__).parent / "strategies" / "house-credit.cases.json"
HOUSE_STRATEGY: Final = Path(risk.__file__).parent / "strategies" / "house-credit.json"


class FileMalformed(Invalid):
    """A file says a key twice, so nobody can tell which value was meant."""

    code = "file-malformed"
    message_zh = "文件中有重复的键"


def publish_file(
    runtime: Runtime,
    file: Path,
    author: str,
    approver: str,
    *,
    with_statutory: bool = False,
    catalogue: Catalogue | None = None,
    cases: Path | None = None,
) -> dict[str, Any]:
    """Publish a strategy, or a model under the name of its file, and tell the workers.

    With cases a strategy goes the whole way: drafted, tested by them, approved by the other person.
    Without, the very document must stand among the strategy's versions as tested.

    Raises:
        VersionUntested: It does not.
    """
    document = read_file(file)
    read_by = catalogue or read_catalogue()
    named: dict[str, Any] = {"author": author, "approver": approver, "now": runtime.clock.now()}
    with runtime.database.write() as session:
        if "form" in document:
            made = publish_model(session, name=file.stem, document=document, **named)
        else:
            document = with_the_pack(document) if with_statutory else document
            told = None if cases is None else read_file(cases)
            named["prices"] = prices_of(runtime)
            made = publish_tested(session, document, told, read_by, **named)
    tell_workers(runtime.redis)
    return asdict(made) | {"effective_on": made.effective_on.isoformat()}


def read_file(file: Path) -> Any:
    """Read a JSON file that says each key once.

    Raises:
        FileMalformed: It says one twice.
    """
    try:
        return read_once(file.read_text(encoding="utf-8"))
    except KeyTwice as error:
        raise FileMalformed(f"{file.name}: {error}") from error


def publish_tested(
    session: Session,
    document: dict[str, Any],
    cases: dict[str, Any] | None,
    catalogue: Catalogue,
    *,
    author: str,
    approver: str,
    now: datetime,
    prices: ProductPrices | None = None,
) -> Publication:
    """Take a strategy the whole way: drafted, tested by cases, approved by the other person."""
    strategy = read_strategy(document, catalogue)
    key = strategy.id
    named: dict[str, Any] = {"key": key, "catalogue": catalogue, "now": now}
    if cases is None:
        version = tested_version(session, key=key, digest=strategy.digest)
    else:
        save_cases(session, key=key, cases=cases, strategy=strategy, by=author, now=now)
        version = save_draft(session, kind=STRATEGY, key=key, body=document, author=author, now=now)
        mark_version_tested(session, version=version, by=author, **named)
    on = business_date(now)
    named["prices"] = prices
    return publish_version(session, version=version, by=approver, effective_on=on, **named)


def roll_back(runtime: Runtime, key: str, by: str, reason: str) -> dict[str, Any]:
    """Put the strategy before back in force, and tell the workers."""
    with runtime.database.write() as session:
        made = rollback_strategy(
            session,
            key=key,
            by=by,
            reason=reason,
            catalogue=read_catalogue(),
            now=runtime.clock.now(),
            prices=prices_of(runtime),
        )
    tell_workers(runtime.redis)
    return {"key": made.key, "version": made.version, "hash": made.hash}


def play_again(runtime: Runtime, decision_id: str) -> dict[str, Any]:
    """Replay a decision, and say which single change would have led to a better outcome."""
    with runtime.database.read() as session:
        played = replay(session, decision_id=decision_id, catalogue=read_catalogue())
    why_not = played.why_not
    return {
        "is_same": played.is_same,
        "decision": json.loads(played.answer),
        "would_have_changed_it": [
            {"field": each.name, "was": each.was, "value": each.value, "outcome": _word(each)}
            for each in why_not.fields
        ],
        "scores_that_would": [
            {"stage": each.stage, "was": each.was, "value": each.value, "outcome": _word(each)}
            for each in why_not.scores
        ],
        "rules_without_which_it_would": [
            {"rule": each.rule, "title": each.title, "outcome": _word(each)}
            for each in why_not.rules
        ],
    }


def _word(change: Change | ScoreChange | RuleChange) -> str:
    return change.outcome.name.lower()


def load_list_file(
    runtime: Runtime,
    name: str,
    file: Path | None,
    kind: ListKind = ListKind.TEXT,
    *,
    author: str = "",
    approver: str = "",
) -> dict[str, Any]:
    """Make a list and add the lines of a file, and tell the workers.

    Args:
        runtime: The process's.
        name: Of the list.
        file: CSV of value, source, reason and expires_on; people by their id number or phone.
        kind: What the values of a list are that is made by this; one that is there keeps its kind.
        author: Who brings the file.
        approver: Another person who read it; asked for where the list needs a second person.

    Raises:
        SecondPersonNeeded: Such a list was to be filled by one person.
        ListFileOdd: See there.
    """
    now = runtime.clock.now()
    on, text = business_date(now), file.read_text(encoding="utf-8-sig") if file else ""
    people = {author.strip(), approver.strip()}
    made = ListTerms(title=name, kind=kind, match=MATCHES[kind][0])
    with runtime.database.write() as session:
        make_list(session, name=name, now=now, terms=made)
        terms = terms_of(session, name=name)
        if text and terms.needs_second and ("" in people or len(people) == 1):
            raise SecondPersonNeeded(f"{name} is filled by an author and another approver")
        entries = read_entries(text, name=name, kind=terms.kind, cipher=runtime.cipher, on=on)
        added = put_on_list(session, entries=entries)
        if added:
            append_audit(
                session,
                actor=author or "machine:load-list",
                action="risk.list.loaded",
                subject=f"list:{name}",
                details={"added": added, "approver": approver},
                now=now,
            )
    tell_workers(runtime.redis)
    return {"list": name, "added": added}


def rebuild_links_anew(runtime: Runtime, *, say: Callable[[str], None]) -> dict[str, int]:
    """Make links and window counters anew from the facts; returns what was gone through.

    Decisions go on meanwhile. Each piece is kept by itself, so that it can be broken off.
    """
    found: dict[str, int] = {}
    while True:
        with runtime.database.write() as session:
            made = rebuild_piece(session, now=runtime.clock.now())
        if made is None:
            return found
        found[made.step] = made.done
        say(f"{made.step} {made.done}" + (f" of {made.total}" if made.total else ""))


def publish_house_strategy(runtime: Runtime) -> None:
    """Give development a strategy to begin with, if none is in force."""
    now = runtime.clock.now()
    with runtime.database.read() as session:
        if strategies_in_force(session, on=business_date(now)):
            return
    for name in STATUTORY_LISTS:
        load_list_file(runtime, name, None)
    publish_file(
        runtime, HOUSE_STRATEGY, "analyst", "manager", with_statutory=True, cases=HOUSE_CASES
    )
