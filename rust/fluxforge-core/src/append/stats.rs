//! What the writer counts, and how long it takes.

use hdrhistogram::Histogram;

/// An hour: anything slower counts as that.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// A snapshot of a writer's counters. Lags run from a frame's capture to its group's sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Durable frames.
    pub frames: u64,
    /// Durable events.
    pub events: u64,
    /// Durable bytes, checkpoints not counted.
    pub bytes: u64,
    /// Frames refused for a full queue under `on_full: drop`.
    pub dropped: u64,
    /// Groups written.
    pub groups: u64,
    /// Segments closed by this writer.
    pub segments_sealed: u64,
    /// Segments of dead writers closed at the start.
    pub segments_recovered: u64,
    /// Files given up because the disk failed under them.
    pub poisonings: u64,
    /// Bytes waiting to become durable.
    pub queue_bytes: u64,
    /// Half of the records were durable this soon.
    pub lag_p50_ns: u64,
    /// 99% were durable this soon.
    pub lag_p99_ns: u64,
    /// 99.9% were durable this soon.
    pub lag_p999_ns: u64,
    /// All were durable this soon.
    pub lag_max_ns: u64,
    /// Half of the groups took at most this long to write and sync.
    pub sync_p50_ns: u64,
    /// 99% of the groups took at most this long to write and sync.
    pub sync_p99_ns: u64,
    /// The disk is full, or fuller than `min_free` allows; capture waits.
    pub waiting_for_space: bool,
    /// Why sealed segments still lie in active/, if they do.
    pub publish_error: Option<String>,
    /// What had been durable and a failing disk did not give back, if it ever did not.
    pub damage: Option<String>,
}

/// Collects what only the writer's thread sees.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) counts: WriterStats,
    lag: Histogram<u64>,
    sync: Histogram<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let histogram = || Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("valid bounds");
        Self {
            counts: WriterStats::default(),
            lag: histogram(),
            sync: histogram(),
        }
    }

    pub(crate) fn durable(&mut self, capture_times: impl Iterator<Item = i64>, now_ns: i64) {
        for capture_ns in capture_times {
            // A clock that was set back makes a lag negative: it is unknown, and counts as none.
            let lag = u64::try_from(now_ns.saturating_sub(capture_ns)).unwrap_or(0);
            self.lag.saturating_record(lag);
        }
    }

    pub(crate) fn synced(&mut self, took_ns: u64) {
        self.sync.saturating_record(took_ns);
    }

    pub(crate) fn snapshot(&self) -> WriterStats {
        WriterStats {
            lag_p50_ns: self.lag.value_at_quantile(0.5),
            lag_p99_ns: self.lag.value_at_quantile(0.99),
            lag_p999_ns: self.lag.value_at_quantile(0.999),
            lag_max_ns: self.lag.max(),
            sync_p50_ns: self.sync.value_at_quantile(0.5),
            sync_p99_ns: self.sync.value_at_quantile(0.99),
            ..self.counts.clone()
        }
    }
}
