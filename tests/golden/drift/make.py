"""Golden cases of drift: what scipy and numpy say of two data sets, as data.

    /tmp/golden/bin/python make.py          # the environment of ../make.py

`shared/leat/src/drift/tests.rs` reads `drift.json` and compares within 1e-9, relative to 1 or to the value. Of PSI scipy
has none: it is computed here from its definition with numpy's quantiles.
"""

import importlib.metadata
import json
import pathlib

import numpy as np
from scipy import special, stats

HERE = pathlib.Path(__file__).parent


def psi_of_shares(p, q):
    keep = (p > 0) | (q > 0)
    p, q = np.maximum(p[keep], 1e-4), np.maximum(q[keep], 1e-4)
    return float(np.sum((q - p) * np.log(q / p)))


def psi(before, now):
    edges = np.unique(np.quantile(before, np.arange(1, 10) / 10))
    edges = edges[edges > before.min()]
    if len(edges) == 0:
        edges = np.array([before.min(), np.nextafter(before.min(), np.inf)])
    shares = [np.bincount(np.searchsorted(edges, x, side="right"), minlength=len(edges) + 1) / len(x) for x in (before, now)]
    return psi_of_shares(*shares)


def numbers(name, before, now):
    before, now = np.asarray(before, float), np.asarray(now, float)
    found = stats.ks_2samp(before, now)
    n, m = len(before), len(now)
    out = {
        "name": name, "before": before.tolist(), "now": now.tolist(), "ks": float(found.statistic),
        "ks_p": float(special.kolmogorov(np.sqrt(n * m / (n + m)) * found.statistic)), "psi": psi(before, now),
        "outside": float(np.mean((now < before.min()) | (now > before.max()))),
    }
    if before.std() > 0:
        out["mean"] = float((now.mean() - before.mean()) / before.std())
    return out


def categories(name, before, now):
    words = sorted(set(before) | set(now))
    table = np.array([[list(x).count(word) for word in words] for x in (before, now)])
    out = {
        "name": name, "before": list(before), "now": list(now),
        "psi": psi_of_shares(table[0] / table[0].sum(), table[1] / table[1].sum()),
        "unseen": float(table[1][table[0] == 0].sum() / table[1].sum()),
    }
    # Values expected below 5 in one data set are put together; then, while these are still below, the rarest of the rest.
    expected = stats.contingency.expected_freq(table)
    rare = (expected < 5).any(axis=0)
    kept = table[:, ~rare]
    if rare.any():
        kept = kept[:, np.argsort(-kept.sum(axis=0), kind="stable")]
        rest = table[:, rare].sum(axis=1)
        while (rest.sum() * table.sum(axis=1) / table.sum() < 5).any() and kept.shape[1]:
            rest, kept = rest + kept[:, -1], kept[:, :-1]
        kept = np.column_stack([kept, rest])
    if kept.shape[1] > 1:
        found = stats.chi2_contingency(kept, correction=False)
        out |= {"chi_squared": float(found.statistic), "chi_squared_p": float(found.pvalue)}
    return out


def main():
    rng = np.random.default_rng(7)
    normal = np.round(rng.normal(10, 2, 200), 3)
    golden = {
        "libraries": {name: importlib.metadata.version(name) for name in ["scipy", "numpy"]},
        "numbers": [
            numbers("the same distribution", normal, np.round(rng.normal(10, 2, 150), 3)),
            numbers("a shifted mean", normal, np.round(rng.normal(11, 2, 150), 3)),
            numbers("a greater spread", normal, np.round(rng.normal(10, 5, 90), 3)),
            numbers("heavy tails", rng.lognormal(3, 1.5, 120), rng.lognormal(3.2, 1.5, 300)),
            numbers("ties", rng.integers(0, 6, 100), rng.integers(1, 8, 80)),
            numbers("mostly zeros", np.where(rng.random(100) < 0.7, 0, rng.random(100)), np.where(rng.random(100) < 0.4, 0, rng.random(100))),
            numbers("apart", [1, 2, 3, 4], [10, 11, 12]),
            numbers("a constant, then another", [5] * 30, [6] * 10),
            numbers("a constant, then around it", [5] * 30, [4, 5, 5, 6]),
            numbers("two values", [1, 2], [2, 1]),
        ],
        "categories": [
            categories("alike", rng.choice(["a", "b", "c"], 200, p=[0.5, 0.3, 0.2]).tolist(), rng.choice(["a", "b", "c"], 150, p=[0.5, 0.3, 0.2]).tolist()),
            categories("moved", rng.choice(["a", "b", "c"], 200, p=[0.5, 0.3, 0.2]).tolist(), rng.choice(["a", "b", "c"], 150, p=[0.2, 0.3, 0.5]).tolist()),
            categories("one is new", ["a"] * 60 + ["b"] * 40, ["a"] * 50 + ["b"] * 20 + ["c"] * 30),
            categories("one is gone", ["a"] * 60 + ["b"] * 40, ["a"] * 70),
            categories("rare ones", ["a"] * 60 + ["b"] * 40 + ["c"] * 2 + ["d"] * 3, ["a"] * 50 + ["b"] * 50 + ["e"] * 4 + ["c"] * 8),
            categories("rare ones that need another", ["a"] * 60 + ["b"] * 40 + ["c"], ["a"] * 50 + ["b"] * 20 + ["d"]),
        ],
        "kolmogorov": [[x, float(special.kolmogorov(x))] for x in [0.1, 0.3, 0.5, 0.8, 0.99, 1.0, 1.01, 1.36, 1.63, 2.0, 3.0, 6.0]],
        "chi_squared": [
            [x, df, float(stats.chi2.sf(x, df))]
            for x, df in [(0.01, 1), (3.841, 1), (10.83, 1), (50.0, 1), (5.99, 2), (1.0, 4), (18.3, 10), (40.0, 10), (95.0, 100),
                          (124.3, 100), (999.0, 999), (1100.0, 999), (700.0, 999), (2.0, 30)]
        ],
    }
    path = HERE / "drift.json"
    path.write_text(json.dumps(golden, indent=None, allow_nan=False) + "\n", encoding="utf-8")
    print(path.name, sum(len(v) for v in golden.values() if isinstance(v, list)), "cases")


if __name__ == "__main__":
    main()
