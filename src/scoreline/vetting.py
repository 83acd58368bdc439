"""Vetting: whether a model may be used by this job and with these library versions, before any row is scored.

Three questions. Was it trained on the features that the job declares? Does it still predict for its golden rows what
it predicted on the day it was trained? And if there are no such rows: was it made with the versions that run now? It
knows models by `scoreline.abc` alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from scoreline.abc import Model, ModelFile
from scoreline.card import PREDICTED, Card, differing
from scoreline.errors import ModelFailed, ModelInvalid, ModelOutdated
from scoreline.job import Job

TOLERANCE = 1e-9
"""Of golden predictions: absolute below 1, relative above."""

_RUNTIMES = {"scikit-learn", "xgboost", "lightgbm", "onnxruntime"}
"""Packages that say what a model's numbers mean. The others (NumPy, SciPy, pandas, joblib) only add, multiply and read
bytes; they release often, and a changed prediction between minor versions would be a bug of theirs. A new major version
has changed promotion rules and defaults before, so that counts."""

Changes = dict[str, tuple[str, str]]
"""Package -> (version then, version now)."""


def vet(job: Job, model_file: ModelFile, model: Model, accept_version: bool = False) -> list[str]:  # noqa: FBT001, FBT002
    """Notes on a model that may be used.

    Args:
        job: the declaration.
        model_file: the pinned model; its card tells features, versions and golden rows.
        model: the same, loaded, in its original form.
        accept_version: uses a model of other versions although nothing shows that it scores the same.

    Returns:
        Sentences for the run's record; empty when there is nothing to say.

    Raises:
        ModelInvalid: it was trained on other features, or does not predict what it did with the same versions.
        ModelOutdated: it was made with other versions, and predicts something else or has nothing to show.
    """
    card = model_file.card()
    require_features(job, model_file)
    about = model.describe()
    # What the file itself says of its version is nearer to the truth than what was written beside it.
    changed = differing((card.made_with if card else {}) | about.get("made_with", {}))
    golden = _golden(card)
    if golden is not None and golden.height:
        asked = card.predict if card else job.predict
        if asked != job.predict:  # the rows hold what the training's job asked for
            model = model_file.load([feature.name for feature in job.features], asked)
        for form, kind in ((model, "the model"), (model.accelerated(), "the accelerated form of the model")):
            if form is not None:
                _require_golden(golden, form, kind, changed)
        return [f"{_made(changed)}; its {golden.height:,} golden rows score the same"] if changed else []
    if changed and about.get("changed"):  # nobody can know that it scores the same: it does not
        raise ModelOutdated(f"{_made(changed)}, and {about['changed']}", hint=_TRAIN, changed=changed)
    sound = about.get("structure") == "checked"
    if about.get("format") == "stable" and not any(_newer(*pair) for pair in changed.values()):
        return [f"{_made(changed)}; its format means the same to later versions"] if changed else []
    return _judged(changed, sound=sound, inert=about.get("read") == "by structure", accepted=accept_version)


def _judged(changed: Changes, *, sound: bool, inert: bool, accepted: bool) -> list[str]:
    """What other versions mean for a model without golden rows."""
    counting = {name: pair for name, pair in changed.items() if name in _RUNTIMES or _major(*pair)}
    if not counting:
        return []
    if sound:
        how = "it was read by structure, without running its code: " if inert else ""
        return [f"{_made(counting)}; {how}its vocabulary and coefficients were checked one by one"]
    if accepted:
        return [f"{_made(counting)} and has no golden rows; it was accepted by --accept-version"]
    raise ModelOutdated(
        f"{_made(counting)}, and it has no golden rows to show that it still scores the same",
        hint="train it again (scoreline train JOB RANGE), or score with the versions that it was made with, "
        "or, if you know that it scores the same, add --accept-version",
        changed=counting,
    )


def require_features(job: Job, model_file: ModelFile) -> None:
    """Refuses a model that learned from other features than the job computes (train/score skew).

    Raises:
        ModelInvalid: its card says so.
    """
    card = model_file.card()
    if card is None:
        return
    declared: list[dict[str, Any]] = json.loads(json.dumps([feature.declaration() for feature in job.features]))
    learned: list[dict[str, Any]] = json.loads(json.dumps(list(card.features)))
    if declared == learned:
        return
    told = list(_differences(_by_name(learned), _by_name(declared)))
    raise ModelInvalid(
        f"the model was trained by {card.job} on other features than this job declares: "
        + ("; ".join(told) or "they are in another order"),
        hint="declare the features as they were in training, or train the model again: scoreline train JOB RANGE",
    )


def _differences(learned: dict[str, Any], declared: dict[str, Any]) -> list[str]:
    told = [f"{name!r} is not declared" for name in learned if name not in declared]
    told += [f"{name!r} was not learned" for name in declared if name not in learned]
    for name, then in learned.items():
        now = declared.get(name, then)
        keys = sorted(key for key in then | now if then.get(key) != now.get(key))
        parts = [f"{key} {_brief(then.get(key))} then, {_brief(now.get(key))} now" for key in keys]
        told += [f"{name!r} differs ({', '.join(parts)})"] if parts else []
    return told


def _brief(value: Any) -> str:
    """A part of a declaration for people: an expression is recorded as its tree and its text."""
    text = json.loads(value)[-1] if isinstance(value, str) and value.startswith('[{"') else value
    return str(text)


def _by_name(features: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {str(form.get("name")): form for form in features}


def _golden(card: Card | None) -> pl.DataFrame | None:
    if card is None or card.golden is None:
        return None
    try:
        found = pl.read_parquet(card.golden, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ModelInvalid(f"the golden rows {card.golden} cannot be read: {error}", hint=_TRAIN) from error
    if PREDICTED not in found.columns:
        raise ModelInvalid(f"the golden rows {card.golden} hold no column {PREDICTED}", hint=_TRAIN)
    return found


def _require_golden(golden: pl.DataFrame, form: Model, called: str, changed: Changes) -> None:
    missing = [name for name in form.inputs if name not in golden.columns]
    if missing:
        raise ModelInvalid(f"the golden rows have no column {', '.join(map(repr, missing))}", hint=_TRAIN)
    refusal = ModelOutdated if changed else ModelInvalid
    why = f"{_made(changed)}, and " if changed else ""
    try:
        now = form.predict(golden.select(form.inputs)).values
    except ModelFailed as error:
        raise refusal(f"{why}{called} fails on its own golden rows: {error.message}", hint=_TRAIN) from error
    then = golden[PREDICTED]
    unequal = _unequal(then, now)
    rows = int(unequal.sum())
    if rows:
        raise refusal(
            f"{why}{called} does not predict what it did in training: {rows:,} of {golden.height:,} golden rows differ"
            + _gap(then, now),
            hint=_TRAIN,
            rows=rows,
        )


def _unequal(then: pl.Series, now: pl.Series) -> pl.Series:
    """(rows,) whether two predictions differ; null equals null, NaN equals NaN, labels have to be the same."""
    if isinstance(then.dtype, pl.Struct) or isinstance(now.dtype, pl.Struct):
        return _unequal_parts(then, now)
    if not (then.dtype.is_numeric() and now.dtype.is_numeric()):
        return ~then.cast(pl.String).eq_missing(now.cast(pl.String))
    a, b = then.cast(pl.Float64), now.cast(pl.Float64)
    bound = pl.select(pl.max_horizontal(pl.lit(1.0), a.abs())).to_series() * TOLERANCE
    near = ((a - b).abs() <= bound) & a.is_finite() & b.is_finite()
    return ~(a.eq_missing(b) | near.fill_null(value=False))


def _unequal_parts(then: pl.Series, now: pl.Series) -> pl.Series:
    """The same for several numbers in a row, which need to have the same names."""
    names, named = _parts(then), _parts(now)
    if not names or names != named:
        return pl.repeat(value=True, n=then.len(), eager=True)
    parts = [_unequal(then.struct.field(name), now.struct.field(name)) for name in names]
    return pl.select(pl.any_horizontal(then.is_null() ^ now.is_null(), *parts)).to_series()


def _parts(values: pl.Series) -> list[str]:
    return [part.name for part in values.dtype.fields] if isinstance(values.dtype, pl.Struct) else []


def _gap(then: pl.Series, now: pl.Series) -> str:
    if not (then.dtype.is_numeric() and now.dtype.is_numeric()):
        return ""
    gaps = (then.cast(pl.Float64) - now.cast(pl.Float64)).abs().drop_nulls()
    largest = gaps.filter(gaps.is_finite()).max()
    return f", by up to {largest:.6g}" if isinstance(largest, float) and largest else ""


def _made(changed: Changes) -> str:
    parts = [f"{name} {then} (now {now})" for name, (then, now) in changed.items()]
    return f"the model was made with {', '.join(parts)}"


def _newer(then: str, now: str) -> bool:
    """Whether a model's library is of a newer major version than the one that runs."""
    first = [text.split(".", 1)[0] for text in (then, now)]
    return not all(part.isdigit() for part in first) or int(first[0]) > int(first[1])


def _major(then: str, now: str) -> bool:
    return then.split(".", 1)[0] != now.split(".", 1)[0]


_TRAIN = "train the model again: scoreline train JOB RANGE"
