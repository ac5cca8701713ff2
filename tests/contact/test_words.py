"""Every word of contact's staff pages can be said in English, and every code has a word."""

from wording import CHINESE, ROOT, catalogue, left_unmarked, literals, marked

from contact import words
from contact.gate import Reason
from contact.model import Channel, Purpose, State, Step, TransitionRefused
from contact.operations import ContactNotFound

TEMPLATES = ROOT / "contact/templates"
MODULES = ("contact/admin.py", "contact/words.py")


def said() -> set[str]:
    refusals = {ContactNotFound.message_zh, TransitionRefused.message_zh}
    return marked(TEMPLATES) | literals(map(ROOT.joinpath, MODULES)) | refusals


def test_every_text_is_translated() -> None:
    known = catalogue("desk", "contact")
    assert "触达" in said()
    assert {text for text in said() if CHINESE.search(text) and not known.get(text)} == set()


def test_no_translation_is_left_over() -> None:
    everything = said() | literals((ROOT / "contact").rglob("*.py"))
    assert set(catalogue("contact")) - everything == {""}


def test_templates_hold_no_untranslatable_chinese() -> None:
    assert list(left_unmarked(TEMPLATES)) == []


def test_every_code_has_a_word() -> None:
    assert set(words.PURPOSES) == set(Purpose)
    assert set(words.CHANNELS) == set(Channel)
    assert set(words.STATES) == set(State)
    assert set(Step) <= set(words.STEPS)
    assert set(Reason) <= set(words.REASONS)
