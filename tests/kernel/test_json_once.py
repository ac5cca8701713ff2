import json

import pytest

from kernel.json_once import KeyTwice, read_once, told_once


def test_an_object_that_says_each_key_once_is_read() -> None:
    text = '{"a": {"b": 1}, "c": [{"b": 2}]}'
    assert json.loads(text, object_pairs_hook=told_once) == {"a": {"b": 1}, "c": [{"b": 2}]}


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '{"b": {"a": 1, "c": 2, "a": 3}}'])
def test_a_key_that_stands_twice_is_refused_by_name(text: str) -> None:
    with pytest.raises(KeyTwice) as refused:
        json.loads(text, object_pairs_hook=told_once)
    assert refused.value.key == "a"


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ('{"a": 1,\n "b": {"a": 2},\n "a"\n: 3}', "a", 3),
        ('[{"a": 1}, {"a": {"c": "{\\"a\\": 1"}},\n{"x": "}", "x": 1}]', "x", 2),
        ('{"\\u0061": 1, "a": 2}', "a", 1),
        ('{"a": {"b": 1,\n\n"b": 2}, "a": 3}', "b", 3),
    ],
)
def test_a_text_is_refused_with_key_and_line(text: str, key: str, line: int) -> None:
    with pytest.raises(KeyTwice, match=f"again in line {line}") as refused:
        read_once(text)
    assert (refused.value.key, refused.value.line) == (key, line)


def test_a_text_that_says_each_key_once_is_read() -> None:
    assert read_once('{"a": [{"a": 1}, "a"]}') == {"a": [{"a": 1}, "a"]}
    with pytest.raises(ValueError, match="Expecting"):
        read_once('{"a": }')
