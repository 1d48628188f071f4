"""Houses and prices, generated: each city values size, age and comfort in its own way."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

CITIES = (
    "Albuquerque, NM", "Atlanta, GA", "Austin, TX", "Baltimore, MD", "Boise, ID", "Boston, MA",
    "Charlotte, NC", "Chicago, IL", "Cleveland, OH", "Columbus, OH", "Dallas, TX", "Denver, CO",
    "Detroit, MI", "Houston, TX", "Indianapolis, IN", "Jacksonville, FL", "Kansas City, MO",
    "Las Vegas, NV", "Los Angeles, CA", "Louisville, KY", "Memphis, TN", "Miami, FL",
    "Milwaukee, WI", "Minneapolis, MN", "Nashville, TN", "New Orleans, LA", "New York, NY",
    "Omaha, NE", "Philadelphia, PA", "Phoenix, AZ", "Pittsburgh, PA", "Portland, OR",
    "Sacramento, CA", "Salt Lake City, UT", "San Francisco, CA", "Seattle, WA",
)  # fmt: skip
COLUMNS = (
    "year_built", "square_feet", "bedrooms", "bathrooms", "lot_acres", "garage_spaces",
    "front_porch", "deck",
)  # fmt: skip
REFERENCE_YEAR = 2025


class Market(NamedTuple):
    """Houses of one city and what they were sold for."""

    houses: npt.NDArray[np.float64]  # (n, 8), COLUMNS; porch and deck are 0 or 1
    price_usd: npt.NDArray[np.float64]  # (n,)


def slug(city: str) -> str:
    """``Austin, TX`` -> ``austin-tx``."""
    return city.lower().replace(",", "").replace(" ", "-")


def market(city: str, *, houses: int = 400) -> Market:
    """Generate a city's sales; the same ones at every call.

    Prices are log-linear in size, lot, age and comfort, with weights the city draws once, times a
    lognormal error of 7 to 13 percent.
    """
    # RandomState, because its streams are frozen; those of a Generator may change with NumPy.
    draw = np.random.RandomState(zlib.crc32(city.encode()))
    year = np.round(draw.triangular(1900, 1995, 2024, houses))
    feet = np.round(np.exp(draw.normal(7.5, 0.35, houses)).clip(450, 9000))
    bedrooms = np.round(feet / 650 + draw.normal(0, 0.7, houses)).clip(1, 7)
    bathrooms = (np.round(bedrooms * 1.3 + draw.normal(0, 0.9, houses)) / 2 + 0.5).clip(1, 6)
    acres = np.round(np.exp(draw.normal(-1.4, 0.7, houses)).clip(0.02, 8), 2)
    garage = draw.choice([0, 1, 2, 3], houses, p=[0.2, 0.3, 0.4, 0.1])
    porch = draw.binomial(1, 0.45, houses)
    deck = draw.binomial(1, 0.35, houses)

    log_usd_per_square_foot = draw.normal(5.3, 0.35)
    log_price = (
        log_usd_per_square_foot
        + np.log(feet)
        + draw.uniform(-0.35, -0.05) * (np.log(feet) - 7.5)
        - draw.uniform(0.001, 0.005) * (REFERENCE_YEAR - year)
        + draw.uniform(0.01, 0.03) * ((REFERENCE_YEAR - year) / 50) ** 2
        + draw.uniform(-0.01, 0.04) * bedrooms
        + draw.uniform(0.02, 0.08) * bathrooms
        + draw.uniform(0.02, 0.12) * np.log(acres + 0.1)
        + draw.uniform(0.01, 0.06) * garage
        + draw.uniform(0.0, 0.04) * porch
        + draw.uniform(0.0, 0.06) * deck
        + draw.normal(0, draw.uniform(0.07, 0.13), houses)
    )
    columns = [year, feet, bedrooms, bathrooms, acres, garage, porch, deck]
    return Market(np.column_stack(columns), np.round(np.exp(log_price), -2))
