"""The picture of a journey: one SVG that moves by CSS, without a script and without fonts.

Every part appears at its second and stays until the end of the loop. Readers who asked their system
for less motion see the last state.
"""

from __future__ import annotations

from html import escape
from typing import Any

NAMESPACE = "http://www.w3.org/2000/svg"
WIDTH, HEIGHT = 960, 560
LOOP_S = 24.0
FADE_S = 0.5
COLUMNS = {"main server": 20, "queue": 335, "crypto worker": 650}
COLUMN_WIDTH = 290
TOP, COLUMN_HEIGHT = 58, 300
TABLE_TOP = 382
LINE = 17
CHARS = 34
"""Characters of a column's line, in the small fixed font."""

STYLE = """
svg { font-family: system-ui, sans-serif; font-size: 14px; }
.ground { fill: #faf8f4; } .box { fill: #fff; stroke: #ddd7cb; }
text { fill: #23211d; } .quiet { fill: #6a655c; }
.code { font: 12.5px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.plain { fill: #a12622; } .sealed { fill: #1f5f4a; } .head { font-weight: 600; font-size: 15px; }
.arrow { stroke: #1f5f4a; stroke-width: 2.5; fill: none; }
.tip { fill: #1f5f4a; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #1b1a18; } .box { fill: #242320; stroke: #3a3732; }
  text { fill: #ece8e1; } .quiet { fill: #a8a196; }
  .plain { fill: #f0958f; } .sealed { fill: #7cc4a5; }
  .arrow { stroke: #7cc4a5; } .tip { fill: #7cc4a5; }
}
@media (prefers-reduced-motion: reduce) { g { animation: none !important; } }
"""


