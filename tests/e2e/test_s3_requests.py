"""What a segment costs on S3, counted where requests arrive: they are what is paid for."""

from __future__ import annotations

from collections import Counter
from urllib.parse import parse_qs, urlsplit

from chaos_proxy import proxied
from fluxforge.config import FluxForgeConfig
from fluxforge.etl import ETLJob
from segments import level2, local, trade, write_segment

# From ready/ to a tidied commit, beside a PUT for each part. Looks at ready/, reads of raw and
# heartbeats have numbers of their own: by the poll, the megabyte and the minute.
MOST = 8


def kind(method: str, path: str) -> str:
    parts = urlsplit(path)
    if "list-type" in parse_qs(parts.query):
        return "list"
    if parts.path.endswith(".beat"):
        return "heartbeat"
    if method == "GET" and "/raw/ready/" in parts.path:
        return "read"
    if "/part_" in parts.path:
        return "part"
    return "other"


def test_a_segment_costs_a_bounded_number_of_requests(moto, tmp_path):
    with proxied(moto.endpoint) as proxy:
        bucket = moto.bucket()
        direct = moto.storage(bucket=bucket)
        settings = moto.config(bucket, endpoint_url=proxy.endpoint)
        job = ETLJob(FluxForgeConfig.model_validate({"storage": settings}))
        frames = [level2("BTC-USD", 0, 1.5), level2("ETH-USD", 1, 2.5), trade("BTC-USD", 2, "t")]
        for _ in range(2):
            # The first also pays for the probe, the lake's registration and a sweep.
            proxy.seen.clear()
            segment = write_segment(local(tmp_path / "here"), frames)
            direct.create_new_file(segment, f"raw/ready/coinbase/{segment.name}")
            (commit,) = job.run_once().committed
        counts = Counter(kind(*each) for each in proxy.seen)
        assert counts["part"] == len(commit.parts) == 4  # with coverage
        assert counts["read"] == 3  # its header, the parser, the archive
        assert counts["other"] <= MOST, proxy.seen
