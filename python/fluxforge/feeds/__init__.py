"""A venue as data: what its frames look like and how one connects to it.

Each feed is one JSON file beside this module. The native parser compiles its ``frame`` and
``tables``; a collector reads its ``connection``.
"""

from fluxforge.feeds.feed import Connection, Feed, known_feeds, load_feed

__all__ = ["Connection", "Feed", "known_feeds", "load_feed"]
