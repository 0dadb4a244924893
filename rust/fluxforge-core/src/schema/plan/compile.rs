//! From a feed's description to its plan; what cannot be compiled says where and why.

use super::{
    Action, ColumnPlan, ENVELOPE, EVENT_TYPE, Level, Plan, Route, SEQUENCE_NUM, SERVER_TS,
    TablePlan,
};
use crate::parse::time::{Instant, parse as parse_time};
use crate::schema::{ColumnSpec, FeedError, FrameSpec, Kind, Numbers, Spec, TableSpec};

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

    fn route(&mut self, channel: &str, route: Route) -> Result<(), FeedError> {
        if self.route_of(channel.as_bytes()).is_some() {
            return Err(FeedError(format!("channel {channel} is routed twice")));
        }
        self.routes.push((channel.as_bytes().to_vec(), route));
        Ok(())
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
            routes: Vec::new(),
            has_product: spec.product_id.is_some(),
            product_in_rows: false,
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
            let mut others = column
                .channels
                .iter()
                .filter(|c| !spec.channels.contains(c));
            if let Some(other) = others.next() {
                let name = &column.name;
                return Err(FeedError(format!(
                    "{name}: {other} is no channel of {}",
                    table.name
                )));
            }
            table.compile_column(column, &spec.rows, &frame.route)?;
        }
        for level in &mut table.levels {
            level.declare_in_wire_order();
        }
        let mut in_rows = table.levels.last().into_iter().flat_map(|l| &l.fields);
        table.product_in_rows = in_rows.any(|f| f.action == Action::Product);
        let columns = table.columns.iter().enumerate();
        table.routes = columns
            .filter(|(_, c)| c.is_route)
            .map(|(i, _)| i)
            .collect();
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
            if let Some(field) = self.levels[level].fields.last_mut() {
                field.wire = spec.wire;
                field.channels.clone_from(&spec.channels);
            }
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
