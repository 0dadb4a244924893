"""Reading segments: bytes in, Arrow out."""

from fluxforge.etl.readers.ndjson_reader import NDJSONReader
from fluxforge.etl.readers.parse import parse_segment

__all__ = ["NDJSONReader", "parse_segment"]
