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
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer, LabelEncoder, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder,
)
from sklearn.utils import murmurhash3_32

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


def min_max_scale(rng):
    data = {
        "three values": [1.0, 2.0, 4.0],
        "missing values": [1.0, np.nan, 5.0, 9.0, np.nan],
        "a constant": [5.0, 5.0, np.nan],
        "nearly a constant": [1.0, 1.0 + 2**-51, 1.0],
        "heavy tails": holes(rng, rng.lognormal(4.0, 2.0, 300)),
        "negatives": holes(rng, rng.normal(-1000.0, 3.0, 100)),
        "tiny values": rng.normal(0.0, 1e-12, 100),
    }
    for name, values in data.items():
        rows = np.concatenate([np.asarray(values)[:20], [0.0, -1e6, 3.5, np.nan]])
        for low, high, clip in [(0, 1, False), (-2.5, 3, False), (0, 1, True)]:
            scaler = MinMaxScaler(feature_range=(low, high), clip=clip).fit(column(values))
            step = {"op": "min_max_scale", "in": "x", "low": low, "high": high, "clip": clip}
            yield case(
                f"{name}, {low} to {high}, clip {clip}", f"MinMaxScaler(({low}, {high}), clip={clip})", [step],
                {"x": values}, [("x", scaler.transform(column(rows))[:, 0])], rows={"x": rows},
            )


def k_bins(rng):
    data = {
        "ten values": list(rng.permutation(10).astype(float)),
        "heavy tails": rng.lognormal(4.0, 2.0, 300),
        "cents": np.round(rng.lognormal(3.4, 1.3, 500), 2),
        "ties": rng.integers(0, 6, 200).astype(float),
        "mostly one": np.where(rng.random(100) < 0.9, 0.0, rng.normal(0, 1, 100)),
        "two clouds": np.concatenate([rng.normal(-5, 1, 80), rng.normal(9, 2, 120)]),
        "a constant": [3.0, 3.0, 3.0],
    }
    strategies = [("quantile", "averaged_inverted_cdf"), ("quantile", "linear"), ("uniform", None), ("kmeans", None)]
    for name, values in data.items():
        values = np.asarray(values)
        few = len(np.unique(values))
        for bins in [2, 5, 10]:
            for strategy, quantiles in strategies:
                if strategy == "kmeans" and few < 50:
                    continue  # where values are equally far scikit-learn takes any
                named = {} if quantiles is None else {"quantile_method": quantiles}
                binner = KBinsDiscretizer(bins, encode="ordinal", strategy=strategy, subsample=None, **named)
                binner.fit(column(values))
                edges = binner.bin_edges_[0][1:-1]
                edges = edges[np.isfinite(edges)]
                near = np.concatenate([edges - 1e-6, edges + 1e-6]) if len(edges) else np.array([])
                rows = np.concatenate([values, near, [-1e9, 1e9]])
                out = [int(v) for v in binner.transform(column(rows))[:, 0]]
                step = {"op": "k_bins", "in": "x", "bins": bins, "strategy": strategy}
                if quantiles:
                    step["quantiles"] = quantiles
                yield case(
                    f"{name}, {bins} bins, {strategy} {quantiles or ''}".strip(),
                    f"KBinsDiscretizer({bins}, {strategy}, {quantiles})", [step], {"x": values},
                    [("x", out + [None])], rows={"x": np.append(rows, np.nan)}, exact=True,
                )
    values = data["heavy tails"]
    binner = KBinsDiscretizer(4, encode="onehot-dense", strategy="quantile", quantile_method="averaged_inverted_cdf")
    out = binner.fit_transform(column(values)).astype(int).T
    step = {"op": "k_bins", "in": "x", "bins": 4, "encode": "one_hot"}
    expected = [(f"x_{i}", values) for i, values in enumerate(out)]
    yield case("one-hot", "KBinsDiscretizer(4, onehot-dense)", [step], {"x": values}, expected, exact=True)


