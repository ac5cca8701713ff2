import json

import pytest

from kernel.json_once import KeyTwice, told_once


def test_an_object_that_says_each_key_once_is_read() -> None:
    text = '{"a": {"b": 1}, "c": [{"b": 2}]}'
    assert json.loads(text, object_pairs_hook=told_once) == {"a": {"b": 1}, "c": [{"b": 2}]}


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '{"b": {"a": 1, "c": 2, "a": 3}}'])
def test_a_key_that_stands_twice_is_refused_by_name(text: str) -> None:
    with pytest.raises(KeyTwice) as refused:
        json.loads(text, object_pairs_hook=told_once)
    assert refused.value.key == "a"
