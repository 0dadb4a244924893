//! Which products a frame brings, while they are waited for.

use memchr::memmem;

use crate::parse::scan::{Scanner, Text};

/// One product on one channel, by their names on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Awaited {
    channel: Box<str>,
    product: Box<str>,
    /// Only its whole book will do, no change of it.
    snapshot: bool,
}

impl Awaited {
    pub(super) fn new(channel: &str, product: &str, snapshot: bool) -> Self {
        Self {
            channel: channel.into(),
            product: product.into(),
            snapshot,
        }
    }

    pub(super) fn is_on(&self, channel: &[u8]) -> bool {
        self.channel.as_bytes() == channel
    }

    pub(super) fn names(&self) -> (&str, &str) {
        (&self.channel, &self.product)
    }

    pub(super) fn into_product(self) -> String {
        self.product.into()
    }
}

/// Takes out of `awaited` what a frame of a channel brings.
#[cold]
pub(super) fn take(
    awaited: &mut Vec<Awaited>,
    channel: &[u8],
    frame: &[u8],
) -> Vec<(String, String)> {
    let mut arrived = Vec::new();
    for_each_event(frame, |event| {
        awaited.retain(|wanted| {
            let came = wanted.is_on(channel)
                && (event.is_snapshot || !wanted.snapshot)
                && event.names(&wanted.product);
            if came {
                let (channel, product) = wanted.names();
                arrived.push((channel.to_owned(), product.to_owned()));
            }
            !came
        });
    });
    arrived
}

/// One element of a frame's `events`.
#[derive(Default)]
struct Event<'a> {
    is_snapshot: bool,
    product: Option<Text<'a>>,
    /// Arrays in it, whose rows may each name a product.
    rows: Vec<&'a [u8]>,
}

impl Event<'_> {
    fn names(&self, product: &str) -> bool {
        match self.product {
            Some(named) => named.raw == product.as_bytes(),
            None => self.rows.iter().any(|rows| rows_name(rows, product)),
        }
    }
}

/// Passes a frame's events; ends early where it is not JSON.
fn for_each_event<'a>(frame: &'a [u8], mut look: impl FnMut(&Event<'a>)) {
    let mut pass = || -> Option<()> {
        let mut scanner = Scanner::new(frame);
        let mut more = scanner.open(b'{', b'}', "").ok()?;
        while more {
            let key = scanner.key().ok()?;
            scanner.whitespace();
            if key.raw == b"events" && scanner.peek() == b'[' {
                let mut another = scanner.open(b'[', b']', "").ok()?;
                while another {
                    look(&event(&mut scanner)?);
                    another = scanner.more(b']').ok()?;
                }
            } else {
                scanner.skip_value().ok()?;
            }
            more = scanner.more(b'}').ok()?;
        }
        None
    };
    let _ = pass();
}

fn event<'a>(scanner: &mut Scanner<'a>) -> Option<Event<'a>> {
    let mut event = Event::default();
    let mut more = scanner.open(b'{', b'}', "").ok()?;
    while more {
        let key = scanner.key().ok()?;
        scanner.whitespace();
        match (key.raw, scanner.peek()) {
            (b"type", b'"') => event.is_snapshot = scanner.string("").ok()?.raw == b"snapshot",
            (b"product_id", b'"') => event.product = Some(scanner.string("").ok()?),
            (_, b'[') => event.rows.push(scanner.skip_value().ok()?),
            _ => drop(scanner.skip_value().ok()?),
        }
        more = scanner.more(b'}').ok()?;
    }
    Some(event)
}

/// Says whether a row in an array is of a product. A quote in a string has a backslash before it, so
/// the key with both its quotes is found as a key alone, or as a string of this very text.
fn rows_name(rows: &[u8], product: &str) -> bool {
    memmem::find_iter(rows, b"\"product_id\"").any(|at| {
        let rest = rows[at + b"\"product_id\"".len()..].trim_ascii_start();
        let value = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        value
            .and_then(|value| value.strip_prefix(b"\""))
            .and_then(|value| value.strip_prefix(product.as_bytes()))
            .is_some_and(|rest| rest.starts_with(b"\""))
    })
}
