"""Every word of contact's staff pages can be said in English, and every code has a word."""

from wording import CHINESE, ROOT, catalogue, left_unmarked, literals, marked

from contact import admin
from contact.gate import Reason
from contact.model import Channel, Purpose, State, Step, TransitionRefused
from contact.operations import ContactNotFound

TEMPLATES = ROOT / "contact/templates"


def said() -> set[str]:
    refusals = {ContactNotFound.message_zh, TransitionRefused.message_zh}
    return marked(TEMPLATES) | literals([ROOT / "contact/admin.py"]) | refusals


def test_every_text_is_translated() -> None:
    known = catalogue("desk", "contact")
    assert "触达" in said()
    assert {words for words in said() if CHINESE.search(words) and not known.get(words)} == set()


def test_no_translation_is_left_over() -> None:
    assert set(catalogue("contact")) - said() == {""}


def test_templates_hold_no_untranslatable_chinese() -> None:
    assert list(left_unmarked(TEMPLATES)) == []


def test_every_code_has_a_word() -> None:
    assert set(admin.PURPOSES) == set(Purpose)
    assert set(admin.CHANNELS) == set(Channel)
    assert set(admin.STATES) == set(State)
    assert set(Step) <= set(admin.STEPS)
    assert set(Reason) <= set(admin.REASONS)
