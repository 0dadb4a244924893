//! The plan: a feed's description turned into what the scanner walks.
//!
//! Each depth of a table's array path is a [`Level`]: the keys of the objects found there and what
//! to do with each. Level 0 is the frame itself and is the same for all tables.

use super::{ColumnSpec, FeedError, FrameSpec, Kind, Numbers, Spec, TableSpec};
use crate::parse::time::{Instant, parse as parse_time};

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
    pub(crate) has_product: bool,
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

/// The keys of the objects at one depth.
#[derive(Debug)]
pub(crate) struct Level {
    /// `events[].` and the like: what stands before a key's name in a report.
    pub(crate) prefix: String,
    /// Where its part of a list begins that has one place per object begun and per field.
    pub(crate) slot: usize,
    pub(crate) fields: Vec<Field>,
    /// A bit per field that must have been seen before rows below can be read in place.
    pub(crate) needed: u64,
}

/// One known key.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) action: Action,
}

/// A text of the wire, mostly a key with its quotes and colon.
#[derive(Debug)]
pub(crate) struct Pattern {
    bytes: Vec<u8>,
    /// Its first 16 bytes, and ones where it has any: most keys are compared in one step.
    head: u128,
    mask: u128,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let bytes = text.as_bytes().to_vec();
        let (mut head, mut mask) = ([0; 16], [0; 16]);
        for (index, byte) in bytes.iter().take(16).enumerate() {
            head[index] = *byte;
            mask[index] = 0xff;
        }
        Self {
            bytes,
            head: u128::from_le_bytes(head),
            mask: u128::from_le_bytes(mask),
        }
    }

    /// The pattern's length if `text` begins with it.
    #[inline]
    pub(crate) fn length_in(&self, text: &[u8]) -> Option<usize> {
        let length = self.bytes.len();
        let found = match text.first_chunk() {
            Some(chunk) if u128::from_le_bytes(*chunk) & self.mask != self.head => false,
            Some(_) if length <= 16 => true,
            _ => text.starts_with(&self.bytes),
        };
        found.then_some(length)
    }
}

/// What to do with a known key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Route,
    Timestamp,
    Sequence,
    /// The field that names a frame without a route.
    Unrouted,
    /// The array whose objects are the next level.
    Rows,
    Column(usize),
    Product,
    Ignore,
}

impl Plan {
    /// Compiles a feed's description.
    pub fn compile(spec: &[u8], numbers: Numbers) -> Result<Self, FeedError> {
        let spec: Spec =
            serde_json::from_slice(spec).map_err(|e| FeedError(format!("cannot be read: {e}")))?;
        if spec.version != 1 {
            return Err(FeedError(format!(
                "{} has version {}, this FluxForge knows 1",
                spec.feed, spec.version
            )));
        }
        let mut plan = Self {
            numbers,
            capture: ColumnPlan {
                nullable: false,
                ..ColumnPlan::common(ENVELOPE[0], Kind::Timestamp)
            },
            envelope: Level::new(String::new()),
            frame: Level::new(String::new()),
            routes: Vec::new(),
            unrouted: Vec::new(),
            ignored: spec.frame.ignored_channels.clone(),
            tables: Vec::new(),
        };
        for key in ENVELOPE {
            plan.envelope.add(key, Action::Ignore)?;
        }
        for (index, channel) in spec.frame.ignored_channels.iter().enumerate() {
            plan.route(channel, Route::Ignored(index))?;
        }
        plan.compile_frame(&spec)?;
        for (name, table) in &spec.tables {
            for channel in &table.channels {
                plan.route(channel, Route::Table(plan.tables.len()))?;
            }
            plan.tables
                .push(TablePlan::compile(name, table, &spec.frame)?);
        }
        let mut slot = 0;
        for level in plan.levels_mut() {
            level.slot = slot;
            slot += level.fields.len() + 1;
        }
        Ok(plan)
    }

