//! What is found, held against what was promised.

use super::history::{Connection, Goodbye, History, place};
use super::lake::{self, Said};
use crate::segment::Durability;
use crate::vfs::Vfs;
use crate::vfs::faulty::FaultyVfs;

impl History {
    /// Recovers, and holds what is found against what was promised.
    pub(super) fn judge(&self, vfs: &FaultyVfs) -> Result<(), String> {
        for writer in 0..self.writers() {
            if self.start_writer(vfs, writer).is_none() {
                return Err("cannot start after the crash".to_owned());
            }
        }
        let left = vfs
            .list(&place().active)
            .map_err(|error| error.to_string())?;
        if let Some(name) = left.iter().find(|name| !name.starts_with('.')) {
            return Err(format!("{name} was left in active"));
        }
        let mut lake = lake::read(self, vfs)?;
        // With `durability: os` a power cut may take what was not sealed.
        let may_lose = self.power_was_cut && self.setting.durability == Durability::Os;
        for connection in &self.connections {
            let found = lake.remove(&connection.name).unwrap_or_default();
            let judged = frames(connection, &found, may_lose)
                .and_then(|()| ending(connection, &found, may_lose));
            judged.map_err(|what| format!("{what}: {found:?} of {connection:?}"))?;
        }
        match lake.keys().next() {
            Some(name) => Err(format!("nothing was ever sent over {name}")),
            None => Ok(()),
        }
    }
}

/// All that was reported durable, in order, once; and of the rest the beginning.
fn frames(of: &Connection, found: &[(i64, Said)], may_lose: bool) -> Result<(), String> {
    let mut ids = Vec::new();
    for (_, said) in found {
        if let Said::Frame(id) = said {
            ids.push(*id);
        }
    }
    let promised = if may_lose {
        of.published
    } else {
        of.acknowledged
    };
    if ids.len() < promised || !ids.starts_with(&of.sent[..promised]) {
        return Err(format!(
            "{promised} frames were promised and not all are found"
        ));
    }
    let is_as_sent = if may_lose {
        ids.is_sorted_by(|one, next| one < next) && ids.iter().all(|id| of.sent.contains(id))
    } else {
        of.sent.starts_with(&ids)
    };
    if is_as_sent {
        Ok(())
    } else {
        Err("out of order, twice, with a hole or never sent".to_owned())
    }
}

/// A connection that was open ends in one gap, from its last record on. No other does.
fn ending(of: &Connection, found: &[(i64, Said)], may_lose: bool) -> Result<(), String> {
    let is_end = |said: &Said| !matches!(said, Said::Frame(_));
    let Some(((_, last), before)) = found.split_last() else {
        return Ok(());
    };
    if before.iter().any(|(_, said)| is_end(said)) {
        return Err("it goes on after its end".to_owned());
    }
    let may_be_gap = may_lose || matches!(of.goodbye, Goodbye::Unsaid | Goodbye::Said);
    match last {
        Said::Gap(_) if !may_be_gap => Err("a gap although it was closed".to_owned()),
        Said::Gap(start) if !may_lose && before.last().map(|(at, _)| at) != Some(start) => {
            Err("a gap that does not begin at its last record".to_owned())
        }
        Said::Frame(_) if of.goodbye != Goodbye::Needless => {
            Err("it was open and does not end in a gap".to_owned())
        }
        Said::Disconnected if of.goodbye == Goodbye::Unsaid => Err("it never ended".to_owned()),
        _ => Ok(()),
    }
}