def ordinal(rng):
    countries = [None if rng.random() < 0.1 else c for c in rng.choice(["HK", "CN", "US", "GB", "é", "Z", "a"], 100)]
    countries = [None if c is None else str(c) for c in countries]
    for name, values, kind, other in [
        ("text", countries, "string", "unseen"),
        ("whole numbers", [10, 9, None, -3, 9, 10**12], "long", 11),
        ("yes and no", [True, None, False, True], "bool", None),
    ]:
        known = [v for v in values if v is not None]
        array = np.array(known, dtype=object).reshape(-1, 1)
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(array)
        rows = sorted(set(known)) + ([] if other is None else [other])
        out = [int(v) for v in encoder.transform(np.array(rows, dtype=object).reshape(-1, 1))[:, 0]]
        step = {"op": "ordinal", "in": "x", "unseen": "minus_one"}
        yield case(
            name, "OrdinalEncoder(use_encoded_value, -1)", [step], {"x": values}, [("x", out + [None])],
            rows={"x": rows + [None]}, exact=True, types={"x": kind},
        )
        classes = LabelEncoder().fit(np.array(known))
        step = {"op": "ordinal", "in": "x"}
        out = [int(v) for v in classes.transform(np.array(known))]
        yield case(
            f"{name} as classes", "LabelEncoder()", [step], {"x": values}, [("x", out)], rows={"x": known},
            exact=True, types={"x": kind},
        )
    given = ["US", "HK", "CN"]
    encoder = OrdinalEncoder(categories=[given], handle_unknown="use_encoded_value", unknown_value=3)
    out = encoder.fit(np.array(given, dtype=object).reshape(-1, 1))
    out = [None if v is None else int(out.transform(np.array([[v]], dtype=object))[0, 0]) for v in countries]
    yield case(
        "given labels", "OrdinalEncoder(categories)", [{"op": "ordinal", "in": "x", "labels": given}],
        {"x": countries}, [("x", out)], exact=True, types={"x": "string"},
    )


LABELS = ["cat", "dog", "m-0001", "m-1999", "Kowloon", "é", "東京", "a" * 57, "HK", "x|y", "0"]


def hash_encode(rng):
    labels = LABELS + [f"m-{i:04d}" for i in rng.integers(0, 2000, 60)]
    for buckets in [2, 17, 1024, 2**20]:
        hasher = FeatureHasher(n_features=buckets - 1, input_type="string")
        out = [int(hasher.transform([[label]]).indices[0]) + 1 for label in labels]
        step = {"op": "hash_encode", "in": "x", "buckets": buckets}
        rows = {"x": labels + [None, " "]}
        yield case(
            f"{buckets} buckets", "FeatureHasher, and 1: bucket 0 is of missing values", [step], rows,
            [("x", out + [0, 0])], exact=True, types={"x": "string"},
        )
        hashes = [murmurhash3_32(label.encode(), seed=42) for label in labels]
        step = {"op": "hash_encode", "in": "x", "buckets": buckets, "missing": "missing"}
        yield case(
            f"{buckets} buckets, Spark's", "murmurhash3_32(seed=42), never negative modulo", [step], rows,
            [("x", [h % buckets for h in hashes] + [None, None])], exact=True, dialect="spark", types={"x": "string"},
        )
    whole = [0, -1, 7, 10**15, None]
    out = [None if v is None else abs(murmurhash3_32(v.to_bytes(8, "little", signed=True), seed=5)) % 97 for v in whole]
    step = {"op": "hash_encode", "in": "x", "buckets": 97, "seed": 5, "missing": "missing"}
    yield case(
        "whole numbers as bytes", "murmurhash3_32(seed=5)", [step], {"x": whole}, [("x", out)], exact=True,
        types={"x": "long"},
    )


def cross(rng):
    a, b = holes(rng, rng.lognormal(3.0, 2.0, 60)), [int(v) for v in rng.integers(-3, 24, 60)]
    with np.errstate(all="ignore"):
        for operation, of in [("multiply", a * b), ("add", a + b), ("subtract", a - b), ("divide", a / b)]:
            step = {"op": "cross", "in": ["a", "b"], "out": "c", "operation": operation}
            out = np.where(np.isfinite(of), of, np.nan)
            types = {"a": "double", "b": "long"}
            yield case(operation, "numpy", [step], {"a": a, "b": b}, [("c", out)], exact=True, types=types)
    first = list(rng.choice(["web", "pos", "app"], 50)) + ["web", None]
    second = [str(v) for v in rng.choice(LABELS, 50)] + [None, "x"]
    first = [None if v is None else str(v) for v in first]
    hasher = FeatureHasher(n_features=1023, input_type="string")
    pairs = [None if None in pair else "|".join(pair) for pair in zip(first, second)]
    out = [0 if pair is None else int(hasher.transform([[pair]]).indices[0]) + 1 for pair in pairs]
    step = {"op": "cross", "in": ["a", "b"], "buckets": 1024}
    yield case(
        "a hash of two labels", "FeatureHasher of a|b, and 1", [step], {"a": first, "b": second},
        [("a_x_b", out)], exact=True, types={"a": "string", "b": "string"},
    )


