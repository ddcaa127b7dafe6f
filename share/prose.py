"""Plain English: words that readers with another first language find hard, long sentences, and wide lines of code.

python -m share.prose   check the documents, the docstrings, the comments and the messages
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
LONGEST = 45  # words of a sentence
WIDEST = 80  # characters of a line of code in a document: more would be cut off or wrapped on a page

# What to write instead, by pattern.
PLAIN = {
    r"(?<!there )(?<!There )\b(?:is|are|was|were) no (?!longer|more|less|such|match)[a-z]": "is not a ..., has no ...",
    r"\bbehind (?!a |an |the |it\b)": "after",
    r"\b(?:who|what|which|where)ever\b": "everybody who, every, any",
    r"\b(?:say|says|said|tell|tells|told) (?:so|otherwise)\b": "name the verb: a test enforces it, a message names it",
    r"\b(?:all|nothing|none|no \w+|or) but\b": "except, only, exactly",
    r"\bgo(?:es)? on (?:with|at|behind|where|to|after)\b": "continue",
    r"\bas good\b": "also",
    r"\blikewise\b": "also, the same",
    r"\bpassed over\b": "skipped",
    r"\bof no use\b": "useless",
    r"\bis (?:said|meant so|asked for it)\b": "name who does it: a warning gives ...",
    r"\b(?:signatures?|URLs?|links?|KeyTime|keys) holds?\b": "is valid",
    r"(?:^|[.:;] )Who [a-z]": "callers, clients, readers",
    r"\bfor whom\b|\bwherein\b|\bthereof\b|\bhence\b|\bthus\b": "a shorter word",
    r"\butili[sz]e|\bleverage\b": "use",
    r"\bsimply\b|\bof course\b|\bobviously\b": "nothing: leave it out",
}
_PATTERNS = [(re.compile(pattern), plain) for pattern, plain in PLAIN.items()]
_DOCUMENTS = ("*.md", "docs/*.md", "docs/**/*.md")
_CODE = ("src/*.py", "src/*.pyx", "src/*.pyi", "src/*.c", "src/*.h", "examples/*.py", "share/*.py", "bench/*.py")
_LEFT_OUT = {"share/prose.py"}


def files(patterns: tuple[str, ...]) -> Iterator[Path]:
    """The files of the repository that match."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if name not in _LEFT_OUT and (ROOT / name).exists():
            yield ROOT / name


def document_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of prose in a document: without blocks of code, drawings, code within a line, and addresses."""
    is_code = is_drawing = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        is_drawing = is_drawing or line.startswith("<svg")
        if not (is_code or is_drawing):
            yield number, re.sub(r"`[^`]*`|\]\([^)]*\)", "`", line)
        is_drawing = is_drawing and "</svg>" not in line


def python_lines(text: str) -> Iterator[tuple[int, str]]:
    """The comments and the texts of a Python file, by lines."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING) or token.type == getattr(tokenize, "FSTRING_MIDDLE", -1):
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line


def other_lines(text: str) -> Iterator[tuple[int, str]]:
    """The comments and the texts of C and Cython, by lines, as far as a line shows them."""
    is_text = False
    for number, line in enumerate(text.splitlines(), 1):
        quotes = len(re.findall('"""', line))
        if is_text or quotes or re.search(r'//|/\*|^\s*\*|#|".*"', line):
            yield number, line
        is_text ^= quotes % 2 == 1


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """The sentences of a document's paragraphs and lists, with their first lines."""
    start, words = 0, ""
    for number, line in [*document_lines(text), (0, "")]:
        is_new = not line.strip() or re.match(r"\s*(?:[-*#|!]|\d+\.) ?|\s*\|", line)
        if is_new and words:
            yield from ((start, each) for each in re.split(r"(?<=[.!?:;]) ", words))
            words = ""
        if line.strip() and not line.lstrip().startswith("|"):
            start = start if words else number
            words += " " + line.strip()


def problems(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the text of each problem in a file."""
    text = path.read_text("utf-8")
    kinds = {".md": document_lines, ".py": python_lines, ".pyi": python_lines}
    for number, line in kinds.get(path.suffix, other_lines)(text):
        for pattern, plain in _PATTERNS:
            if match := pattern.search(line):
                yield number, f"{match[0].strip()!r}: write {plain}"
    if path.suffix == ".md":
        is_code = False
        for number, line in enumerate(text.splitlines(), 1):
            is_code ^= line.startswith("```")
            if is_code and len(line) > WIDEST:
                yield number, f"a line of code has {len(line)} characters, more than {WIDEST}"
        for number, sentence in sentences(text):
            if len(sentence.split()) > LONGEST:
                yield number, f"a sentence has {len(sentence.split())} words, more than {LONGEST}: {sentence[:60]}..."


def main() -> int:
    count = 0
    for path in files(_DOCUMENTS + _CODE):
        for number, problem in problems(path):
            print(f"{path.relative_to(ROOT)}:{number}: {problem}")
            count += 1
    if count:
        print(f"{count} places are not plain English; see CONTRIBUTING.md", file=sys.stderr)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
