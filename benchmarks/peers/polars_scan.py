"""Read every cell of a file with polars and do nothing with it: the yardstick. Runs in the peers' environment."""

import sys

import polars

path = sys.argv[1]
lazy = polars.scan_csv(path, infer_schema_length=2000) if path.endswith("csv") else polars.scan_parquet(path)
print(sum(batch.height for batch in lazy.collect_batches(chunk_size=250_000, maintain_order=False)))
