"""Which hyperparameters a tuning job tries: at random within their ranges, or all of a grid."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

from mlplatform.errors import SpecError

_KINDS = ("ContinuousParameterRanges", "IntegerParameterRanges", "CategoricalParameterRanges")


def trials(config: Mapping[str, Any], ranges: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """One set of values after the other; a grid ends, the others do not.

    Bayesian and Hyperband are tried at random here: what they share is the contract, not the choice.
    """
    if config["Strategy"] == "Grid":
        lists = ranges.get("CategoricalParameterRanges", ())
        names = [given["Name"] for given in lists]
        for values in itertools.product(*(given["Values"] for given in lists)):
            yield dict(zip(names, values, strict=True))
        return
    dice = random.Random(config.get("RandomSeed"))
    while True:
        yield {given["Name"]: _value(dice, kind, given) for kind in _KINDS for given in ranges.get(kind, ())}


def check(config: Mapping[str, Any], ranges: Mapping[str, Any]) -> None:
    """Raises SpecError where the ranges are none."""
    if config["Strategy"] == "Grid" and (ranges.get(_KINDS[0]) or ranges.get(_KINDS[1])):
        raise SpecError("Grid search takes categorical parameters only.")
    names = [given["Name"] for kind in _KINDS for given in ranges.get(kind, ())]
    if not names:
        raise SpecError("There is no parameter to tune.")
    if len(names) != len(set(names)):
        raise SpecError("A parameter has two ranges.")
    for kind in _KINDS[:2]:
        for given in ranges.get(kind, ()):
            low, high = float(given["MinValue"]), float(given["MaxValue"])
            if low > high:
                raise SpecError(f"{given['Name']}: MinValue {low} is above MaxValue {high}.")
            if given.get("ScalingType") == "Logarithmic" and low <= 0:
                raise SpecError(f"{given['Name']}: a logarithmic range begins above 0.")


def _value(dice: random.Random, kind: str, given: Mapping[str, Any]) -> str:
    if kind == "CategoricalParameterRanges":
        return str(dice.choice(given["Values"]))
    low, high, scaling = float(given["MinValue"]), float(given["MaxValue"]), given.get("ScalingType", "Auto")
    if scaling == "Logarithmic":
        found = math.exp(dice.uniform(math.log(low), math.log(high)))
    elif scaling == "ReverseLogarithmic":
        found = 1 - math.exp(dice.uniform(math.log(1 - high), math.log(1 - low)))
    else:
        found = dice.uniform(low, high)
    # Rounding may go beyond the bounds.
    found = min(max(found, low), high)
    return str(round(found)) if kind == "IntegerParameterRanges" else repr(found)
