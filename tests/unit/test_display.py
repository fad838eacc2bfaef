"""An office's text stays text: it cannot control the terminal, on any way to the screen."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from metaalexport import cli
from metaalexport import harmless as harmless_module
from metaalexport.commands import screen as screen_module
from metaalexport.display import TextConsole, make_table
from metaalexport.harmless import harmless

# Sets the window title, clears the screen, moves back in the line, reverses its direction; the last is C1's CSI.
HOSTILE = "tin\x1b]0;owned\x07\x1b[2J\r\b\x00\x7f\u202eedoc\u2066\x9b31m [red]x[/] [/nothing] :bomb:"
SHOWN = "tin]0;owned[2Jedoc31m [red]x[/] [/nothing] :bomb:"
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
PACKAGE = Path(cli.__file__).parent


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def console() -> TextConsole:
    return TextConsole(file=Screen(), force_terminal=True, color_system=None, width=150)


def said(on: TextConsole) -> str:
    assert isinstance(on.file, Screen)
    return on.file.getvalue()


def test_control_codes_are_removed_and_the_rest_is_shown() -> None:
    assert harmless(HOSTILE) == SHOWN
    assert harmless("Bézier – 鉄\n\t½") == "Bézier – 鉄\n\t½"


@pytest.mark.parametrize("soft_wrap", [False, True])
def test_message_contains_no_control_code(soft_wrap: bool) -> None:
    screen = console()
    screen.print(HOSTILE, soft_wrap=soft_wrap)
    assert said(screen) == f"{SHOWN}\n"


def test_table_text_contains_no_control_code_and_stays_aligned() -> None:
    screen = console()
    screen.print(make_table((HOSTILE, "n"), [(HOSTILE, 1), ("tin", 22)], title=HOSTILE))
    assert OBEYED.findall(said(screen)) == []
    assert said(screen).count(SHOWN) == 3
    _, *lines = said(screen).splitlines()
    assert len({cell_len(line) for line in lines}) == 1


def test_rules_and_a_status_contain_no_control_code() -> None:
    screen = console()
    screen.rule(HOSTILE)
    with screen.status("busy"):
        pass
    screen.print(HOSTILE, style="red")
    # The status itself hides and shows the cursor.
    left = re.sub(r"\x1b\[(\?25[lh]|1A|2K)|\r", "", said(screen))
    assert OBEYED.findall(left) == []


def test_own_styles_are_kept() -> None:
    screen = TextConsole(file=Screen(), force_terminal=True, color_system="standard", width=150, legacy_windows=False)
    screen.print(HOSTILE, style="red")
    assert said(screen) == f"\x1b[31m{SHOWN}\x1b[0m\n"


def test_result_has_no_control_code_on_the_screen_and_is_exact_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"{HOSTILE},1\n"
    for target, expected in ((Screen(), f"{SHOWN},1\n"), (io.StringIO(), line)):
        monkeypatch.setattr("sys.stdout", target)
        screen_module.write_out([line])
        assert target.getvalue() == expected


def test_prompt_filter_passes_text_and_removes_control_codes() -> None:
    """Start it as the prompt does: by its path, without the installed packages."""
    done = subprocess.run(
        [sys.executable, "-IS", harmless_module.__file__],
        input=f"{HOSTILE}\r\n鉄\t½\n".encode() + b"\xff",
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert (done.stdout.decode(), done.stderr) == (f"{SHOWN}\n鉄\t½\n\ufffd", b"")


def test_all_output_goes_through_one_console() -> None:
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name != "display.py":
            assert not re.search(r"(?<!Text)Console\(|rich\.print|from rich\.console", text), path.name
        # Text written past the consoles is this program's own, or goes through `write_out`.
        written = re.findall(r"sys\.std(?:out|err)\.write\((.*)\)$", text, re.MULTILINE)
        assert set(written) <= {
            'f"{stopping.explain()}\\n"',
            'f"{explain()}\\n"',
            "harmless(line) if is_screen else line",
        }
