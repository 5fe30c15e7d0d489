"""What machines cost, in a file of the user's that says of which day it is; without it, nothing here knows a price."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import Field, ValidationError

from mlplatform.errors import ProfileError
from mlplatform.spec.station import Strict
from mlplatform.spec.yaml_file import YamlFileError, read_documents

HOUR_S = 3600


class Prices(Strict):
    """The file that a profile's `prices` names."""

    currency: str = Field(pattern=r"^[A-Z]{3}$", description="Three letters, as ISO 4217 has them.")
    as_of: date = Field(description="The day on which they were looked up.")
    stale_days: int = Field(default=90, ge=1, description="Days after which they are told as old.")
    per_hour: dict[str, float] = Field(
        description="By instance type, as SageMaker calls it: what an hour of one costs."
    )

    def cost(self, machine: str, seconds: float) -> float | None:
        """What `seconds` of one `machine` cost; None where its price is not known."""
        price = self.per_hour.get(machine)
        return None if price is None else round(price * seconds / HOUR_S, 6)

    def told_of(self, today: date) -> str:
        """Of which day they are, and that they are old where they are."""
        days = (today - self.as_of).days
        return self.as_of.isoformat() + (f", {days} days old" if days > self.stale_days else "")


def read_prices(path: Path) -> Prices:
    """Raises ProfileError where the file is not there, or is wrong; names file and key."""
    try:
        documents = [value for _, value in read_documents(path)]
        found = Prices.model_validate(documents[0] if len(documents) == 1 else documents)
    except OSError as error:
        raise ProfileError(
            f"The profile's prices are to be in '{path}': {error.strerror}.",
            next_step="Write that file, or take 'prices' out of the profile.",
        ) from error
    except YamlFileError as error:
        raise ProfileError(str(error)) from error
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}, found {e['input']!r}" for e in error.errors()]
        raise ProfileError("\n".join(lines)) from error
    wrong = sorted(name for name, price in found.per_hour.items() if not 0 <= price < float("inf"))
    if wrong:
        raise ProfileError(f"{path}: per_hour.{wrong[0]}: expected a price from 0, found {found.per_hour[wrong[0]]}.")
    return found
