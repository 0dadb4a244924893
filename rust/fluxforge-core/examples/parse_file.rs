//! Parses one file again and again: what a profiler is run on, and what two changes are compared
//! by where the machine is too busy for a clock.
//!
//! ```text
//! cargo run --release --example parse_file -- corpus.ndjson 10
//! valgrind --tool=callgrind --toggle-collect='*parse_file::parse*' target/release/examples/parse_file corpus.ndjson 1
//! ```

use std::sync::Arc;

use fluxforge_core::parse::{ParsedSegment, SegmentParser};
use fluxforge_core::schema::Numbers;
use fluxforge_core::schema::plan::Plan;

const COINBASE: &[u8] = include_bytes!("../../../python/fluxforge/feeds/coinbase.json");

/// Seconds that this thread has computed; what others do on the machine is not in it.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = stat.split(' ').next().and_then(|n| n.parse().ok());
    std::time::Duration::from_nanos(nanos.expect("a count")).as_secs_f64()
}

#[inline(never)]
fn parse(plan: &Arc<Plan>, data: &[u8]) -> ParsedSegment {
    let mut parser = SegmentParser::new(Arc::clone(plan));
    parser.push(data).expect("a format that is known");
    parser.finish().expect("a format that is known")
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("a path");
    let rounds = arguments.next().map_or(10, |n| n.parse().expect("a count"));
    let data = std::fs::read(path).expect("a file that can be read");
    let plan = Plan::compile(COINBASE, Numbers::Float64).expect("the feed compiles");
    let plan = Arc::new(plan);
    let mut seconds: Vec<f64> = Vec::new();
    for _ in 0..rounds {
        let begin = cpu_seconds();
        let parsed = parse(&plan, &data);
        seconds.push(cpu_seconds() - begin);
        assert!(parsed.balance.holds() && parsed.balance.rejected == 0);
    }
    seconds.sort_by(f64::total_cmp);
    let rate =
        |s: f64| f64::from(u32::try_from(data.len() >> 10).expect("below 4 TiB")) / 976.5625 / s;
    println!(
        "{:.0} MB/s best, {:.0} median of {rounds}",
        rate(seconds[0]),
        rate(seconds[seconds.len() / 2])
    );
}
