"""Owns: the check that sizes and offsets of all public structs, and the values of all constants, are those of layout.txt: changing
one breaks every program that was built before. Adding is allowed: a constant, or a member at the end of a struct with
struct_size; --update then writes the file anew.
Must not know: what the structs are for.

usage: layout.py INCLUDE-FOLDER CC layout.txt [--update]"""
import difflib
import pathlib
import struct
import subprocess
import sys
import tempfile

import declarations


def program(include):
    headers = sorted(h.relative_to(include) for h in include.glob("fileproc/**/*.h"))
    lines = ["#include <stddef.h>", "#include <stdio.h>"] + [f"#include <{h}>" for h in headers]
    lines += ["int main(void) {"]
    for name, members in declarations.structs(include):
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        for m in members:
            lines.append(f'printf("    {m} %zu %zu\\n", offsetof({name}, {m}), sizeof((({name} *)0)->{m}));')
    for name in declarations.constants(include):
        lines.append(f'printf("{name} %lld\\n", (long long){name});')
    return "\n".join(lines + ["return 0; }", ""])


def measure(include, compiler):
    with tempfile.TemporaryDirectory() as folder:
        binary = pathlib.Path(folder) / "layout"
        subprocess.run(compiler + ["-std=c11", f"-I{include}", "-x", "c", "-", "-o", str(binary)], input=program(include),
                       text=True, check=True)
        return subprocess.run([str(binary)], text=True, capture_output=True, check=True).stdout


def main():
    include, compiler, path = pathlib.Path(sys.argv[1]), sys.argv[2].split(), pathlib.Path(sys.argv[3])
    if struct.calcsize("P") != 8:
        print("layout.txt is that of 64-bit machines")
        return 77
    now = measure(include, compiler)
    if sys.argv[4:] == ["--update"]:
        path.write_text(now, encoding="utf-8")
        return 0
    before = path.read_text(encoding="utf-8")
    sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), now.splitlines(True), str(path), "headers"))
    print(f"{now.count(chr(10))} lines")
    return 0 if now and now == before else 1


sys.exit(main())
