"""The rows that all versions learn from and score: made up, always the same, as columns of plain Python values."""

from __future__ import annotations

import numpy as np

ROWS = 400


def rows():
    """Column -> values. ``passengers`` has missing numbers, ``payment`` missing text; late rows have unseen routes."""
    random = np.random.RandomState(7)
    pickup, dropoff = random.randint(1, 9, ROWS), random.randint(1, 7, ROWS)
    pickup[300:] += random.randint(0, 3, ROWS - 300)
    distance = random.lognormal(1.2, 0.8, ROWS).round(2)
    hour = random.randint(0, 24, ROWS)
    fare = (3.0 + 2.5 * distance + random.uniform(0, 5, ROWS)).round(2)
    minutes = 4.0 + 3.1 * distance + 0.7 * pickup + 0.2 * abs(hour - 12) + random.uniform(0, 3, ROWS)
    passengers = random.randint(1, 7, ROWS).astype(object)
    passengers[random.uniform(size=ROWS) < 0.2] = None
    payments = np.array(["cash", "card", "none given", None], dtype=object)[random.randint(0, 4, ROWS)]
    return {
        "route": [f"{one}_{other}" for one, other in zip(pickup, dropoff, strict=True)],
        "zone": [f"zone {one}" for one in pickup],
        "payment": payments.tolist(),
        "distance": distance.tolist(),
        "passengers": [None if one is None else float(one) for one in passengers],
        "fare": fare.tolist(),
        "hour": hour.tolist(),
        "minutes": minutes.tolist(),
        "label": np.where(minutes < 14, "short", np.where(minutes < 24, "usual", "long")).tolist(),
    }
