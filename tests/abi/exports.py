"""Owns: the check that the headers' declarations, the export map and the library's dynamic symbols are one list.
Must not know: what the functions do.

usage: exports.py INCLUDE-FOLDER MAP LIBRARY   check
       exports.py INCLUDE-FOLDER MAP --update  write the map from the headers"""
import pathlib
import re
import subprocess
import sys

import declarations


def mapped(path):
    text = path.read_text(encoding="utf-8")
    return re.findall(r"^    (\w+);$", text.split("global:")[1].split("local:")[0], flags=re.M)


def exported(library):
    out = subprocess.run(["nm", "-D", "--defined-only", "--format=posix", library], text=True, capture_output=True,
                         check=True).stdout
    symbols = [line.split()[:2] for line in out.splitlines()]
    # A is the version node itself; sanitizers add symbols of their own, with names that C reserves.
    return sorted(name.split("@")[0] for name, kind in symbols if kind != "A" and not name.startswith("__"))


def differ(one, one_name, two, two_name):
    for name in sorted(set(one) - set(two)):
        print(f"{name} is in the {one_name} but not in the {two_name}")
    for name in sorted(set(two) - set(one)):
        print(f"{name} is in the {two_name} but not in the {one_name}")
    return set(one) != set(two)


def main():
    include, path = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    declared = declarations.functions(include)
    if sys.argv[3] == "--update":
        head = path.read_text(encoding="utf-8").split("global:")[0]
        lines = "".join(f"    {name};\n" for name in declared)
        path.write_text(f"{head}global:\n{lines}local:\n    *;\n}};\n", encoding="utf-8")
        return 0
    bad = len(declared) != len(set(declared))
    bad |= differ(declared, "headers", mapped(path), "map")
    bad |= differ(mapped(path), "map", exported(sys.argv[3]), "library")
    if mapped(path) != sorted(mapped(path)):
        print("the map is not sorted")
        bad = True
    print(f"{len(declared)} functions")
    return 1 if bad or not declared else 0


sys.exit(main())
