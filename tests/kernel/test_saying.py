"""Pages say texts of the house and words that people wrote, and mistake neither for the other."""

import pytest
from flask import Flask, render_template_string

from kernel.runtime import Runtime
from kernel.web import create_base_app


@pytest.fixture
def app(runtime: Runtime) -> Flask:
    return create_base_app(runtime)


def said(app: Flask, template: str, **given: object) -> str:
    with app.test_request_context():
        return render_template_string(template, **given)


@pytest.mark.parametrize("written", ["人脸相似度低于 60%", "100%s", "%(x)s", "%"])
def test_what_people_wrote_is_no_pattern(app: Flask, written: str) -> None:
    assert said(app, "{{ _(written) }}", written=written) == written


def test_what_people_wrote_is_escaped(app: Flask) -> None:
    assert said(app, "{{ _(written) }}", written="<b>") == "&lt;b&gt;"
    assert said(app, "{{ _('给 %(who)s', who=who) }}", who="<b>") == "给 &lt;b&gt;"


def test_values_stand_in_their_places(app: Flask) -> None:
    assert said(app, "{{ _('年利率 %(rate)s%%', rate=rate) }}", rate=18) == "年利率 18%"


def test_nothing_is_said_of_nothing(app: Flask) -> None:
    assert said(app, "{{ _('') }}{{ _(none) }}", none=None) == ""
