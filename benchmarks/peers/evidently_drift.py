"""Evidently's drift report of one CSV file against another. Runs in the peers' environment."""

import sys

import pandas
from evidently import Dataset, Report
from evidently.presets import DataDriftPreset

reference, current = (Dataset.from_pandas(pandas.read_csv(path)) for path in sys.argv[1:3])
print(len(Report([DataDriftPreset()]).run(current, reference).dict()["metrics"]))