    fn levels_mut(&mut self) -> impl Iterator<Item = &mut Level> {
        let tables = self.tables.iter_mut().flat_map(|t| &mut t.levels);
        [&mut self.envelope, &mut self.frame]
            .into_iter()
            .chain(tables)
    }

    /// Every level, in the order of their slots.
    pub(crate) fn levels(&self) -> impl Iterator<Item = &Level> {
        let tables = self.tables.iter().flat_map(|t| &t.levels);
        [&self.envelope, &self.frame].into_iter().chain(tables)
    }

    fn route(&mut self, channel: &str, route: Route) -> Result<(), FeedError> {
        if self.route_of(channel.as_bytes()).is_some() {
            return Err(FeedError(format!("channel {channel} is routed twice")));
        }
        self.routes.push((channel.as_bytes().to_vec(), route));
        Ok(())
    }

    /// Where a channel's frames go. A venue has a handful of channels: no hash is worth it.
    #[inline]
    pub(crate) fn route_of(&self, channel: &[u8]) -> Option<Route> {
        let known = self.routes.iter().find(|(name, _)| name == channel);
        known.map(|(_, route)| *route)
    }

    fn compile_frame(&mut self, spec: &Spec) -> Result<(), FeedError> {
        let frame = &spec.frame;
        self.frame.add(&frame.route, Action::Route)?;
        for name in &frame.ignored_fields {
            self.frame.add(name, Action::Ignore)?;
        }
        self.frame.add(&frame.timestamp.path, Action::Timestamp)?;
        self.frame.add(&frame.sequence, Action::Sequence)?;
        let mut roots = spec.tables.values().map(|t| first_key(&t.rows));
        let root = roots
            .next()
            .ok_or_else(|| FeedError("has no tables".into()))?;
        if roots.any(|other| other != root) {
            return Err(FeedError("all rows must lie below the same key".into()));
        }
        self.frame.add(root, Action::Rows)?;
        if let Some(unrouted) = &frame.unrouted {
            self.frame.add(&unrouted.field, Action::Unrouted)?;
            for value in &unrouted.ignored {
                self.unrouted
                    .push((value.as_bytes().to_vec(), self.ignored.len()));
                self.ignored.push(value.clone());
            }
        }
        Ok(())
    }
}

impl TablePlan {
    fn compile(name: &str, spec: &TableSpec, frame: &FrameSpec) -> Result<Self, FeedError> {
        let mut table = Self {
            name: name.to_owned(),
            levels: levels(&spec.rows)?,
            columns: vec![
                ColumnPlan::common("server_ts", Kind::Timestamp),
                ColumnPlan::common("sequence_num", Kind::Integer),
                ColumnPlan::common("event_type", Kind::Dictionary),
            ],
            per_row: Vec::new(),
            per_run: vec![SERVER_TS, SEQUENCE_NUM, EVENT_TYPE],
            has_product: spec.product_id.is_some(),
        };
        table.columns[SERVER_TS].nulls = instants(&frame.timestamp.nulls)?;
        table.place(&frame.event_type, Action::Column(EVENT_TYPE))?;
        if let Some(path) = &spec.product_id {
            table.place(path, Action::Product)?;
        }
        for path in &spec.ignored_fields {
            table.place(path, Action::Ignore)?;
        }
        for column in &spec.columns {
            table.compile_column(column, &spec.rows, &frame.route)?;
        }
        table.declare_in_wire_order();
        Ok(table)
    }