class Scene:
    """Parts with the second at which each appears."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._times: list[float] = []

    def still(self, *shapes: str) -> None:
        """What is always there."""
        self._parts.extend(shapes)

    def at(self, second: float, *shapes: str) -> None:
        """What appears at a second of the loop."""
        name = f"t{len(self._times)}"
        self._times.append(second)
        self._parts.append(f'<g class="{name}">{"".join(shapes)}</g>')

    def svg(self, title: str, description: str) -> str:
        """The whole picture."""
        frames = []
        for number, second in enumerate(self._times):
            start = 100 * second / LOOP_S
            shown = 100 * (second + FADE_S) / LOOP_S
            frames.append(
                f"@keyframes k{number} {{ 0%, {start:.2f}% {{ opacity: 0 }} "
                f"{shown:.2f}%, 97% {{ opacity: 1 }} 100% {{ opacity: 0 }} }}\n"
                f".t{number} {{ animation: k{number} {LOOP_S:g}s linear infinite }}"
            )
        return "\n".join(
            (
                f'<svg xmlns="{NAMESPACE}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
                f"<title>{escape(title)}</title>",
                f"<desc>{escape(description)}</desc>",
                f"<style>{STYLE}{chr(10).join(frames)}</style>",
                f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="10"/>',
                *self._parts,
                "</svg>\n",
            )
        )


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """One line of text."""
    return f'<text x="{x}" y="{y}" class="{kind}" xml:space="preserve">{escape(words)}</text>'


def lines(x: float, y: float, value: str, most: int, kind: str) -> str:
    """A long value in lines of one width, cut with an ellipsis."""
    pieces = [value[start : start + CHARS] for start in range(0, len(value), CHARS)]
    if len(pieces) > most:
        pieces = [*pieces[: most - 1], pieces[most - 1][: CHARS - 1] + "…"]
    return "".join(text(x, y + LINE * row, piece, kind) for row, piece in enumerate(pieces))


def arrow(start: float, end: float, y: float) -> str:
    """A horizontal arrow."""
    back = -8 if end > start else 8
    return (
        f'<path class="arrow" d="M{start} {y}H{end}"/>'
        f'<path class="tip" d="M{end + back / 8} {y}l{back} -5v10z"/>'
    )


def draw(journey: Any) -> str:
    """The picture of a `Journey`."""
    scene = Scene()
    main, queue, worker = (x + 14 for x in COLUMNS.values())
    scene.still(text(20, 36, "The journey of one password, recorded from a real run", "head"))
    for name, x in COLUMNS.items():
        scene.still(
            f'<rect class="box" x="{x}" y="{TOP}" width="{COLUMN_WIDTH}" '
            f'height="{COLUMN_HEIGHT}" rx="8"/>',
            text(x + 14, TOP + 26, name.capitalize(), "head"),
        )
    _hashing(scene, journey, main, queue, worker)
    _storing(scene, journey)
    description = (
        "A main server asks for the hash of a password. The queue holds one sealed string. The "
        "worker opens it, hashes the password with Argon2id and seals the reply. The main server "
        "stores the hash, with which it later verifies the right password and a wrong one."
    )
    return scene.svg("The journey of one password", description)


def _hashing(scene: Scene, journey: Any, main: float, queue: float, worker: float) -> None:
    row = TOP + 52
    scene.at(
        0.5,
        text(main, row, "client.hash_password(", "code"),
        text(main, row + LINE, f'  user="{journey.user[:18]}…",', "code"),
        text(main, row + 2 * LINE, f'  password="{journey.password}",', "code plain"),
        text(main, row + 3 * LINE, ")", "code"),
    )
    scene.at(
        3.0,
        arrow(main + COLUMN_WIDTH - 22, queue - 6, row + LINE - 4),
        text(queue, row, f"{journey.task}([", "code"),
        lines(queue, row + LINE, journey.sealed_request, 4, "code sealed"),
        text(queue, row + 5 * LINE, "])", "code"),
        text(
            queue,
            row + 6 * LINE,
            f"{len(journey.request):,} bytes; the argument is sealed",
            "quiet",
        ),
    )
    steps = (
        "opens the message",
        "checks key, expiry, scope, guesses",
        "keys the password with a secret",
        journey.algorithm,
        "seals the reply",
    )
    for number, step in enumerate(steps):
        mark = (arrow(queue + COLUMN_WIDTH - 22, worker - 6, row + LINE - 4),) if not number else ()
        kind = "code" if step == journey.algorithm else ""
        scene.at(6.5 + number, *mark, text(worker, row + number * 1.5 * LINE, step, kind))
    low = TOP + 214
    scene.at(
        12.0,
        arrow(worker - 8, queue + COLUMN_WIDTH - 20, low + LINE - 4),
        lines(queue, low, journey.reply, 3, "code sealed"),
        text(
            queue,
            low + 4 * LINE,
            f"{len(journey.reply):,} bytes; only this client opens it",
            "quiet",
        ),
    )
    scene.at(
        14.5,
        arrow(queue - 8, main + COLUMN_WIDTH - 20, low + LINE - 4),
        lines(main, low, journey.stored, 4, "code"),
        text(main, low + 4 * LINE + 8, f"after {journey.hash_ms:.0f} ms", "quiet"),
    )


def _storing(scene: Scene, journey: Any) -> None:
    scene.still(
        f'<rect class="box" x="20" y="{TABLE_TOP}" width="{WIDTH - 40}" height="158" rx="8"/>',
        text(34, TABLE_TOP + 26, "What the main server's database holds", "head"),
    )
    scene.at(
        17.0,
        text(34, TABLE_TOP + 52, journey.user, "code quiet"),
        text(34, TABLE_TOP + 52 + LINE, journey.stored, "code"),
    )
    calls = (
        ("correct horse battery", journey.right, journey.right_ms),
        ("a wrong guess", journey.wrong, journey.wrong_ms),
    )
    for number, (guess, answer, waited_ms) in enumerate(calls):
        said = f'verify_password(user, "{guess}", stored)'
        scene.at(
            19.0 + 1.5 * number,
            text(34, TABLE_TOP + 104 + 24 * number, said, "code"),
            text(520, TABLE_TOP + 104 + 24 * number, f"{answer}", "code sealed"),
            text(590, TABLE_TOP + 104 + 24 * number, f"{waited_ms:.0f} ms", "quiet"),
        )
