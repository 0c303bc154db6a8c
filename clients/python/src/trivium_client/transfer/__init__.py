"""Collections as files: lines of JSON, or Parquet."""
