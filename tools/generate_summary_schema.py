"""Write the JSON schema of a benchmark's summary into the package."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarking import summary

if __name__ == "__main__":
    path = Path(summary.__file__).with_name(summary.SCHEMA_FILE)
    path.write_text(json.dumps(summary.json_schema(), indent=2) + "\n")
    print(path)
