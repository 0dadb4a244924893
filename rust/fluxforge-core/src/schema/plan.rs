//! The plan: a feed's description turned into what the scanner walks.
//!
//! Each depth of a table's array path is a [`Level`]: the keys of the objects found there and what
//! to do with each. Level 0 is the frame itself and is the same for all tables.

mod compile;
mod level;
mod pattern;

use super::{Kind, Numbers};
use crate::parse::time::Instant;

pub(crate) use level::{Action, Level};
pub(crate) use pattern::Pattern;

/// Columns that stand before a table's own and come from the frame or its events.
pub(crate) const SERVER_TS: usize = 0;
pub(crate) const SEQUENCE_NUM: usize = 1;
pub(crate) const EVENT_TYPE: usize = 2;

/// The envelope's keys as the writer orders them.
pub(crate) const ENVELOPE: [&str; 6] = ["capture_ts", "conn", "data", "raw", "raw_b64", "event"];

/// A compiled feed.
#[derive(Debug)]
pub struct Plan {
    pub(crate) numbers: Numbers,
    /// The envelope's own time, as if it were a column.
    pub(crate) capture: ColumnPlan,
    /// Our own keys around a frame, in the order of [`ENVELOPE`].
    pub(crate) envelope: Level,
    pub(crate) frame: Level,
    pub(crate) routes: Vec<(Vec<u8>, Route)>,
    pub(crate) unrouted: Vec<(Vec<u8>, usize)>,
    /// Names under which frames are ignored.
    pub(crate) ignored: Vec<String>,
    /// In the order of their names.
    pub(crate) tables: Vec<TablePlan>,
}

/// Where a channel's frames go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Route {
    Table(usize),
    Ignored(usize),
}

/// A compiled table.
#[derive(Debug)]
pub(crate) struct TablePlan {
    pub(crate) name: String,
    /// Level 1 and deeper; the last one's objects are the rows.
    pub(crate) levels: Vec<Level>,
    pub(crate) columns: Vec<ColumnPlan>,
    /// The columns of which each row has its own value…
    pub(crate) per_row: Vec<usize>,
    /// …and those that are filled in for a run of rows.
    pub(crate) per_run: Vec<usize>,
    /// The columns that say the channel.
    pub(crate) routes: Vec<usize>,
    pub(crate) has_product: bool,
    /// The product is a row's own, not its event's.
    pub(crate) product_in_rows: bool,
}

/// One column of the plan.
#[derive(Debug)]
pub(crate) struct ColumnPlan {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
    pub(crate) nulls: Vec<Instant>,
    /// Its place among the columns of which each row has its own value, if it is one.
    pub(crate) lane: Option<usize>,
    /// Taken from the route, not from a key of its own.
    pub(crate) is_route: bool,
}

impl Plan {
    /// Every level, in the order of their slots.
    pub(crate) fn levels(&self) -> impl Iterator<Item = &Level> {
        let tables = self.tables.iter().flat_map(|t| &t.levels);
        [&self.envelope, &self.frame].into_iter().chain(tables)
    }

    /// Where a channel's frames go. A venue has a handful of channels: no hash is worth it.
    #[inline]
    pub(crate) fn route_of(&self, channel: &[u8]) -> Option<Route> {
        let known = self.routes.iter().find(|(name, _)| name == channel);
        known.map(|(_, route)| *route)
    }
}