def time_since(rng):
    instants = [EPOCH + timedelta(microseconds=int(us)) for us in rng.integers(-(10**15), 4 * 10**15, 60)]
    others = [EPOCH + timedelta(microseconds=int(us)) for us in rng.integers(-(10**15), 4 * 10**15, 60)]
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    units = {
        "millisecond": timedelta(milliseconds=1), "second": timedelta(seconds=1), "minute": timedelta(minutes=1),
        "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1),
    }
    for unit, length in units.items():
        step = {"op": "time_since", "in": "at", "out": "x", "from": "2026-01-01T00:00:00Z", "unit": unit}
        out = [(t - start) / length for t in instants]
        yield case(f"{unit}s since 2026", "datetime", [step], {"at": instants}, [("x", out)], types={"at": "timestamp"})
    step = {"op": "time_since", "in": ["at", "t"], "out": "x", "clip": True}
    out = [max((t - u) / timedelta(seconds=1), 0.0) for t, u in zip(instants, others)]
    types = {"at": "timestamp", "t": "timestamp"}
    yield case("seconds between columns", "datetime", [step], {"at": instants, "t": others}, [("x", out)], types=types)


def sparse(matrix):
    """Rows of a sparse matrix as the text `place:value place:value …`, without zeros."""
    matrix = matrix.tocsr()
    rows = []
    for i in range(matrix.shape[0]):
        row = matrix.getrow(i)
        cells = sorted((int(k), float(v)) for k, v in zip(row.indices, row.data) if v != 0.0)
        rows.append(" ".join(f"{k}:{v!r}" for k, v in cells))
    return rows


def tf_idf(rng):
    words = "store market central kowloon online order payment coffee monthly ticket Shop PLAZA card a é Łódź x_1 7".split()
    texts = [" ".join(rng.choice(words, rng.integers(0, 9))) for _ in range(80)]
    texts += ["Café, café! CAFÉ", "7-eleven & co.", "東京 タワー", "", "  ", "a b c"]
    rows = texts + ["words never seen before", None]
    types = {"x": "string"}
    cases = {
        "defaults": ({}, {}, {}),
        "1024 places": ({"dimensions": 1024}, {"n_features": 1024}, {}),
        "signed": ({"signed": True}, {"alternate_sign": True}, {}),
        "sublinear, l1": ({"sublinear": True, "norm": "l1"}, {}, {"sublinear_tf": True, "norm": "l1"}),
        "no idf": ({"idf": "none"}, {}, {"use_idf": False}),
        "no norm": ({"norm": "none"}, {}, {"norm": None}),
        "pairs": ({"ngrams": [1, 2]}, {"ngram_range": (1, 2)}, {}),
        "pairs alone, capitals": ({"ngrams": [2, 2], "lowercase": False}, {"ngram_range": (2, 2), "lowercase": False}, {}),
        "ASCII words of any length": ({"tokens": "alphanumeric"}, {"token_pattern": "[a-z0-9]+"}, {}),
        "between blanks": ({"tokens": "blanks"}, {"token_pattern": r"\S+"}, {}),
    }
    for name, (parameters, hashing, weighing) in cases.items():
        hashing = {"n_features": 256, "alternate_sign": False, "norm": None, **hashing}
        pipe = Pipeline([("hash", HashingVectorizer(**hashing)), ("idf", TfidfTransformer(**weighing))]).fit(texts)
        out = sparse(pipe.transform(["" if row is None else row for row in rows]))
        step = {"op": "tf_idf", "in": "x", **parameters}
        yield case(
            name, f"HashingVectorizer({hashing}), TfidfTransformer({weighing})", [step], {"x": texts}, [("x", out)],
            rows={"x": rows}, types=types,
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
    groups = [
        (impute, impute_text), (standard_scale,), (log,), (one_hot,), (date_parts,), (pipelines,), (target_encode,),
        (min_max_scale,), (k_bins,), (ordinal,), (hash_encode,), (cross,), (time_since,), (tf_idf,),
    ]
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
