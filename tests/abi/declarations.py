"""Owns: reading the public headers: exported functions, members of structs, constants.
Must not know: which of them there should be."""
import re


def header_texts(include):
    """The headers without comments and without what the preprocessor alone sees."""
    for path in sorted(include.glob("fileproc/**/*.h")):
        text = re.sub(r"/\*.*?\*/", " ", path.read_text(encoding="utf-8"), flags=re.S)
        yield path, re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", "", text, flags=re.M)


def functions(include):
    """Names declared with FILEPROC_API, sorted."""
    names = []
    for _, text in header_texts(include):
        for declaration in re.findall(r"\bFILEPROC_API\b([^;]*);", text):
            names.append(re.search(r"\b(fp_\w+)\s*\(", declaration).group(1))
    return sorted(names)


def structs(include):
    """(name, [members]) of every struct that is defined in a header, in their order."""
    for _, text in header_texts(include):
        for body, name in re.findall(r"typedef struct \w+ \{(.*?)\}\s*(\w+)\s*;", text, flags=re.S):
            members = []
            for member in filter(None, (m.strip() for m in body.split(";"))):
                pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)", member)
                members.append(pointer.group(1) if pointer else re.search(r"(\w+)\s*(?:\[\w+\])?$", member).group(1))
            yield name, members


def constants(include):
    """Names of all enum constants, those that FILEPROC_REASON_MAP makes included, and of numbers given by #define."""
    for path, text in header_texts(include):
        for body in re.findall(r"\benum\s*\w*\s*\{(.*?)\}", text, flags=re.S):
            yield from re.findall(r"\b(FILEPROC_\w+)\s*=", body)
        whole = path.read_text(encoding="utf-8")
        yield from (f"FILEPROC_REASON_{suffix}" for suffix in re.findall(r"^\s*X\((\w+), \d+,", whole, flags=re.M))
        yield from re.findall(r"^#define (FILEPROC_(?!VERSION)\w+) \(?\d", whole, flags=re.M)
