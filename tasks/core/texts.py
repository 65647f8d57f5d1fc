"""Text files as people's programs write them: in any encoding that has a mark (BOM), or else in UTF-8."""

import codecs

MARKS = (  # UTF-32 before UTF-16, whose mark it begins with
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
    *((b"+/v" + last, "utf-7") for last in (b"8", b"9", b"+", b"/")),  # it shares a letter with what follows
)
LOOKED_AT_BYTES = 4096


def decoded(content: bytes, errors: str = "strict") -> str:
    """The text of a file, without its mark and without NUL.

    errors: as of bytes.decode.  Errors: UnicodeDecodeError if they are strict
    """
    encoding = next((encoding for mark, encoding in MARKS if content.startswith(mark)), None) or unmarked(content)
    return content.decode(encoding, errors).removeprefix("\ufeff").replace("\0", "")


def unmarked(content: bytes) -> str:
    """UTF-16 without a mark shows itself by zeros at every other byte, where the letters are Latin; else UTF-8."""
    start = content[:LOOKED_AT_BYTES]
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = start[first::2].count(0), start[1 - first :: 2].count(0)
        if zeros > len(start) / 4 and not others:
            return encoding
    return "utf-8"
