"""Owns: turning the numbered SQL files into a C table at build time.
Must not know: any table of the database. Usage: compile.py OUTPUT.c 0001_name.sql 0002_name.sql ..."""

import hashlib
import pathlib
import re
import sqlite3
import sys

TOKEN = re.compile(r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \s+ | .""", re.VERBOSE | re.DOTALL)


def normalise(sql):
    """Without comments and with single spaces, so that those may be corrected after a release."""
    parts = []
    for token in TOKEN.findall(sql):
        blank = token.isspace() or token.startswith(("--", "/*"))
        if not blank:
            parts.append(token)
        elif parts and parts[-1] != " ":
            parts.append(" ")
    return "".join(parts).strip()


def split(sql):
    """The statements; a trigger with its inner semicolons is one."""
    statements, text = [], ""
    for token in TOKEN.findall(sql):
        text += token
        if token == ";" and sqlite3.complete_statement(text):
            statements.append(text.strip().removesuffix(";").strip())
            text = ""
    if text.strip():
        sys.exit(f"unfinished statement: {text.strip()[:60]}")
    return statements


def array(name, text):
    """Bytes instead of a literal: the standard lets a compiler refuse literals over 4095 bytes."""
    numbers = [b if b < 128 else b - 256 for b in text.encode() + b"\0"]
    lines = [", ".join(map(str, numbers[i:i + 24])) for i in range(0, len(numbers), 24)]
    return f"static const char {name}[] = {{\n    " + ",\n    ".join(lines) + "\n};\n"


def main(output, *inputs):
    code = "/* Made by compile.py; don't edit. */\n#include \"database/migration.h\"\n\n"
    rows = []
    for expected, path in enumerate(map(pathlib.Path, inputs), 1):
        number, name = path.stem.split("_", 1)
        if int(number) != expected:
            sys.exit(f"{path.name}: expected number {expected:04}")
        statements = split(normalise(path.read_text()))
        checksum = hashlib.sha256("\n".join(statements).encode()).hexdigest()
        for i, statement in enumerate(statements):
            code += f"/* {' '.join(statement.split()[:4])} */\n" + array(f"m{expected}_{i}", statement)
        names = ", ".join(f"m{expected}_{i}" for i in range(len(statements)))
        code += f"static const char *const m{expected}[] = {{ {names} }};\n\n"
        rows.append(f'    {{ {expected}, "{name}", "{checksum}", m{expected}, {len(statements)} }},')
    code += "const fpi_migration fpi_migrations[] = {\n" + "\n".join(rows) + "\n};\n"
    code += f"const size_t fpi_migration_count = {len(rows)};\n"
    pathlib.Path(output).write_text(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
