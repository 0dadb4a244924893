//! How fast a frame is validated, by each way to do it.
//!
//! ```text
//! json_speed FRAMES                 a frame a line; MB/s of each way, all taking turns
//! json_speed FRAMES WAY ROUNDS      that way alone, to be counted by callgrind
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "a measurement asks the machine for the time"
)]

use std::time::Instant;

use fluxforge_core::fuzzing::Validator;

/// Turns that each way takes.
const TURNS: usize = 31;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (path, alone) = match arguments[..] {
        [path] => (path, None),
        [path, way, rounds] => (path, Some((way, rounds))),
        _ => panic!("see the top of this file"),
    };
    let text = std::fs::read(path).expect("frames, one a line");
    let frames: Vec<&[u8]> = text.trim_ascii().split(|&byte| byte == b'\n').collect();
    let ways = Validator::all();
    if let Some((name, rounds)) = alone {
        let way = ways.iter().find(|way| format!("{way:?}") == name);
        let way = way.unwrap_or_else(|| panic!("one of {ways:?}, not {name}"));
        for _ in 0..rounds.parse().expect("a number") {
            assert!(frames.iter().all(|frame| way.is_one_line_json(frame)));
        }
        return;
    }
    let mut rates = vec![Vec::new(); ways.len()];
    for _ in 0..TURNS {
        for (way, rates) in ways.iter().zip(&mut rates) {
            let start = Instant::now();
            let valid = frames
                .iter()
                .filter(|frame| way.is_one_line_json(frame))
                .count();
            let took = start.elapsed().as_nanos();
            assert_eq!(valid, frames.len(), "all are valid");
            rates.push(text.len() as u128 * 1000 / took);
        }
    }
    for (way, mut rates) in ways.iter().zip(rates) {
        rates.sort_unstable();
        let [least, middle, most] = [0, TURNS / 2, TURNS - 1].map(|at| rates[at]);
        let name = format!("{way:?}");
        println!("{name:14}{middle:6} MB/s [{least}-{most}]");
    }
}
