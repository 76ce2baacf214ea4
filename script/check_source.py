#!/usr/bin/env python3
"""Owns: the rules of the source that no compiler checks: heads, layers, banned names, sizes.
Must not know: layout (clang-format), mistakes (clang-tidy, the compiler).

usage: check_source.py FILE...   paths below the repository's root; prints "file:line: what is wrong", status 1 when anything is"""
import ast
import collections
import pathlib
import re
import sys

# A folder of libfileproc/ may include core and these, nothing else. Where a public header of the folder names another noun's
# handle (fp_catalog_open() takes an fp_storage), that noun stands here, too.
LAYERS = {
    "core": set(),
    "net": set(),
    "storage": {"net"},
    "database": set(),
    "cache": set(),
    "queue": {"database"},
    "event": {"net", "database", "queue"},
    "catalog": {"database", "cache", "event", "storage"},
    "pipeline": {"storage"},
    "job": {"database", "queue", "event", "catalog", "pipeline", "storage"},
    "upload": {"storage", "database", "cache", "event", "catalog", "job"},
    "ai": {"net", "database", "cache", "event", "catalog", "pipeline"},
    "media": set(),
}
CORE_HEADERS = {"buf", "config", "context", "error", "export", "version"}
# What one file more may include than its folder, and why.
EXCEPTIONS = {
    "libfileproc/core/context.c": r"fileproc/driver/",    # the registries check that every slot is filled
    "libfileproc/core/buf.c": r"fileproc/driver/operation_driver\.h",  # declares fp_buf_append()
    "libfileproc/pipeline/": r"media/protocol\.h",        # what library and helper say to each other
}
# Headers of others, and the only places that may include them.
FOREIGN = {
    r"vips/|poppler|glib|gio/|archive|magic\.h|seccomp\.h|qpdf": r"libfileproc/media/|benchmarks/",
    r"curl/": r"libfileproc/net/|daemons/common/peers\.c",
    r"expat\.h": r"libfileproc/storage/storage_s3_xml\.c",
    r"sqlite3\.h": r"libfileproc/database/|tests/",
    r"libpq-fe\.h": r"libfileproc/database/|tests/",
    r"openssl/": r"libfileproc/core/digest\.c|daemons/|benchmarks/",
    r"amqp": r"libfileproc/queue/queue_amqp|tests/|benchmarks/",
    r"hiredis|read\.h": r"libfileproc/cache/cache_redis|tests/",
    r"civetweb\.h": r"daemons/common/",
}
BANNED = {
    r"strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|gets|alloca|tmpnam|mktemp": (r"", "is banned"),
    r"malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf": (
        r"libfileproc/(?!core/alloc\.c)", "belongs to core/alloc.c alone"),
    r"getenv|secure_getenv|printf|fprintf|puts|fputs|perror|exit|abort|signal|sigaction|system|popen|setlocale": (
        r"libfileproc/(?!media/)", "is not for a library"),
    r"pthread_create|thrd_create": (r"libfileproc/", "is not for a library: it starts no threads"),
}
MAX_FILE_LINES = 1000
MAX_FUNCTION_LINES = 80
MAX_COLUMNS = 145  # of comments and tables; clang-format keeps code at 100
NO_HEAD = ("examples/",)
problems = []


def report(path, line, text):
    problems.append((str(path), line, text))


def blank(text, pattern):
    """Replaces what matches with blanks, so that line numbers stay."""
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def check_text(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            report(path, number, "blanks or a carriage return at the end of the line")
        if "\t" in line and path.suffix in (".c", ".h", ".py"):
            report(path, number, "a tab")
        if len(line) > MAX_COLUMNS:
            report(path, number, f"{len(line)} columns")
    if not text.endswith("\n") or text.endswith("\n\n"):
        report(path, text.count("\n"), "the file must end with one line end")


def check_head(path, text):
    if str(path).startswith(NO_HEAD):
        return
    head = text.split("*/" if path.suffix != ".py" else '"""\n', 1)[0]
    if not re.match(r'/\* Owns: ' if path.suffix != ".py" else r'(#![^\n]*\n)?"""Owns: ', text):
        report(path, 1, "the file must begin with what it owns: /* Owns: ...")
    elif not str(path).startswith(("tests/", "bindings/python/tests/")) and "Must not know: " not in head:
        report(path, 1, "the head must say what the file must not know")


def folder_of(header):
    """The folder of libfileproc/ that a header belongs to; None when it is not ours."""
    public = re.match(r"fileproc/(?:driver/)?(\w+?)(?:_driver)?\.h$", header)
    if public:
        noun = {"operation": "pipeline", "quarantine": "job"}.get(public.group(1), public.group(1))
        return "core" if noun in CORE_HEADERS else noun
    inner = re.match(r"(\w+)/", header)
    return inner.group(1) if inner and inner.group(1) in LAYERS else None


def check_include(path, line, quoted, header):
    name = str(path)
    for pattern, allowed in FOREIGN.items():
        if not quoted and re.match(pattern, header) and not re.match(allowed, name):
            report(path, line, f"<{header}> may be included only by {allowed}")
    if any(name.startswith(p) and re.match(r, header) for p, r in EXCEPTIONS.items()):
        return
    target = folder_of(header)
    if name.startswith("libfileproc/"):
        folder = path.parts[1]
        if header == "fileproc/fileproc.h":
            report(path, line, "the library includes what it uses, not everything")
        elif target and target not in LAYERS[folder] | {folder, "core"}:
            report(path, line, f"{folder} must not know {target}")
    elif name.startswith(("daemons/", "examples/", "tools/", "bindings/", "benchmarks/")):
        if quoted and target:
            report(path, line, f'"{header}": programs use only <fileproc/...>')


def check_functions(path, code):
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            if number - start - 1 > MAX_FUNCTION_LINES:
                report(path, start, f"a function of {number - start - 1} lines; {MAX_FUNCTION_LINES} are the most")
            start = None


def check_c(path, text):
    no_comments = blank(text, r"/\*.*?\*/|(?<!:)//[^\n]*")
    for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', no_comments, flags=re.M):
        check_include(path, line_of(text, m.start()), m.group(1) == '"', m.group(2))
    code = blank(no_comments, r'"(?:\\.|[^"\\\n])*"' + r"|'(?:\\.|[^'\\\n])*'")
    for names, (where, why) in BANNED.items():
        for m in re.finditer(rf"(?<![\w.>])({names})\s*\(", code):
            if re.match(where, str(path)):
                report(path, line_of(code, m.start()), f"{m.group(1)}() {why}")
    lines = text.count("\n")
    if lines > MAX_FILE_LINES:
        report(path, 1, f"{lines} lines; {MAX_FILE_LINES} are the most")
    check_functions(path, code)


def check_names(paths):
    """One base name, one file: what is named in a message or a test is found at once."""
    places = collections.defaultdict(list)
    for path in paths:
        if path.suffix in (".c", ".h"):
            places[path.name].append(str(path))
    for name, where in places.items():
        if len(where) > 1:
            report(where[0], 1, f"the name {name} is taken more than once: {', '.join(where)}")


def main():
    paths = [pathlib.Path(p) for p in sys.argv[1:]]
    for path in paths:
        text = path.read_text(encoding="utf-8")
        check_text(path, text)
        if path.suffix in (".c", ".h"):
            check_head(path, text)
            check_c(path, text)
        elif path.suffix == ".py":
            ast.parse(text, str(path))
            if path.name != "__init__.py":
                check_head(path, text)
    check_names(paths)
    for path, line, text in sorted(problems):
        print(f"{path}:{line}: {text}")
    return 1 if problems else 0


sys.exit(main())
