//! What must hold for any bytes that are parsed: no panic, and quick ways that tell the same as the
//! general ones. Driven by proptest here and by libFuzzer in rust/fuzz.

use std::sync::Arc;

use super::number::{Grammar, Number};
use super::swar::Decimal;
use super::time::{self, Clock, UTC_TEXT};
use super::wide::{self, Job, Scalar, Wide, with_widest};
use super::{ParsedSegment, SegmentParser};
use crate::schema::Numbers;
use crate::schema::plan::Plan;

const COINBASE: &[u8] = include_bytes!("../../../../python/fluxforge/feeds/coinbase.json");

/// Parses a segment whole, in two pieces, and by several threads.
///
/// # Panics
/// If the books do not balance, a reject is not what stands at its place, or pieces or threads
/// change anything.
pub fn parse_any(bytes: &[u8]) {
    let cut = bytes
        .first()
        .map_or(0, |byte| bytes.len() * usize::from(*byte) / 256);
    let (first, second) = bytes.split_at(cut);
    let Some(whole) = parse(&[bytes]) else {
        assert!(
            parse(&[first, second]).is_none(),
            "a newer format, in pieces"
        );
        return;
    };
    let pieces = parse(&[first, second]).expect("the same format in pieces");
    hold(&whole, bytes);
    same(&whole, &pieces);
    assert_eq!(whole.rejects, pieces.rejects, "rejects");
    assert_eq!(whole.balance, pieces.balance, "books");
    // In pieces, too: threads go on with the books of the piece before.
    let whole_or_cut: [&[&[u8]]; 2] = [&[bytes], &[first, second]];
    for (threads, pieces) in [2, 3, 8].into_iter().zip(whole_or_cut.into_iter().cycle()) {
        let shared = parse_with(threads, pieces).expect("the same format for several threads");
        same(&whole, &shared);
        assert_eq!(
            whole.rejects, shared.rejects,
            "rejects of {threads} threads"
        );
        assert_eq!(whole.balance, shared.balance, "books of {threads} threads");
        assert_eq!(whole.events, shared.events, "events of {threads} threads");
        assert_eq!(
            whole.verified, shared.verified,
            "proof of {threads} threads"
        );
        assert_eq!(whole.raw_xxh3, shared.raw_xxh3, "hash of {threads} threads");
    }
}

/// Parses one line with nothing behind it, where steps that look far ahead cannot be taken, and
/// with much behind it, where they can. It comes twice, so that its shape is known the second time.
///
/// # Panics
/// If that makes a difference.
pub fn line_any(line: &[u8]) {
    let line: Vec<u8> = line.iter().copied().filter(|byte| *byte != b'\n').collect();
    if line.starts_with(b"{\"segment\":") {
        return;
    }
    let alone = [&line[..], b"\n", &line[..], b"\n"].concat();
    let ahead = [&alone[..], &[b' '; 80][..]].concat();
    let alone = parse(&[&alone]).expect("no header");
    let mut followed = parse(&[&ahead]).expect("no header");
    // The line of spaces is a reject of its own.
    followed.rejects.pop();
    assert_eq!(alone.rejects, followed.rejects, "rejects");
    same(&alone, &followed);
}

/// A decimal, by whatever way.
struct ADecimal<'t>(&'t [u8; wide::STEP]);

impl Job for ADecimal<'_> {
    type Done = Option<Decimal>;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a job: see `wide`")]
    fn with(self, wide: impl Wide) -> Self::Done {
        wide.decimal(self.0)
    }
}

