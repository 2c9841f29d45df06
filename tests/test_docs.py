"""Every program on the documentation's pages runs and prints what the page says."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = re.search(r"^## Layers.*?(?=^## )", (ROOT / "README.md").read_text("utf8"), flags=re.MULTILINE | re.DOTALL)
PAGES = {"README": LAYERS[0]} | {
    name: (ROOT / "docs" / f"{name}.md").read_text("utf8") for name in ("decoding", "layers")
}
PROGRAM = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", flags=re.DOTALL)


def programs():
    """Each program of each page, and what it prints."""
    for page, text in PAGES.items():
        for number, match in enumerate(PROGRAM.finditer(text), start=1):
            yield pytest.param(match[1], match[2] or "", id=f"{page} {number}")


@pytest.mark.parametrize(("program", "printed"), programs())
def test_a_program_prints_what_the_page_says(program, printed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = Path("program.py")
    file.write_text(program, "utf8")
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(program, str(file), "exec"), {"__name__": "program"})
    assert output.getvalue() == printed