    fn compile_column(
        &mut self,
        spec: &ColumnSpec,
        rows: &str,
        route: &str,
    ) -> Result<(), FeedError> {
        if !spec.nulls.is_empty() && spec.kind != Kind::Timestamp {
            return Err(FeedError(format!(
                "{}: only a timestamp has nulls",
                spec.name
            )));
        }
        let path = spec
            .path
            .clone()
            .unwrap_or_else(|| format!("{rows}.{}", spec.name));
        let mut column = ColumnPlan {
            name: spec.name.clone(),
            kind: spec.kind,
            nullable: spec.nullable,
            nulls: instants(&spec.nulls)?,
            lane: None,
            is_route: path == route,
        };
        if column.is_route {
            if column.kind != Kind::Dictionary {
                return Err(FeedError(format!(
                    "{}: the route is a dictionary",
                    spec.name
                )));
            }
        } else {
            let level = self.place(&path, Action::Column(self.columns.len()))?;
            column.lane = (level + 1 == self.levels.len()).then_some(self.per_row.len());
        }
        let list = match column.lane {
            Some(_) => &mut self.per_row,
            None => &mut self.per_run,
        };
        list.push(self.columns.len());
        self.columns.push(column);
        Ok(())
    }

    /// Adds the path's key to the level where it lies, and says which that is.
    fn place(&mut self, path: &str, action: Action) -> Result<usize, FeedError> {
        let (index, name) = self
            .levels
            .iter()
            .enumerate()
            .rev()
            .find_map(|(i, level)| Some((i, path.strip_prefix(&level.prefix)?)))
            .ok_or_else(|| FeedError(format!("{path} does not lie on the way to the rows")))?;
        self.levels[index].add(name, action)?;
        Ok(index)
    }

    /// Puts the array last: what its rows need usually stands before it on the wire.
    fn declare_in_wire_order(&mut self) {
        for level in &mut self.levels {
            level.fields.sort_by_key(|f| f.action == Action::Rows);
            level.needed = needed(&level.fields);
        }
    }
}

impl ColumnPlan {
    fn common(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            nullable: true,
            nulls: Vec::new(),
            lane: None,
            is_route: false,
        }
    }
}

impl Level {
    fn new(prefix: String) -> Self {
        Self {
            prefix,
            slot: 0,
            fields: Vec::new(),
            needed: 0,
        }
    }

    fn add(&mut self, name: &str, action: Action) -> Result<(), FeedError> {
        if name.is_empty() || name.contains(['.', '[', ']', '"', '\\']) {
            return Err(FeedError(format!(
                "{}{name} is no path to a value",
                self.prefix
            )));
        }
        if self.fields.iter().any(|f| f.name == name) {
            return Err(FeedError(format!(
                "{}{name} is declared twice",
                self.prefix
            )));
        }
        // One bit per field in `needed` and in what the scanner has seen.
        if self.fields.len() == 64 {
            return Err(FeedError(format!(
                "{} has more than 64 fields",
                self.prefix
            )));
        }
        self.fields.push(Field {
            name: name.to_owned(),
            pattern: Pattern::new(&format!("\"{name}\":")),
            action,
        });
        self.needed = needed(&self.fields);
        Ok(())
    }
}

fn needed(fields: &[Field]) -> u64 {
    let bits = fields.iter().enumerate().map(|(i, f)| match f.action {
        Action::Rows | Action::Ignore | Action::Unrouted => 0,
        _ => 1 << i,
    });
    bits.sum()
}

/// `events[].updates[]` is two levels: the events, and in each its updates.
fn levels(rows: &str) -> Result<Vec<Level>, FeedError> {
    let mut levels: Vec<Level> = Vec::new();
    let mut prefix = String::new();
    for part in rows.split('.') {
        let name = part
            .strip_suffix("[]")
            .ok_or_else(|| FeedError(format!("rows: {rows}: {part} is no array")))?;
        if let Some(level) = levels.last_mut() {
            level.add(name, Action::Rows)?;
        }
        prefix = format!("{prefix}{part}.");
        levels.push(Level::new(prefix.clone()));
    }
    Ok(levels)
}

fn first_key(rows: &str) -> &str {
    rows.split("[]").next().unwrap_or_default()
}

fn instants(texts: &[String]) -> Result<Vec<Instant>, FeedError> {
    let parse = |text: &String| {
        parse_time(text.as_bytes()).ok_or_else(|| FeedError(format!("{text} is not RFC 3339")))
    };
    texts.iter().map(parse).collect()
}
