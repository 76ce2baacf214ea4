"""Owns: writing the calls of every public function in which one pointer, then all of them, are NULL, and those in which a struct
has a wrong struct_size: a program in C, for nulls.c to include.
Must not know: what the functions do.

A parameter whose documentation says when it may be NULL is left alone in the calls that must be refused, and is NULL only in the
last call of each function, which has to come back alive.

usage: nulls.py INCLUDE-FOLDER OUTPUT"""
import pathlib
import re
import sys

import declarations

# What struct_size is never asked of: the library makes these.
RECORDS = {"fp_chunk_map", "fp_file", "fp_job", "fp_upload", "fp_storage_list_page", "fp_file_page", "fp_job_page",
           "fp_quarantine", "fp_quarantine_page"}
VARIADIC = ("fp_error_setf", "fp_error_reasonf")


class Parameter:
    def __init__(self, text, documentation):
        text = " ".join(text.split())
        self.name = re.search(r"(\w+)$", text).group(1)
        self.type = text[: -len(self.name)].strip()
        self.base = re.sub(r"\bconst\b|\bstruct\b|\*", " ", self.type).strip()
        self.pointer = self.type.endswith("*") or self.base in ("fp_tx_fn", "fp_written_fn", "fp_direct_part_fn", "fp_reap_fn")
        match = re.search(r"@param(?:\[[\w,]+\])?\s+" + self.name + r"\b(.*?)(?=@param|@ret|@par\b)", documentation, re.S)
        words = match.group(1) if match else ""
        # "an empty buffer" and "size is 0" are other calls than these.
        self.optional = (re.search(r"\bNULL\b(?! when (?:size|count) is 0|, at the end| at the end)", words) is not None
                         and not re.search(r"the message, owned|With NULL and no default", words)) or self.name == "user_data"


def parse(include):
    """(result type, name, [Parameter]) of every exported function that is not variadic."""
    for path in sorted(include.glob("fileproc/**/*.h")):
        text = path.read_text(encoding="utf-8")
        for documentation, declaration in re.findall(r"/\*\*((?:(?!\*/).)*?)\*/\s*FILEPROC_API\b([^;]*);", text, re.S):
            result, name, arguments = re.match(r"\s*(.*?)\b(fp_\w+)\s*\((.*?)\)", declaration, re.S).groups()
            if name not in VARIADIC:
                parameters = [] if arguments == "void" else arguments.split(",")
                yield result.strip(), name, [Parameter(a, documentation) for a in parameters]


TEXTS = {"uri": '"mem:"', "sql": '"SELECT 1"', "id": '"00000000-0000-7000-8000-000000000000"', "pipeline": "GOOD_PIPELINE",
         "definitions": '"[]"', "name": '"CHUNK_SIZE"', "cursor": "NULL"}


def value(p):
    """A good argument; nulls.c has the handles and structs."""
    if p.base == "char":
        return "w->texts" if p.type.count("*") > 1 else TEXTS.get(p.name, '"text"')
    if not p.pointer:
        return "1"
    if p.base in ("void", "uint64_t", "int32_t", "size_t"):
        return "NULL" if p.name == "user_data" else "(void *)w->bytes"
    return f"GOOD_{p.base}{'_out' if p.type.endswith('**') else ''}"


def call(result, name, arguments, check):
    text = f"{name}({', '.join(arguments)})"
    if check and result == "fp_status":
        return f"    REFUSED({text});"
    return f"    ALIVE({text});" if result != "void" else f"    ALIVE_VOID({text});"


def sized(p, structs):
    return p.base in structs and not p.type.endswith("**") and p.base not in RECORDS


def calls(result, name, parameters, structs):
    good = [value(p) for p in parameters]
    for i, p in enumerate(parameters):
        if not p.pointer or p.base == "fp_error":
            continue
        if not p.optional:
            yield call(result, name, good[:i] + ["NULL"] + good[i + 1:], True)
        if sized(p, structs):
            for size in ("0", "1", "sizeof(size_t) - 1", "4097", "SIZE_MAX"):
                yield f"    SIZED({p.base}, {size}, {name}({', '.join(good[:i] + ['sized'] + good[i + 1:])}));"
    # Whether it is refused depends on what of it may be NULL.
    yield call(result, name, ["NULL" if p.pointer else g for p, g in zip(parameters, good)], False)


def main():
    include, output, depfile = map(pathlib.Path, sys.argv[1:])
    depfile.write_text(f"{output}: {' '.join(map(str, sorted(include.rglob('*.h'))))}\n")
    structs = {name for name, members in declarations.structs(include) if members[0] == "struct_size"}
    functions = list(parse(include))
    names = sorted([f[1] for f in functions] + list(VARIADIC))
    if names != declarations.functions(include):
        sys.exit(f"not documented: {set(declarations.functions(include)) - set(names)}")
    inside, outside = [], []
    for result, name, parameters in functions:
        lines = inside if re.match("fp_(tx|rows)_", name) else outside
        lines.append(f"    called = \"{name}\";")
        lines.extend(calls(result, name, parameters, structs))
    text = ["static void call_outside(const world *w)", "{", *outside, "}", "",
            "static void call_inside(const world *w, fp_tx *tx, fp_rows *rows)", "{", *inside, "}", ""]
    output.write_text("\n".join(text), encoding="utf-8")


main()