/// Reads a quoted decimal in one step, by each way, and digit by digit.
///
/// # Panics
/// If the two differ, or a float is not the nearest.
pub fn number_any(text: &[u8]) {
    let general = Number::parse(text, Grammar::Text);
    let mut quoted = [text, b"\""].concat();
    let length = quoted.len();
    quoted.resize(length + wide::STEP, b'"');
    let window = quoted.first_chunk().expect("long enough");
    let ways = [with_widest(ADecimal(window)), ADecimal(window).with(Scalar)];
    let whole = |quick: &Decimal| quick.length == length;
    for quick in ways.into_iter().flatten().filter(whole) {
        let number = general.expect("what is read in one step is a number");
        let (float, inexact) = number.to_f64().expect("short, so in range");
        assert_eq!(quick.to_f64().to_bits(), float.to_bits(), "{text:?}");
        assert_eq!(Some(quick.to_scaled()), number.to_decimal(), "{text:?}");
        assert!(!inexact, "fifteen digits are exact: {text:?}");
    }
    if let Some((float, _)) = general.and_then(Number::to_f64) {
        let text = std::str::from_utf8(text).expect("digits");
        assert_eq!(
            text.parse().map(f64::to_bits),
            Ok(float.to_bits()),
            "{text}"
        );
    }
}

/// Reads times one after another, separated by line breaks, with a clock and without.
///
/// # Panics
/// If the two differ.
pub fn time_any(texts: &[u8]) {
    let mut clock = Clock::default();
    for text in texts.split(|byte| *byte == b'\n') {
        let mut ahead = [text, b"\""].concat();
        ahead.resize(ahead.len() + UTC_TEXT, b'"');
        // As its callers do: what does not end at the quote is read another way.
        let whole =
            |read: Option<(time::Instant, usize)>| read.filter(|(_, end)| *end == text.len());
        let read = clock.read(text, ahead.first_chunk());
        assert_eq!(whole(read), whole(time::parse_prefix(text)), "{text:?}");
    }
}

fn parse(pieces: &[&[u8]]) -> Option<ParsedSegment> {
    parse_with(1, pieces)
}

fn parse_with(threads: usize, pieces: &[&[u8]]) -> Option<ParsedSegment> {
    let plan = Plan::compile(COINBASE, Numbers::Float64).expect("the feed compiles");
    let mut parser = SegmentParser::new(Arc::new(plan)).with_threads(threads);
    for piece in pieces {
        parser.push(piece).ok()?;
    }
    parser.finish().ok()
}

fn hold(parsed: &ParsedSegment, bytes: &[u8]) {
    assert!(parsed.balance.holds(), "the books balance");
    for reject in &parsed.rejects {
        let place = usize::try_from(reject.offset).expect("inside the bytes");
        assert!(bytes[place..].starts_with(&reject.data), "a reject's place");
    }
}

