"""Writes the passenger list of the Titanic, which scikit-learn carries for its own tests, as two CSV files."""

import csv
import gzip
from importlib.resources import files
from pathlib import Path

COLUMNS = ["id", "name", "ticket", "survived", "class", "sex", "age", "siblings", "parents", "fare", "cabin", "port"]

source = files("sklearn").joinpath("datasets/tests/data/openml/id_40945/data-v1-dl-16826755.arff.gz")
lines = gzip.decompress(source.read_bytes()).decode().split("@data")[1].strip().splitlines()
rows = []
for number, fields in enumerate(csv.reader(lines), start=1):
    cls, survived, passenger, sex, age, siblings, parents, ticket, fare, cabin, port, *_ = fields
    row = [str(number), passenger, ticket, survived, cls, sex, age, siblings, parents, fare, cabin, port]
    rows.append(["" if value == "?" else value for value in row])

folder = Path("data")
folder.mkdir(exist_ok=True)
parts = {"first.csv": [r for r in rows if int(r[0]) % 4], "second.csv": [r for r in rows if not int(r[0]) % 4]}
for name, part in parts.items():
    with (folder / name).open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *part])
    print(f"{folder / name}: {len(part)} passengers")
