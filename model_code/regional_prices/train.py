"""Learn a price regression per city: ``python -m model_code.regional_prices.train [--out DIR]``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model_code.artifact_files import csv_bytes, json_bytes, moments, write_files
from model_code.regional_prices import houses

# Handlers import by bare name, because their archive is no package.
sys.path.append(str(Path(__file__).parents[1] / "shared"))
sys.path.append(str(Path(__file__).parent / "shared"))
from house_features import FEATURES, engineer

if TYPE_CHECKING:
    import numpy.typing as npt

_ARTIFACTS = Path(__file__).parent / "artifacts"
_HELD_OUT = 80
_SAMPLES = 5
_RANGES = {
    "year_built": [1700, 2030],
    "square_feet": [200, 20_000],
    "bedrooms": [0, 15],
    "bathrooms": [0.5, 15],
    "lot_acres": [0, 100],
    "garage_spaces": [0, 10],
    "front_porch": [0, 1],
    "deck": [0, 1],
}
_FLAGS = ["front_porch", "deck"]
# 80 % of a normal distribution lie within this many standard deviations.
_DEVIATIONS = 1.2816
# What matrix libraries agree on, whichever processor they were built for.
_DIGITS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn a price regression per city.")
    parser.add_argument("--out", type=Path, default=_ARTIFACTS, help="folder for the artifacts")
    print(json.dumps(train(parser.parse_args().out), indent=2))


def train(out: Path) -> dict[str, object]:
    """Write every artifact below ``out``; return the metrics."""
    markets = {city: houses.market(city) for city in houses.CITIES}
    known = np.concatenate([market.houses[:-_HELD_OUT] for market in markets.values()])
    mean, scale = moments(engineer(known, houses.REFERENCE_YEAR))
    files = {
        "features/house_form.json": json_bytes(
            {"ranges": _RANGES, "flags": _FLAGS, "reference_year": houses.REFERENCE_YEAR}, indent=1
        ),
        "features/standardization.json": json_bytes(
            {"columns": FEATURES, "mean": mean.tolist(), "scale": scale.tolist()}, indent=1
        ),
        "price/rounding.json": json_bytes({"step_usd": 100, "deviations": _DEVIATIONS}),
    }
    held_out: list[list[object]] = []
    errors: list[float] = []
    for city, market in markets.items():
        features = (engineer(market.houses, houses.REFERENCE_YEAR) - mean) / scale
        log_price = np.log(market.price_usd)
        weights, intercept, error = _fit(features[:-_HELD_OUT], log_price[:-_HELD_OUT])
        files[f"estimate/{houses.slug(city)}/regression.json"] = json_bytes(
            {
                "city": city,
                "features": FEATURES,
                "weights": weights.tolist(),
                "intercept": intercept,
                "error": error,
            },
            indent=1,
        )
        unseen = features[-_HELD_OUT:] @ weights + intercept
        errors.extend(np.abs(np.exp(unseen - log_price[-_HELD_OUT:]) - 1).tolist())
        held_out.extend(
            [houses.slug(city), *_described(house), int(price)]
            for house, price in zip(
                market.houses[-_SAMPLES:].tolist(), market.price_usd[-_SAMPLES:].tolist()
            )
        )
    metrics: dict[str, object] = {
        "cities": len(markets),
        "training_houses": len(known),
        "held_out_houses": len(errors),
        "held_out_median_error": round(float(np.median(errors)), 4),
    }
    files["metrics.json"] = json_bytes(metrics, indent=2)
    files["holdout.csv"] = csv_bytes(["target_model", *houses.COLUMNS, "price_usd"], held_out)
    sample = held_out[houses.CITIES.index("Austin, TX") * _SAMPLES][1:-1]
    files["samples/house.json"] = json_bytes(
        {"instances": [dict(zip(houses.COLUMNS, sample))]}, indent=1
    )
    files["samples/house.csv"] = csv_bytes(houses.COLUMNS, [sample])
    write_files(out, files)
    return metrics


def _fit(
    features: npt.NDArray[np.float64], log_price: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], float, float]:
    """Least squares; weights, intercept and the residuals' standard deviation."""
    design = np.column_stack([features, np.ones(len(features))])
    solution = np.linalg.lstsq(design, log_price, rcond=None)[0]
    residuals = log_price - design @ solution
    error = float(np.sqrt(residuals @ residuals / (len(log_price) - design.shape[1])))
    rounded = np.round(solution, _DIGITS)
    return rounded[:-1], float(rounded[-1]), round(error, _DIGITS)


def _described(house: list[float]) -> list[object]:
    """A house as an owner would write it: yes and no, and no decimal point without need."""
    described: list[object] = []
    for column, value in zip(houses.COLUMNS, house):
        if column in _FLAGS:
            described.append("yes" if value else "no")
        else:
            described.append(int(value) if value.is_integer() else value)
    return described


if __name__ == "__main__":
    main()
