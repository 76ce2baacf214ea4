"""Owns: the closing line of script/test, counted from the JUnit reports of meson and pytest.
Must not know: any test. Usage: summarise.py FOLDER"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def main(folder):
    passed = skipped = 0
    failed = []
    for report in sorted(pathlib.Path(folder).iterdir()):
        if report.suffix == ".failed":  # a step that could not even report
            failed.append(report.stem)
            continue
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            name = f"{report.stem}: {case.get('classname', '')} {case.get('name', '')}"
            if case.find("failure") is not None or case.find("error") is not None:
                failed.append(name)
            elif case.find("skipped") is not None:
                skipped += 1
            else:
                passed += 1
    for name in failed:
        print(f"FAILED {name}")
    line = f"{passed} passed, {len(failed)} failed"
    print(line + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
