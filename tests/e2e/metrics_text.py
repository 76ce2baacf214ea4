"""Owns: reading Prometheus' text format strictly (version 0.0.4).
Must not know: which metrics there are."""

import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? (\S+)")


def labels_of(text):
    return tuple(sorted(re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"', text or "")))


def parse(text):
    """{family: (type, {(sample name, labels): value})}; raises AssertionError at what breaks the format."""
    families, current = {}, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert re.fullmatch(NAME, name) and name not in families, line
            current, families[name] = name, (None, {})
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and kind in ("counter", "gauge", "histogram") and not families[name][1], line
            families[name] = (kind, {})
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.group(1), labels_of(match.group(2)), float(match.group(3))
            kind, samples = families[current]
            allowed = {current + end for end in ("_bucket", "_sum", "_count")} if kind == "histogram" else {current}
            assert name in allowed and (name, labels) not in samples and not math.isnan(value), line
            samples[name, labels] = value
    for name, (kind, samples) in families.items():
        check_family(name, kind, samples)
    return families


def check_family(name, kind, samples):
    if kind == "counter":
        assert all(value >= 0 for value in samples.values())
    if kind != "histogram":
        return
    series = {}
    for (sample, labels), value in samples.items():
        if sample == name + "_bucket":
            bound = dict(labels)["le"]
            rest = tuple(pair for pair in labels if pair[0] != "le")
            series.setdefault(rest, []).append((float(bound), value))
    for rest, buckets in series.items():
        assert buckets == sorted(buckets) and [v for _, v in buckets] == sorted(v for _, v in buckets), name
        assert buckets[-1][0] == math.inf and buckets[-1][1] == samples[name + "_count", rest]
        assert samples[name + "_sum", rest] >= 0


def value(families, name, **labels):
    for _, samples in families.values():
        if (name, labels_of(",".join(f'{k}="{v}"' for k, v in labels.items()))) in samples:
            return samples[name, labels_of(",".join(f'{k}="{v}"' for k, v in labels.items()))]
    return None
