"""English beside the Chinese of the templates: catalogues made ready, and the switch between both.

Chinese is the source language and needs no catalogue. What a text means is its page's business.
"""

from pathlib import Path
from tempfile import NamedTemporaryFile

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask

from kernel.logs import log


def compile_catalogues(app: Flask) -> None:
    """Compile each area's .po whose .mo is missing or older; the .mo are not committed."""
    folders = str(app.config.get("BABEL_TRANSLATION_DIRECTORIES", "")).split(";")
    for folder in folders:
        for source in (Path(app.root_path) / folder).glob("*/LC_MESSAGES/*.po"):
            target = source.with_suffix(".mo")
            is_fresh = target.exists() and target.stat().st_mtime >= source.stat().st_mtime
            if not is_fresh:
                _compile(source, target)


def _compile(source: Path, target: Path) -> None:
    with source.open("rb") as file:
        catalogue = read_po(file)
    try:
        # Another worker may do the same now: each writes aside, the last one stays.
        with NamedTemporaryFile(dir=target.parent, suffix=".tmp", delete=False) as aside:
            write_mo(aside, catalogue)
        Path(aside.name).replace(target)
    except OSError as error:
        log.warning("catalogue not compiled", catalogue=str(source), error=type(error).__name__)
