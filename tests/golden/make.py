"""Golden cases: what scikit-learn, numpy and zoneinfo say, as data.

    python -m venv /tmp/golden && /tmp/golden/bin/pip install -r requirements.txt && /tmp/golden/bin/python make.py

A case is a recipe, columns to fit, columns to transform, and the columns that must come out. `exact` columns must be
equal; the others within 1e-9, relative to 1 or to the value. The same versions write the same bytes.
"""

import importlib.metadata
import json
import math
import pathlib
import warnings
import zoneinfo
from datetime import datetime, timedelta, timezone

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

HERE = pathlib.Path(__file__).parent
ZONES = ["UTC", "Asia/Hong_Kong", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def plain(values):
    """Values as JSON: NaN is null, an integer stays one, an instant is microseconds."""
    out = []
    for value in values:
        if isinstance(value, datetime):
            value = (value - EPOCH) // timedelta(microseconds=1)
        elif isinstance(value, (float, np.floating)):
            value = None if math.isnan(value) else float(value)
        elif isinstance(value, np.integer):
            value = int(value)
        out.append(value)
    return out


def case(name, source, steps, fit, expected, rows=None, exact=False, dialect="sklearn", types=None, label=None):
    """One case; `rows` are the columns to transform, by default those of `fit`; `label` is the column of the label."""
    kinds = types or {column: "double" for column in fit}
    fields = [
        {"name": "entity", "type": "string", "role": "entity"},
        {"name": "at", "type": "timestamp", "role": "event_time"},
    ]
    fields += [{"name": column, "type": kind} for column, kind in kinds.items() if column != "at"]
    for field in fields:
        if field["name"] == label:
            field["role"] = "label"
    recipe = {"leat": 1, "name": "golden", "dialect": dialect, "schema": {"fields": fields}, "features": steps}
    rows = fit if rows is None else rows
    return {
        "name": name,
        "source": source,
        "exact": exact,
        "recipe": recipe,
        "fit": {column: plain(values) for column, values in fit.items()},
        "rows": {column: plain(values) for column, values in rows.items()},
        "expected": [[column, plain(values)] for column, values in expected],
    }


def holes(rng, values, share=0.1):
    """The values with a share of NaN."""
    return np.where(rng.random(len(values)) < share, np.nan, values)


def column(values):
    return np.asarray(values, dtype=float).reshape(-1, 1)


def impute(rng):
    numbers = {
        "an odd number": [3.0, 1.0, np.nan, 2.0],
        "an even number": [4.0, 1.0, np.nan, 2.0, 8.0],
        "ties and negatives": [-1.5, -1.5, np.nan, 0.0, 7.25, -3.0],
        "heavy tails": holes(rng, rng.lognormal(4.0, 2.0, 300)),
        "a great mean": holes(rng, 1e9 + rng.random(200)),
    }
    for name, values in numbers.items():
        for strategy in ["mean", "median"]:
            out = SimpleImputer(strategy=strategy).fit_transform(column(values))
            step = {"op": "impute", "in": "x", "strategy": strategy}
            yield case(f"{strategy} of {name}", f"SimpleImputer({strategy})", [step], {"x": values}, [("x", out[:, 0])])
    out = SimpleImputer(strategy="constant", fill_value=-7.5).fit_transform(column(numbers["an odd number"]))
    step = {"op": "impute", "in": "x", "strategy": "constant", "value": -7.5}
    fit = {"x": numbers["an odd number"]}
    yield case("a constant", "SimpleImputer(constant)", [step], fit, [("x", out[:, 0])], exact=True)

    whole = [5, 2, None, 9, 2, 5]
    step = {"op": "impute", "in": "x", "strategy": "mode"}
    out = SimpleImputer(strategy="most_frequent").fit_transform(column([np.nan if v is None else v for v in whole]))
    expected = [("x", [int(v) for v in out[:, 0]])]
    yield case(
        "the mode of whole numbers, two as frequent", "SimpleImputer(most_frequent)", [step], {"x": whole}, expected,
        exact=True, types={"x": "long"},
    )


def encoded(labels, fitted):
    """Text through numbers and back, as a feature is a number: one-hot of what the imputer gives."""
    encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(fitted)
    names = encoder.get_feature_names_out(["x"])
    return [(name, out) for name, out in zip(names, encoder.transform(labels).astype(int).T)]


def impute_text(rng):
    for name, values in {
        "two as frequent": ["b", "a", None, "b", "a", "c"],
        "case and accents": ["é", "É", "e", None, "é", "z"],
    }.items():
        array = np.array(values, dtype=object).reshape(-1, 1)
        out = SimpleImputer(strategy="most_frequent", missing_values=None).fit_transform(array)
        steps = [{"op": "impute", "in": "x"}, {"op": "one_hot", "in": "x", "unseen": "ignore"}]
        yield case(
            f"the mode of text, {name}", "SimpleImputer(most_frequent), OneHotEncoder", steps, {"x": values},
            encoded(out, out), exact=True, types={"x": "string"},
        )


def standard_scale(rng):
    data = {
        "three values": [1.0, 2.0, 4.0],
        "missing values": [1.0, np.nan, 5.0, 9.0, np.nan],
        "a constant": [5.0, 5.0, 5.0, np.nan],
        "a constant of rounded sums": [0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2],
        "one value": [3.5],
        "a great mean": 1e9 + rng.random(200),
        "heavy tails": holes(rng, rng.lognormal(4.0, 2.0, 300)),
        "tiny values": rng.normal(0.0, 1e-12, 100),
        "negatives": holes(rng, rng.normal(-1000.0, 3.0, 100)),
    }
    for name, values in data.items():
        rows = np.concatenate([np.asarray(values)[:20], [0.0, -1e6, np.nan]])
        for center, scale in [(True, True), (False, True), (True, False)]:
            scaler = StandardScaler(with_mean=center, with_std=scale).fit(column(values))
            step = {"op": "standard_scale", "in": "x", "center": center, "scale": scale}
            yield case(
                f"{name}, center {center}, scale {scale}", f"StandardScaler(with_mean={center}, with_std={scale})",
                [step], {"x": values}, [("x", scaler.transform(column(rows))[:, 0])], rows={"x": rows},
            )
    for name in ["three values", "missing values", "heavy tails"]:
        values = np.asarray(data[name])
        yield case(
            f"{name}, Spark's defaults", "numpy std(ddof=1), not centred", [{"op": "standard_scale", "in": "x"}],
            {"x": values}, [("x", values / np.nanstd(values, ddof=1))], dialect="spark",
        )
        yield case(
            f"{name}, ddof 1 and centred", "numpy std(ddof=1)", [{"op": "standard_scale", "in": "x", "ddof": 1}],
            {"x": values}, [("x", (values - np.nanmean(values)) / np.nanstd(values, ddof=1))],
        )


def log(rng):
    values = np.concatenate([rng.lognormal(0.0, 8.0, 100), [0.0, 1.0, -1.0, -2.5, 1e-300, 1e300, np.nan, 1e-17]])
    with np.errstate(all="ignore"):
        logs = {
            "natural": ({}, np.log(values)),
            "base 2": ({"base": 2}, np.log2(values)),
            "base 10": ({"base": 10}, np.log10(values)),
            "base 3": ({"base": 3}, np.log(values) / np.log(3.0)),
            "offset 1": ({"offset": 1}, np.log1p(values)),
            "offset 2.5": ({"offset": 2.5}, np.log(values + 2.5)),
            "signed": ({"signed": True}, np.sign(values) * np.log1p(np.abs(values))),
        }
    for name, (parameters, out) in logs.items():
        step = {"op": "log", "in": "x", **parameters}
        out = np.where(np.isfinite(out), out, np.nan)
        yield case(name, "numpy", [step], {"x": values}, [("x", out)])


def one_hot(rng):
    some = ["web", "pos", None, "web", "app", "pos", "web", "phone", "app", "é"]
    skewed = list(rng.choice(list("abcdefgh"), 200, p=[0.3, 0.25, 0.2, 0.1, 0.05, 0.05, 0.03, 0.02]))
    tied = list("aabbccddef")
    for data, values in [("some labels", some), ("skewed labels", skewed), ("ties", tied)]:
        for parameters in [
            {},
            {"drop": "first"},
            {"drop": "if_binary", "max_categories": 2},
            {"drop": "if_binary"},
            {"max_categories": 3},
            {"max_categories": 1},
            {"max_categories": 4, "min_frequency": 2},
            {"max_categories": 6},
            {"min_frequency": 2},
            {"min_frequency": 0.15},
            {"min_frequency": 1000},
        ]:
            for unseen, word in [("ignore", "ignore"), ("keep", "infrequent_if_exist")]:
                # Missing values are no labels here: they are left out of scikit-learn's fit, but count as rows.
                known = [v for v in values if v is not None]
                scaled = dict(parameters)
                if 0 < scaled.get("min_frequency", 0) < 1:
                    scaled["min_frequency"] *= len(values) / len(known)
                encoder = OneHotEncoder(sparse_output=False, handle_unknown=word, **scaled)
                encoder.fit(np.array(known, dtype=object).reshape(-1, 1))
                bucket = any(n.endswith("_infrequent_sklearn") for n in encoder.get_feature_names_out(["x"]))
                if unseen == "keep" and not bucket:
                    continue  # there leat has a bucket for the unseen, scikit-learn has none
                rows = sorted(set(known)) + ["unseen"]
                out = encoder.transform(np.array(rows, dtype=object).reshape(-1, 1)).astype(int).T
                names = [n.replace("_sklearn", "") for n in encoder.get_feature_names_out(["x"])]
                expected = [(name, list(out[i]) + [0]) for i, name in enumerate(names)]
                step = {"op": "one_hot", "in": "x", "unseen": unseen, **parameters}
                yield case(
                    f"{data}, {parameters}, unseen {unseen}", f"OneHotEncoder({parameters}, {word})", [step],
                    {"x": values}, expected, rows={"x": rows + [None]}, exact=True, types={"x": "string"},
                )
    whole = [10, 9, 2, 10, -1]
    encoder = OneHotEncoder(sparse_output=False).fit(np.array(whole).reshape(-1, 1))
    out = encoder.transform(np.array(whole).reshape(-1, 1)).astype(int).T
    expected = list(zip(encoder.get_feature_names_out(["x"]), out))
    step = {"op": "one_hot", "in": "x", "unseen": "ignore"}
    yield case(
        "whole numbers rise by value", "OneHotEncoder()", [step], {"x": whole}, expected, exact=True,
        types={"x": "long"},
    )


def target_encode(rng):
    merchants = [f"m-{int(i)}" for i in rng.zipf(1.6, 400) % 60]
    some = [None if rng.random() < 0.08 else merchant for merchant in merchants]
    fraud = [int(rng.random() < 0.02 + 0.3 * (hash_of(merchant) % 7 == 0)) for merchant in merchants]
    data = {
        "a few": (["a", "b", "a", "c", None, "b"], [1, 0, 0, 1, 1, 0], "string", "long"),
        "merchants": (merchants, fraud, "string", "long"),
        "merchants, some missing": (some, fraud, "string", "long"),
        "whole numbers": ([int(i) for i in rng.integers(-3, 4, 200)], list(rng.lognormal(4.0, 2.0, 200)), "long", "double"),
        "amounts about 0": (merchants, list(rng.normal(0.0, 1e6, 400)), "string", "double"),
        "yes and no": (merchants, [bool(y) for y in fraud], "string", "bool"),
    }
    for name, (values, labels, kind, of_label) in data.items():
        known = sorted({v for v in values if v is not None})
        rows = known + ([None] if None in values else []) + [10**6 if kind == "long" else "unseen"]
        for smooth in [20.0, 1.5, 0.0]:
            target = "continuous" if of_label == "double" else "binary"
            encoder = TargetEncoder(smooth=smooth, target_type=target)
            encoder.fit(np.array(values, dtype=object).reshape(-1, 1), np.array(labels, dtype=type(labels[0])))
            out = encoder.transform(np.array(rows, dtype=object).reshape(-1, 1))[:, 0]
            step = {"op": "target_encode", "in": "x", "smooth": smooth}
            yield case(
                f"{name}, smooth {smooth:g}", f"TargetEncoder(smooth={smooth}, target_type={target!r})", [step],
                {"x": values, "y": labels}, [("x", out)], rows={"x": rows}, types={"x": kind, "y": of_label}, label="y",
            )


def hash_of(text):
    return sum(text.encode())


def date_parts(rng):
    instants = [EPOCH + timedelta(seconds=int(s)) for s in rng.integers(0, 2_082_758_400, 120)]
    edges = [
        "1969-12-31T23:59:59.500000+00:00", "1970-01-01T00:00:00+00:00", "2024-02-29T12:00:00+00:00",
        "2021-01-03T23:59:59+00:00", "2024-12-30T00:00:00+00:00", "2026-03-08T06:59:59+00:00",
        "2026-03-08T07:00:00+00:00", "2026-11-01T05:59:59+00:00", "2026-11-01T06:00:00+00:00",
        "2000-12-31T16:00:00+00:00", "2020-12-31T23:59:59.999999+00:00",
    ]
    instants += [datetime.fromisoformat(text) for text in edges]
    read = {
        "year": lambda t: t.year,
        "quarter": lambda t: (t.month + 2) // 3,
        "month": lambda t: t.month,
        "week": lambda t: t.isocalendar().week,
        "day": lambda t: t.day,
        "day_of_week": lambda t: t.isoweekday(),
        "day_of_year": lambda t: t.timetuple().tm_yday,
        "hour": lambda t: t.hour,
        "minute": lambda t: t.minute,
        "second": lambda t: t.second,
        "is_weekend": lambda t: t.isoweekday() >= 6,
        "is_month_end": lambda t: (t.date() + timedelta(days=1)).day == 1,
    }
    periods = {
        "quarter": (1, 4), "month": (1, 12), "week": (1, 53), "day": (1, 31), "day_of_week": (1, 7),
        "day_of_year": (1, 366), "hour": (0, 23), "minute": (0, 59), "second": (0, 59),
    }
    for zone in ZONES:
        local = [t.astimezone(zoneinfo.ZoneInfo(zone)) for t in instants]
        parts = {part: [of(t) for t in local] for part, of in read.items()}
        step = {"op": "date_parts", "in": "at", "parts": list(read), "time_zone": zone}
        expected = [(f"at_{part}", values) for part, values in parts.items()]
        types = {"at": "timestamp"}
        yield case(f"parts in {zone}", "datetime, zoneinfo", [step], {"at": instants}, expected, exact=True, types=types)
        if zone == "Asia/Hong_Kong":
            step = {"op": "date_parts", "in": "at", "parts": list(periods), "time_zone": zone, "cyclic": True}
            expected = []
            for part, (low, high) in periods.items():
                angle = 2 * np.pi * (np.array(parts[part]) - low) / (1 + high - low)
                expected += [(f"at_{part}_sin", np.sin(angle)), (f"at_{part}_cos", np.cos(angle))]
            yield case(f"cyclic parts in {zone}", "numpy", [step], {"at": instants}, expected, types=types)


def pipelines(rng):
    amount = holes(rng, rng.lognormal(3.0, 1.5, 200))
    age = holes(rng, rng.integers(18, 90, 200).astype(float), 0.2)
    channel = list(rng.choice(["web", "pos", "app", "phone"], 200, p=[0.5, 0.3, 0.15, 0.05]))
    scaled = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    imputed = SimpleImputer(strategy="mean")
    hot = OneHotEncoder(sparse_output=False, handle_unknown="ignore", min_frequency=20)
    both = ColumnTransformer([("a", scaled, [0]), ("b", imputed, [1]), ("c", hot, [2])])
    table = np.empty((200, 3), dtype=object)
    table[:, 0], table[:, 1], table[:, 2] = amount, age, channel
    out = both.fit_transform(table).astype(float)
    names = [n.replace("_sklearn", "") for n in hot.fit(table[:, 2:]).get_feature_names_out(["channel"])]
    steps = [
        {"op": "impute", "in": "amount", "strategy": "median"},
        {"op": "standard_scale", "in": "amount"},
        {"op": "impute", "in": "age"},
        {"op": "one_hot", "in": "channel", "unseen": "ignore", "min_frequency": 20},
    ]
    expected = [(name, out[:, i]) for i, name in enumerate(["amount", "age", *names])]
    fit = {"amount": amount, "age": [None if math.isnan(v) else int(v) for v in age], "channel": channel}
    types = {"amount": "double", "age": "long", "channel": "string"}
    yield case("impute, scale and encode", "Pipeline, ColumnTransformer", steps, fit, expected, types=types)


def main():
    warnings.simplefilter("ignore")
    zoneinfo.reset_tzpath(to=[])  # the pinned package, not this machine's zones
    libraries = {n: importlib.metadata.version(n) for n in ["scikit-learn", "numpy", "tzdata"]}
    groups = [(impute, impute_text), (standard_scale,), (log,), (one_hot,), (date_parts,), (pipelines,), (target_encode,)]
    for seed, group in enumerate(groups):
        rng = np.random.default_rng(seed)
        cases = [case for make in group for case in make(rng)]
        lines = ",\n".join(json.dumps(case, ensure_ascii=False, allow_nan=False) for case in cases)
        text = f'{{"libraries": {json.dumps(libraries)}, "cases": [\n{lines}\n]}}\n'
        path = HERE / f"{group[0].__name__}.json"
        path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {len(cases)} cases")


if __name__ == "__main__":
    main()
