//! Whatever bytes come, in whatever pieces: no panic, and the books balance.

use std::sync::Arc;

use fluxforge_core::parse::{ParsedSegment, SegmentParser};
use fluxforge_core::schema::Numbers;
use fluxforge_core::schema::plan::Plan;
use proptest::prelude::*;

const COINBASE: &[u8] = include_bytes!("../../../python/fluxforge/feeds/coinbase.json");
const FRAMES: [&str; 4] = [
    include_str!("../../../tests/data/coinbase/l2_update.json"),
    include_str!("../../../tests/data/coinbase/ticker.json"),
    include_str!("../../../tests/data/coinbase/market_trades.json"),
    include_str!("../../../tests/data/coinbase/heartbeats.json"),
];

fn parse(pieces: &[&[u8]]) -> ParsedSegment {
    let plan = Plan::compile(COINBASE, Numbers::Float64).expect("the feed compiles");
    let mut parser = SegmentParser::new(Arc::new(plan));
    for piece in pieces {
        parser.push(piece).expect("no header of a newer format");
    }
    parser.finish().expect("no header of a newer format")
}

fn line(frame: &str) -> Vec<u8> {
    let data = frame.trim();
    format!("{{\"capture_ts\":\"2026-04-07T14:30:00Z\",\"conn\":\"c\",\"data\":{data}}}\n").into()
}

fn rows(parsed: &ParsedSegment) -> usize {
    parsed.partitions.iter().map(|p| p.rows.num_rows()).sum()
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let good = (0..FRAMES.len()).prop_map(|index| line(FRAMES[index]));
    let damaged = (good.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(mut line, at, byte)| {
            let at = at.index(line.len());
            line[at] = byte;
            line
        },
    );
    let noise = prop::collection::vec(any::<u8>(), 0..60);
    let line = prop_oneof![4 => good, 4 => damaged, 1 => noise];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

#[test]
fn the_documented_frames_become_rows() {
    let data: Vec<u8> = FRAMES.iter().flat_map(|frame| line(frame)).collect();
    let parsed = parse(&[&data]);
    assert_eq!((parsed.balance.parsed, parsed.balance.rejected), (3, 0));
    assert_eq!(parsed.balance.ignored["heartbeats"], 1);
    assert_eq!(rows(&parsed), 5);
}

proptest! {
    #[test]
    fn the_books_balance_whatever_comes(data in lines()) {
        let parsed = parse(&[&data]);
        prop_assert!(parsed.balance.holds());
        prop_assert_eq!(parsed.balance.rows.values().sum::<u64>(), rows(&parsed) as u64);
        prop_assert_eq!(parsed.balance.rejected, parsed.rejects.len() as u64);
        for reject in &parsed.rejects {
            let offset = usize::try_from(reject.offset).unwrap();
            prop_assert!(data[offset..].starts_with(&reject.data));
        }
    }

    #[test]
    fn pieces_change_nothing(data in lines(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
        cuts.extend([0, data.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &data[pair[0]..pair[1]]).collect();
        let (whole, cut) = (parse(&[&data]), parse(&pieces));
        prop_assert_eq!(whole.raw_xxh3, cut.raw_xxh3);
        prop_assert_eq!(whole.balance, cut.balance);
        prop_assert_eq!(whole.rejects, cut.rejects);
        prop_assert_eq!(whole.connections, cut.connections);
        for (one, other) in whole.partitions.iter().zip(&cut.partitions) {
            prop_assert_eq!(&one.rows, &other.rows);
        }
        prop_assert_eq!(whole.partitions.len(), cut.partitions.len());
    }
}
