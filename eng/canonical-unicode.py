"""Writes src/Inference/Tokenization/Unicode/canonical.txt from Python's copy of the Unicode character database.

The product runs without ICU, so it carries the canonical decompositions and combining classes that NFC needs.
"""

import pathlib
import sys
import unicodedata

HANGUL = range(0xAC00, 0xD7A4)
target = pathlib.Path(__file__).parent.parent / "src/Inference/Tokenization/Unicode/canonical.txt"

lines = [f"# Unicode {unicodedata.unidata_version}, by eng/canonical-unicode.py"]
lines.append("# class: first-last class")
start = None
for code in range(sys.maxunicode + 2):
    combining = unicodedata.combining(chr(code)) if code <= sys.maxunicode else 0
    if start is not None and combining != start[1]:
        lines.append(f"{start[0]:X}-{code - 1:X} {start[1]}")
        start = None
    if combining and start is None:
        start = (code, combining)
lines.append("# decomposition: character=parts, with ! when NFC does not compose it again")
for code in range(sys.maxunicode + 1):
    parts = unicodedata.decomposition(chr(code))
    if parts and not parts.startswith("<") and code not in HANGUL:
        composed = "" if unicodedata.normalize("NFC", chr(code)) == chr(code) else "!"
        lines.append(f"{code:X}={parts}{composed}")
target.write_text("\n".join(lines) + "\n")