fn same(one: &ParsedSegment, other: &ParsedSegment) {
    assert_eq!(one.partitions.len(), other.partitions.len(), "partitions");
    for (one, other) in one.partitions.iter().zip(&other.partitions) {
        assert_eq!(one.rows, other.rows, "rows");
        assert_eq!(one.inexact, other.inexact, "inexact");
    }
    assert_eq!(one.connections, other.connections, "connections");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINES: [&str; 4] = [
        r#"{"capture_ts":"2026-04-07T14:30:00.1Z","conn":"c","data":{"channel":"l2_data","client_id":"","timestamp":"2026-04-07T14:30:00Z","sequence_num":0,"events":[{"type":"update","product_id":"A-B","updates":[{"side":"bid","event_time":"2026-04-07T14:30:00.5Z","price_level":"1.25","new_quantity":"0"},{"side":"offer","event_time":"2026-04-07T14:30:00.5Z","price_level":"-12.5","new_quantity":"7"}]}]}}"#,
        r#"{"capture_ts":"2026-04-07T14:30:01Z","conn":"c","data":{"channel":"market_trades","timestamp":"2026-04-07T14:30:00Z","sequence_num":1,"events":[{"type":"update","trades":[{"product_id":"A-B","trade_id":"1","price":"2.5","size":"0.1","time":"2026-04-07T14:30:00Z","side":"BUY"}]}]}}"#,
        // A part of a segment that begins with it numbers texts and connections another way.
        r#"{"capture_ts":"2026-04-07T14:30:03Z","conn":"d","data":{"channel":"l2_data","timestamp":"2026-04-07T14:30:00Z","sequence_num":7,"events":[{"type":"snapshot","product_id":"A-B","updates":[{"side":"offer","event_time":"1970-01-01T00:00:00Z","price_level":"1.25","new_quantity":"0"}]}]}}"#,
        r#"{"capture_ts":"2026-04-07T14:30:02Z","data":{"channel":"ticker","events":[{"tickers":[{"product_id":"A-B","price":"123456.12345678","best_bid":null}]}]}}"#,
    ];

    fn harmed() -> impl Strategy<Value = Vec<u8>> {
        let places = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
        (prop::sample::select(&LINES[..]), places).prop_map(|(line, places)| {
            let mut line = line.as_bytes().to_vec();
            for (place, byte) in places {
                let place = place.index(line.len());
                line[place] = byte;
            }
            line
        })
    }

    #[test]
    fn rows_of_several_products_in_one_frame_keep_their_values() {
        let trade = |(at, product): (usize, char)| {
            let time = if at.is_multiple_of(3) {
                "1970-01-01T00:00:00Z"
            } else {
                "2026-04-07T14:30:00Z"
            };
            format!(
                r#"{{"trade_id":"{at}","product_id":"{product}-USD","price":"{at}","size":"1","side":"BUY","time":"{time}"}}"#
            )
        };
        let products = "ABBCCCABABBBBCCA";
        let line = |products: &str, from: usize| {
            let trades: Vec<_> = (from..).zip(products.chars()).map(trade).collect();
            let events = format!(r#"[{{"type":"update","trades":[{}]}}]"#, trades.join(","));
            format!(
                r#"{{"capture_ts":"2026-04-07T14:30:01Z","conn":"c","data":{{"channel":"market_trades","timestamp":"2026-04-07T14:30:00Z","sequence_num":1,"events":{events}}}}}"#
            )
        };
        // Alone, each row goes the way that needs no other; then all of them go together.
        let alone: Vec<_> = (0..)
            .zip(products.split_inclusive(|_| true))
            .map(|(at, p)| line(p, at))
            .collect();
        let space = " ".repeat(200);
        let alone = parse(&[format!("{}\n{space}", alone.join("\n")).as_bytes()]).unwrap();
        let together = parse(&[format!("{0}\n{space}", line(products, 0)).as_bytes()]).unwrap();
        assert_eq!(alone.partitions.len(), 3);
        for (one, other) in alone.partitions.iter().zip(&together.partitions) {
            for name in ["trade_id", "price", "time", "side"] {
                assert_eq!(
                    one.rows.column_by_name(name),
                    other.rows.column_by_name(name),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn only_json_becomes_rows() {
        for good in LINES.map(str::as_bytes) {
            for (place, byte) in (0..good.len()).flat_map(|at| b"]},:\"0 ".map(|byte| (at, byte))) {
                let mut line = good.to_vec();
                line[place] = byte;
                // After a good one, whose texts and order are known; before a reject.
                let followed = [good, b"\n", &line, b"\n", &[b'x'; 80]].concat();
                let parsed = parse(&[&followed]).expect("no header");
                let json = serde_json::from_slice::<serde::de::IgnoredAny>(&line);
                let text = String::from_utf8_lossy(&line);
                assert!(json.is_ok() || parsed.rejects.len() == 2, "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_line_says_the_same_whatever_follows(line in harmed()) {
            line_any(&line);
        }

        #[test]
        fn any_segment_says_the_same_in_pieces_and_by_threads(
            lines in prop::collection::vec(harmed(), 0..12))
        {
            parse_any(&lines.join(&b'\n'));
        }

        #[test]
        fn any_number_is_read_alike(text in "[-+]?[0-9]{0,9}[.e]?[0-9]{0,9}") {
            number_any(text.as_bytes());
        }

        #[test]
        fn any_times_are_read_alike(
            texts in prop::collection::vec("20(25-12-03|24-02-29)T14:00:0[0-2](\\.[0-9]{0,10})?(Z|z|\\+01:00)?", 1..9))
        {
            time_any(texts.join("\n").as_bytes());
        }
    }
}
