"""The rule book and the template book: files copied into dated, versioned rows.

Loading is safe to repeat. It never edits a rule, nor a template that a contact is bound to.
"""

import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from contact.gate import PurposeRules, Rule, check_rule, rules_in_force
from contact.messages import Template, read_template
from contact.model import Channel, Purpose
from contact.tables import Contact, ContactRule, ContactTemplate
from kernel.errors import Conflict, NotFound

_FOLDER: Final = Path(__file__).parent
RULES_FILE: Final = _FOLDER / "rules.toml"
TEMPLATES_FILE: Final = _FOLDER / "templates.toml"
HOW_READ: Final = frozenset({"full", "press", "none"})

_ACTIVE: Final = "active"
_RETIRED: Final = "retired"
_TEMPLATE_COLUMNS: Final = (
    "purpose",
    "provider_template_id",
    "title",
    "body",
    "link",
    "valid_s",
    "fields",
)
_RULE_COLUMNS: Final = ("purpose", "kind", "value", "citation", "how_read", "owner")


class RuleChanged(Conflict):
    """A rule row in the file differs from the one loaded before; a change needs a new date."""

    code = "contact-rule-changed"


class TemplateChanged(Conflict):
    """A template version differs from the one that contacts are bound to; add a version."""

    code = "contact-template-changed"


class TemplateNotInForce(NotFound):
    """The channel has no active template of that code."""

    code = "contact-template-not-in-force"


def load_rules(session: Session, *, now: datetime, path: Path = RULES_FILE) -> int:
    """Copy the rules file into dated rows.

    Returns:
        How many rows were new.

    Raises:
        RuleNotReadable: A row that the gate could not read.
        RuleChanged: A row that was loaded before with other words.
    """
    known = {(row.code, row.effective_from): row for row in session.scalars(select(ContactRule))}
    added = 0
    for given in tomllib.loads(path.read_text("utf-8"))["rule"]:
        rule = _rule_of(given)
        check_rule(rule)
        row = known.get((rule.code, rule.effective_from))
        if row is None:
            session.add(ContactRule(**given, loaded_at=now))
            added += 1
        elif any(getattr(row, column) != given[column] for column in _RULE_COLUMNS):
            raise RuleChanged(f"rule {rule.code} of {rule.effective_from}")
    session.flush()
    return added


def rules_of_day(session: Session, *, on: date) -> dict[Purpose, PurposeRules]:
    """Return what the gate goes by on a day."""
    rows = session.scalars(select(ContactRule).where(ContactRule.effective_from <= on))
    return rules_in_force(
        [
            Rule(
                code=row.code,
                purpose=row.purpose,
                kind=row.kind,
                value=row.value,
                effective_from=row.effective_from,
            )
            for row in rows
        ],
        on=on,
    )


def _rule_of(given: Mapping[str, Any]) -> Rule:
    if given["how_read"] not in HOW_READ or not given["citation"] or not given["owner"]:
        raise RuleChanged(f"rule {given['code']} lacks its source")
    return Rule(
        code=given["code"],
        purpose=given["purpose"],
        kind=given["kind"],
        value=given["value"],
        effective_from=given["effective_from"],
    )


def load_templates(session: Session, *, now: datetime, path: Path = TEMPLATES_FILE) -> int:
    """Copy the templates file into versioned rows; versions gone from it are retired.

    Returns:
        How many versions were new.

    Raises:
        TemplateNotReadable: A template that could not be rendered.
        TemplateChanged: A version that contacts are bound to was edited.
    """
    known = {
        (row.code, row.version, row.channel): row
        for row in session.scalars(select(ContactTemplate))
    }
    added = 0
    for given in tomllib.loads(path.read_text("utf-8"))["template"]:
        read_template(given)
        values = {"link": ""} | given
        row = known.pop((given["code"], given["version"], given["channel"]), None)
        if row is None:
            session.add(ContactTemplate(**values, state=_ACTIVE, loaded_at=now))
            added += 1
        else:
            _renew_template(session, row, values)
    for row in known.values():
        row.state = _RETIRED
    session.flush()
    return added


def _renew_template(session: Session, row: ContactTemplate, values: Mapping[str, Any]) -> None:
    row.state = _ACTIVE
    if all(getattr(row, column) == values[column] for column in _TEMPLATE_COLUMNS):
        return
    is_bound = session.scalar(
        select(Contact.id)
        .where(
            Contact.template_code == row.code,
            Contact.template_version == row.version,
            Contact.channel == row.channel,
        )
        .limit(1)
    )
    if is_bound is not None:
        raise TemplateChanged(f"{row.code} version {row.version} on {row.channel} is in use")
    for column in _TEMPLATE_COLUMNS:
        setattr(row, column, values[column])


def retire_template(session: Session, *, code: str, version: int, channel: Channel) -> None:
    """Take a version out of force: contacts bound to it are blocked from now on."""
    session.execute(
        update(ContactTemplate)
        .where(
            ContactTemplate.code == code,
            ContactTemplate.version == version,
            ContactTemplate.channel == channel,
        )
        .values(state=_RETIRED)
    )


TemplateKey = tuple[str, int, str]


def templates_in_force(session: Session) -> dict[TemplateKey, Template]:
    """Return the active templates by code, version and channel."""
    rows = session.scalars(select(ContactTemplate).where(ContactTemplate.state == _ACTIVE))
    return {(row.code, row.version, row.channel): _template_of(row) for row in rows}


def template_in_force(session: Session, *, code: str, channel: Channel) -> Template:
    """Return the newest active version of a template.

    Raises:
        TemplateNotInForce: There is none.
    """
    row = session.scalars(
        select(ContactTemplate)
        .where(
            ContactTemplate.code == code,
            ContactTemplate.channel == channel,
            ContactTemplate.state == _ACTIVE,
        )
        .order_by(ContactTemplate.version.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        raise TemplateNotInForce(f"no template {code} on {channel}")
    return _template_of(row)


def _template_of(row: ContactTemplate) -> Template:
    columns = ("code", "version", "channel", *_TEMPLATE_COLUMNS)
    return read_template({column: getattr(row, column) for column in columns})
