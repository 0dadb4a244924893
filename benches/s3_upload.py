"""One sealed segment to S3: our exclusive, verified upload beside boto3's and the AWS CLI's.

    python benches/s3_upload.py [--mib 256] [--rounds 5]

Against Ceph's radosgw on loopback, its disk in memory, so what is measured is the client and the
protocol, not a network. The contenders take turns; the figures are medians, their spread, and the
ratio to boto3 of the same round. Ours does more: it hashes the file, creates it only if nothing
lies there, and compares what arrived. The CLI's time has its start in it, as its users pay it. CPU
is the client's alone: on a busy machine it says more than the clock.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import s3_servers


def contenders(
    server: s3_servers.S3Server, bucket: str, source: Path
) -> dict[str, Callable[[str], object]]:
    """Each uploads the file under a key that nothing has."""
    storage = server.storage(bucket=bucket)

    def ours(key: str) -> None:
        if not (storage.create_new_file(source, key) and storage.holds_file(source, key)):
            raise RuntimeError(f"{key} is not there")

    named = {
        "fluxforge: created, compared": ours,
        "fluxforge: created": lambda key: storage.create_new_file(source, key),
        "boto3 upload_file": lambda key: server.admin.upload_file(str(source), bucket, key),
    }
    cli = os.environ.get("FLUXFORGE_AWS_CLI") or shutil.which("aws")
    if cli:
        names = {"AWS_ACCESS_KEY_ID": s3_servers.ACCESS_KEY}
        names |= {"AWS_SECRET_ACCESS_KEY": s3_servers.SECRET_KEY, "AWS_REGION": "us-east-1"}
        names["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | names
        command = [cli, "s3", "cp", "--quiet", "--endpoint-url", server.endpoint, str(source)]
        named["aws s3 cp"] = lambda key: subprocess.run(
            [*command, f"s3://{bucket}/{key}"], check=True, env=environment
        )
    return named


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fluxforge-bench-") as directory:
        home = Path(directory)
        source = home / "segment.ndjson"
        source.write_bytes(os.urandom(1 << 20) * arguments.mib)
        (home / "radosgw").mkdir()
        with s3_servers.radosgw_serving(home / "radosgw") as server:
            bucket = server.bucket()
            named = contenders(server, bucket, source)
            times: dict[str, list[float]] = {name: [] for name in named}
            cpu: dict[str, list[float]] = {name: [] for name in named}
            for turn in range(arguments.rounds + 1):
                for name, upload in named.items():
                    key = f"{turn}/{name}"
                    began, used = time.perf_counter(), sum(os.times()[:4])
                    upload(key)
                    if turn:  # the first warms up
                        times[name].append(time.perf_counter() - began)
                        cpu[name].append(sum(os.times()[:4]) - used)
                    server.admin.delete_object(Bucket=bucket, Key=key)
    reference = times["boto3 upload_file"]
    for name, took in times.items():
        ratios = [mine / its for mine, its in zip(took, reference, strict=True)]
        print(
            f"{name:30} {statistics.median(took):7.3f} s "
            f"({min(took):.3f} to {max(took):.3f}), {statistics.median(ratios):5.2f} of boto3; "
            f"{statistics.median(cpu[name]):.2f} s of CPU"
        )


if __name__ == "__main__":
    main()
