"""Owns: the check that each public header compiles alone, as C99, C11 and C++11, without any warning and without padding.
Must not know: what the headers declare.

usage: headers.py INCLUDE-FOLDER CC [CXX]"""
import pathlib
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
# Padding in a public struct is room that a later member would fill without changing the struct's size, so that struct_size
# could not tell old callers from new ones.
C_MODES = [["-std=c99"], ["-std=c11", "-Wpadded", "-Wconversion", "-Wstrict-prototypes"]]
CXX_MODES = [["-std=c++11", "-Wpadded", "-Wold-style-cast"]]


def compile_alone(compiler, language, mode, include, header):
    # Twice: the include guard must hold.
    source = f"#include <fileproc/{header}>\n#include <fileproc/{header}>\ntypedef int not_empty;\n"
    command = compiler + mode + WARNINGS + [f"-I{include}", "-x", language, "-"]
    run = subprocess.run(command, input=source, text=True, capture_output=True, check=False)
    if run.returncode != 0:
        print(f"{header} {' '.join(mode)}:\n{run.stderr}")
    return run.returncode == 0


def main():
    include = pathlib.Path(sys.argv[1])
    headers = sorted(str(h.relative_to(include / "fileproc")) for h in include.glob("fileproc/**/*.h"))
    runs = [(sys.argv[2].split(), "c", mode) for mode in C_MODES]
    runs += [(c.split(), "c++", mode) for c in sys.argv[3:] for mode in CXX_MODES]
    bad = sum(not compile_alone(*run, include, h) for h in headers for run in runs)
    print(f"{len(headers)} headers, {len(runs)} ways each, {bad} bad")
    return 1 if bad or not headers else 0


sys.exit(main())
