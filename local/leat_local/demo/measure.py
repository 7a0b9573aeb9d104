"""How good and how quick: numbers about what the pipeline did, none that it uses."""

from __future__ import annotations

import numpy as np


def auc(labels, scores) -> float:
    """The area under the ROC curve, by ranks; equal scores share theirs."""
    labels, scores = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float64)
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        raise ValueError("an AUC needs labels of both kinds")
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not pass."""
    if not values:
        raise ValueError("a percentile needs values")
    ordered = sorted(values)
    return ordered[max(0, int(np.ceil(share * len(ordered))) - 1)]
