"""Write hosting/instances.json: what an endpoint can run on.

Which types exist comes from the service model of SageMaker in botocore; what each consists of,
from the answers of EC2's DescribeInstanceTypes that moto ships (``ml.g5.xlarge`` is EC2's
``g5.xlarge``). A type that EC2's record lacks keeps null. Run with the project's interpreter::

    python tools/generate_instance_table.py
"""

from __future__ import annotations

import datetime as dt
import gzip
import importlib.metadata
import json
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

OUTPUT = Path(__file__).parents[1] / "hosting" / "instances.json"


def main() -> None:
    shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]
    packed = files("moto").joinpath("ec2/resources/instance_types.json.gz").read_bytes()
    ec2 = json.loads(gzip.decompress(packed))
    versions = {name: importlib.metadata.version(name) for name in ("botocore", "moto")}
    types = {
        name: described(ec2[name.removeprefix("ml.")]) if name.removeprefix("ml.") in ec2 else None
        for name in sorted(shapes["ProductionVariantInstanceType"]["enum"])
    }
    head = {
        "source": " and ".join(f"{name} {version}" for name, version in versions.items()),
        "generated": dt.datetime.now(dt.UTC).date().isoformat(),
        "columns": ["vcpus", "memory_mib", "gpus", "gpu_memory_mib", "local_storage_gb"],
    }
    lines = [f'"{key}": {json.dumps(value)},' for key, value in head.items()]
    rows = ",\n".join(f'"{name}": {json.dumps(row)}' for name, row in types.items())
    OUTPUT.write_text("\n".join(["{", *lines, '"types": {', rows, "}", "}", ""]))
    sys.stdout.write(f"{OUTPUT}: {len(types)} types, {OUTPUT.stat().st_size} bytes\n")


def described(instance: Mapping[str, Any]) -> list[int]:
    gpus = instance.get("GpuInfo", {})
    return [
        instance["VCpuInfo"]["DefaultVCpus"],
        instance["MemoryInfo"]["SizeInMiB"],
        sum(gpu["Count"] for gpu in gpus.get("Gpus", [])),
        gpus.get("TotalGpuMemoryInMiB", 0),
        instance.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0),
    ]


if __name__ == "__main__":
    main()
