"""From a template, facts and debts to the words that leave the house.

It is pure. Which template is in force and whether the message may go out is decided elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from string import Formatter
from typing import Any, Final

from contact.fields import FieldType, cut_to_type, fits, type_of
from contact.model import Channel, Debt, Purpose
from kernel.errors import Invalid
from kernel.money import plain_yuan, yuan


class TemplateNotReadable(Invalid):
    """A template does not say what it must, or says what its channel cannot."""

    code = "contact-template-not-readable"


class FieldNotFilled(Invalid):
    """A fact is missing, or a value does not fit the provider's field."""

    code = "contact-field-not-filled"


_SMS_TYPES: Final = frozenset({FieldType.TEXT, FieldType.DIGITS, FieldType.AMOUNT})
_HIDDEN: Final = "******"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One blank of a provider's template.

    Attributes:
        value: Text with `{names}` to fill in.
        label: What stands before it on the provider's card, or empty.
        is_secret: Whether its value is stored encrypted and never shown again.
    """

    name: str
    type: FieldType
    value: str
    label: str = ""
    is_secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One version of a text on a channel.

    Attributes:
        provider_template_id: The provider's number of it; empty for free text.
        body: What the person reads, for our records and for free-text channels.
        link: Path of the page that it opens, or empty.
        valid_s: How long an answer made from it is worth sending.
    """

    code: str
    version: int
    channel: Channel
    purpose: Purpose
    provider_template_id: str
    title: str
    body: str
    link: str
    valid_s: int
    fields: tuple[Field, ...]

    @property
    def secrets(self) -> frozenset[str]:
        """Names of facts that are stored encrypted."""
        return frozenset(
            name for field in self.fields if field.is_secret for name in _names(field.value)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Words ready to leave: values for the provider's blanks, and the text for our records."""

    values: Mapping[str, str]
    body: str
    record: str


def read_template(row: Mapping[str, Any]) -> Template:
    """Read a template as the file or the table gives it.

    Raises:
        TemplateNotReadable: Something is missing, or a field does not suit the channel.
    """
    try:
        template = Template(
            code=row["code"],
            version=int(row["version"]),
            channel=Channel(row["channel"]),
            purpose=Purpose(row["purpose"]),
            provider_template_id=row["provider_template_id"],
            title=row["title"],
            body=row["body"],
            link=row.get("link", ""),
            valid_s=int(row["valid_s"]),
            fields=tuple(_read_field(field) for field in row["fields"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TemplateNotReadable(f"template {row.get('code')!r} cannot be read") from error
    _check_channel(template)
    return template


def _read_field(row: Mapping[str, Any]) -> Field:
    return Field(
        name=row["name"],
        type=FieldType(row["type"]),
        value=row["value"],
        label=row.get("label", ""),
        is_secret=bool(row.get("secret", False)),
    )


def _check_channel(template: Template) -> None:
    is_free_text = template.channel is Channel.WECHAT_MESSAGE
    if is_free_text == bool(template.provider_template_id):
        raise TemplateNotReadable(f"{template.code}: only templates have a provider's number")
    for field in template.fields:
        if is_free_text or not _suits(template.channel, field):
            raise TemplateNotReadable(f"{template.code}: field {field.name} does not suit")


def _suits(channel: Channel, field: Field) -> bool:
    """Whether a channel has such a field; WeChat's own names tell their type."""
    if channel is Channel.SMS:
        return field.type in _SMS_TYPES
    return type_of(field.name) is field.type


def render(template: Template, *, facts: Mapping[str, Any], debts: Sequence[Debt]) -> Message:
    """Fill a template.

    Args:
        template: The version that the contact is bound to.
        facts: What was known at planning; secrets in the clear.
        debts: What is still owed now; its amounts win over facts of the same name.

    Raises:
        FieldNotFilled: A name has no value, or a value does not fit its field.
    """
    names = _fact_names(facts) | (_debt_names(debts) if debts else {})
    hidden = {name: _HIDDEN for name in template.secrets if name in names}
    return Message(
        values={field.name: _fill_field(field, names) for field in template.fields},
        body=_fill(template.body, names),
        record=_fill(template.body, names | hidden),
    )


def debts_meant(facts: Mapping[str, Any], debts: Sequence[Debt]) -> tuple[Debt, ...]:
    """Keep the debts that a contact is about: those due by the `due_on` of its facts, if any."""
    if "due_on" not in facts:
        return tuple(debts)
    due_on = date.fromisoformat(facts["due_on"])
    return tuple(debt for debt in debts if debt.due_on <= due_on)


def _fact_names(facts: Mapping[str, Any]) -> dict[str, str]:
    names: dict[str, str] = {}
    for name, value in facts.items():
        if name.endswith("_fen"):
            names |= _money(name.removesuffix("_fen"), int(value))
        elif name.endswith("_on"):
            names[name] = _day(date.fromisoformat(value))
        else:
            names[name] = str(value)
    return names


def _debt_names(debts: Sequence[Debt]) -> dict[str, str]:
    label = debts[0].label if len(debts) == 1 else f"{len(debts)}笔"
    return _money("amount", sum(debt.amount_fen for debt in debts)) | {
        "count": str(len(debts)),
        "due_on": _day(min(debt.due_on for debt in debts)),
        "days_past_due": str(max(debt.days_past_due for debt in debts)),
        "label": label,
    }


def _money(name: str, fen: int) -> dict[str, str]:
    return {name: yuan(fen), f"{name}_plain": plain_yuan(fen)}


def _day(on: date) -> str:
    return f"{on.year}年{on.month}月{on.day}日"


def _fill_field(field: Field, names: Mapping[str, str]) -> str:
    # Shops name their goods; a line end in a name must not keep its owner from being told.
    value = cut_to_type(field.type, " ".join(_fill(field.value, names).split()))
    if not fits(field.type, value):
        raise FieldNotFilled(f"field {field.name} takes no such {field.type}")
    return value


def _names(pattern: str) -> set[str]:
    return {name for _text, name, _spec, _conversion in Formatter().parse(pattern) if name}


def _fill(pattern: str, names: Mapping[str, str]) -> str:
    # str.format would reach into attributes; facts may only stand where a bare name stands.
    missing = _names(pattern) - names.keys()
    if missing:
        raise FieldNotFilled(f"no value for {', '.join(sorted(missing))}")
    return "".join(
        text + (names[name] if name else "")
        for text, name, _spec, _conversion in Formatter().parse(pattern)
    )
