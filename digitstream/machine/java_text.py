"""Text for and from Java programs: files that they read in any locale, and their error messages."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ERROR = re.compile(r"(?:^|\s)(?:[\w$]+\.)+\w*(?:Exception|Error)\b:?\s*(.*)")

# What Java and its launcher read.
_READ = (
    "DYLD_LIBRARY_PATH",
    "JAVA_HOME",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LD_LIBRARY_PATH",
    "PATH",
    "TMPDIR",
    "TZ",
)


def properties_text(text: str) -> bytes:
    """The bytes of a .properties file, which Java reads as Latin-1: `\\uXXXX` for other characters,
    two backslashes for one.
    """
    units = text.replace("\\", "\\\\").encode("utf-16-be", "surrogatepass")
    codes = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes).encode()


def utf8_locale(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that make a JVM read file names as UTF-8, as Python does in any locale.

    Java 17 goes by the locale, and in the C locale finds no file whose name is not ASCII.
    """
    chosen = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    if re.search(r"utf-?8$", chosen, re.IGNORECASE):
        return {"LC_ALL": chosen}
    return {"LC_ALL": "C.UTF-8"}


def lasting_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a JVM that outlives the program that starts it: those that Java and its
    launcher read, and not the program's other variables, which may be secrets.
    """
    return {name: environ[name] for name in _READ if name in environ} | utf8_locale(environ)


def reason(output: str) -> str:
    """The error in a Java program's output: the last one of its trace, else its last line."""
    errors = [match[1].strip() for match in map(_ERROR.search, output.splitlines()) if match]
    spoken = [line.strip() for line in output.splitlines() if not line.lstrip().startswith("at ")]
    sentences = [text for text in (*spoken[-1:], *errors) if text]
    return sentences[-1].rstrip(".") if sentences else "it said nothing"
