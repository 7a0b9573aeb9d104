"""What the steps of this recipe know, from the benchmark's `params.json`: the states that `leat seal --given` takes.

    python3 given.py params.json > given.json
"""

import json
import sys

FOLDS = 5  # of target_encode, by default; what is given has no folds


def encoded(value):
    return {"count": 0, "serve": float(value), "train": [None] * FOLDS}


def states(p):
    constant = lambda value: {"strategy": "constant", "value": value, "count": 0}
    median = lambda name: {"strategy": "median", "value": float(p["median"][name]), "count": 0, "exact": True}
    scale = lambda of: {"count": 0, "mean": float(of["mean"]), "std": float(of["std"]), "ddof": 0, "constant": False}
    span = lambda of: {"count": 0, "min": float(of["min"]), "max": float(of["max"])}
    window = lambda hours: {f"amount_{what}_{hours}h": constant(0.0) for what in ["sum", "mean", "max"]}
    target = {
        "smooth": 10.0, "folds": FOLDS, "missing": None, "unseen": encoded(p["target_prior"]),
        "categories": [[name, encoded(value)] for name, value in sorted(p["target"].items())],
    }
    yield "impute", {name: median(name) for name in ["customer_age", "lat", "lon"]}
    yield "impute", {"card_present": constant(False)}
    yield "standard_scale", {"amount_scaled": scale(p["amount"])}
    yield "min_max_scale", {"amount_share": span(p["amount"])}
    yield "k_bins", {"amount_bin": {"edges": p["amount_edges"], "count": 0, "exact": True}}
    yield "standard_scale", {"customer_age": scale(p["age"])}
    yield "min_max_scale", {name: span(p[name]) for name in ["lat", "lon"]}
    yield "one_hot", {"channel": {"labels": p["channels"], "infrequent": [], "count": 0}}
    yield "ordinal", {"country": {"labels": p["countries"], "count": 0}}
    yield "target_encode", {"category_fraud": target}
    yield "tf_idf", {"words": {"rows": 0, "idf": p["idf"]}}
    yield "impute", {"session_since_previous": constant(-1.0)}
    yield "impute", window(1)
    yield "impute", window(24)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        given = [{"op": op, "state": state} for op, state in states(json.load(file))]
    json.dump(given, sys.stdout, indent=1)
    print()
