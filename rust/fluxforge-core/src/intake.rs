//! What is noticed of a connection's frames while they come, on their raw bytes.
//!
//! A frame is looked at once, when it arrives, on the thread that receives it: its number against
//! the one before it, its channel to be counted, and, only while somebody waits for a product, its
//! products. Nothing here decides anything or keeps a frame, and no frame is refused for what is
//! found in it: [`crate::parse`] judges later what the bytes are worth, and its count of a
//! connection's numbers is the one that coverage goes by.
//!
//! ```text
//! head        the envelope's own number and channel, whatever stands where
//! numbering   that number → gap, repeat or restart
//! arrivals    the products of a frame's events, while they are waited for
//! ```

mod arrivals;
mod head;
mod numbering;
#[cfg(test)]
mod tests;

use arrivals::Awaited;
use head::Head;
use numbering::Numbering;
pub use numbering::{Break, BreakKind};

/// More channels than a venue has: what has yet another name is counted together.
const MOST_CHANNELS: usize = 32;
const OTHER: &[u8] = b"(other)";

/// One connection's frames, from its first to its last.
#[derive(Debug, Default)]
pub struct Intake {
    numbering: Numbering,
    channels: Vec<Channel>,
    attended: Vec<Box<[u8]>>,
    awaited: Vec<Awaited>,
}

#[derive(Debug)]
struct Channel {
    name: Box<[u8]>,
    frames: u64,
}

/// What is not the rule about a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// Its number does not follow the one before.
    pub broken: Option<Break>,
    /// It is of a channel that is attended to, or of none: somebody should read it.
    pub attend: bool,
    /// Channel and product of what was waited for and came with it.
    pub arrived: Vec<(String, String)>,
}

impl Intake {
    /// Of a connection that has just been opened. Frames of the attended channels, and those
    /// without a channel, are to be read by whoever takes them in.
    pub fn new<'a>(attended: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            attended: attended
                .into_iter()
                .map(|name| name.as_bytes().into())
                .collect(),
            ..Self::default()
        }
    }

    /// Looks at the next frame. `None`: it is like those before.
    #[inline]
    pub fn observe(&mut self, frame: &[u8]) -> Option<Notice> {
        let mut scratch = Vec::new();
        let head = Head::read(frame);
        let broken = head.sequence.and_then(|seen| self.numbering.follow(seen));
        let channel = head.channel.and_then(|name| name.decode(&mut scratch).ok());
        let (attend, awaited) = match channel {
            Some(name) => {
                self.count(name);
                (
                    self.attended.iter().any(|attended| **attended == *name),
                    self.awaited.iter().any(|awaited| awaited.is_on(name)),
                )
            }
            None => (true, false),
        };
        if broken.is_none() && !attend && !awaited {
            return None;
        }
        let arrived = match channel {
            Some(name) if awaited => arrivals::take(&mut self.awaited, name, frame),
            _ => Vec::new(),
        };
        let notice = Notice {
            broken,
            attend,
            arrived,
        };
        (notice != Notice::default()).then_some(notice)
    }

    /// Waits for a product on a channel, by its names on the wire: for its next rows, or for its
    /// next snapshot.
    pub fn expect(&mut self, channel: &str, product: &str, snapshot: bool) {
        let awaited = Awaited::new(channel, product, snapshot);
        if !self.awaited.contains(&awaited) {
            self.awaited.push(awaited);
        }
    }

    /// Waits for nothing any more on a channel; says for what it had waited.
    pub fn forget(&mut self, channel: &str) -> Vec<String> {
        let forgotten = self
            .awaited
            .extract_if(.., |awaited| awaited.is_on(channel.as_bytes()));
        forgotten.map(Awaited::into_product).collect()
    }

    /// Channel and product of all that is waited for.
    pub fn awaited(&self) -> impl Iterator<Item = (&str, &str)> {
        self.awaited.iter().map(Awaited::names)
    }

    /// How many frames came, by channel.
    pub fn channels(&self) -> impl Iterator<Item = (String, u64)> {
        self.channels.iter().map(|channel| {
            (
                String::from_utf8_lossy(&channel.name).into_owned(),
                channel.frames,
            )
        })
    }

    #[inline]
    fn count(&mut self, name: &[u8]) {
        match self
            .channels
            .iter_mut()
            .find(|channel| *channel.name == *name)
        {
            Some(channel) => channel.frames += 1,
            None => self.count_first(name),
        }
    }

    #[cold]
    fn count_first(&mut self, name: &[u8]) {
        if self.channels.len() < MOST_CHANNELS {
            let name = name.into();
            self.channels.push(Channel { name, frames: 1 });
        } else if name != OTHER {
            self.count(OTHER);
        } else {
            let name = OTHER.into();
            self.channels.push(Channel { name, frames: 1 });
        }
    }
}
