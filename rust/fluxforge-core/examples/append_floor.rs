//! What a disk allows: the writer's bytes and its validation, written and synced in a plain loop.
//! No queue, no second thread, no checkpoints, no hashes. `benches/append_report.py` runs it.
//!
//! ```text
//! append_floor pace FRAMES OUT RATE SECONDS GROUP_BYTES    a group is what has come, at most that
//! append_floor crc FILE [COPY]          read it and sum it, and write and sync what was read
//! ```
//!
//! Frames come in bursts, one a millisecond; at RATE 0 the next is always there. Each answers with
//! one line of JSON, times in nanoseconds.
#![expect(
    clippy::disallowed_methods,
    reason = "a measurement asks the machine for the time"
)]

use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use fluxforge_core::segment::push_frame;

const TICK: Duration = Duration::from_millis(1);
/// A capture time like any other.
const CAPTURE_NS: i64 = 1_764_770_400_123_456_789;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["pace", frames, out, rate, seconds, group] => {
            let frames = std::fs::read(frames).expect("frames, one a line");
            let file = File::create(out).expect("a file that can be written");
            let seconds = Duration::from_secs_f64(seconds.parse().expect("seconds"));
            let rate = rate.parse().expect("frames a second");
            let group = group.parse().expect("bytes");
            println!("{}", pace(&frames, file, rate, seconds, group));
        }
        ["crc", path] => println!("{}", crc(path, None)),
        ["crc", path, copy] => println!("{}", crc(path, Some(copy))),
        _ => panic!("see the top of this file"),
    }
}

/// How often a second the kernel counts a process's user and system time.
const HERTZ: u64 = 100;

/// Nanoseconds of user and of system time, of this process, which has one thread.
fn user_and_system_ns() -> [u64; 2] {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = |at| fields.split_whitespace().nth(at)?.parse::<u64>().ok();
    [11, 12].map(|at| ticks(at).expect("a count") * (1_000_000_000 / HERTZ))
}

/// Nanoseconds that this process has computed.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = stat.split(' ').next().and_then(|n| n.parse().ok());
    nanos.expect("a count")
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("less than centuries")
}

fn quantiles(mut values: Vec<u64>) -> String {
    values.sort_unstable();
    let at = |per_mille: usize| values[(values.len() - 1) * per_mille / 1000];
    format!("[{},{},{}]", at(500), at(990), at(999))
}

fn pace(frames: &[u8], mut file: File, rate: u64, seconds: Duration, group: usize) -> String {
    let frames: Vec<&[u8]> = frames.trim_ascii().split(|&byte| byte == b'\n').collect();
    let per_tick = (rate / 1000).max(1);
    let mut frames = frames.iter().cycle();
    let (mut lags, mut syncs) = (Vec::new(), Vec::new());
    let (mut taken, mut bytes) = (0, 0);
    let mut lines = Vec::with_capacity(2 * group);
    let before = user_and_system_ns();
    let start = Instant::now();
    loop {
        let now = start.elapsed();
        if now >= seconds {
            break;
        }
        let ticks = nanos(now) / nanos(TICK) + 1;
        let come = if rate == 0 {
            u64::MAX
        } else {
            ticks * per_tick
        };
        if taken == come {
            let next = TICK * u32::try_from(ticks).expect("a short run");
            std::thread::sleep(next.saturating_sub(now));
            continue;
        }
        lines.clear();
        let first = taken;
        while taken < come && lines.len() < group {
            let frame = frames.next().expect("they go round");
            push_frame(&mut lines, CAPTURE_NS, "c1", frame);
            taken += 1;
        }
        file.write_all(&lines).expect("room on the disk");
        let written = Instant::now();
        file.sync_data().expect("a disk that syncs");
        syncs.push(nanos(written.elapsed()));
        bytes += lines.len();
        let durable = nanos(start.elapsed());
        lags.extend((first..taken).map(|at| match rate {
            0 => durable - nanos(now),
            _ => durable - at / per_tick * nanos(TICK),
        }));
    }
    let took = nanos(start.elapsed());
    let after = user_and_system_ns();
    let [user, system] = [0, 1].map(|at| after[at] - before[at]);
    let (groups, lag, sync) = (syncs.len(), quantiles(lags), quantiles(syncs));
    format!(
        r#"{{"frames":{taken},"bytes":{bytes},"groups":{groups},"took":{took},"user":{user},"system":{system},"lag":{lag},"sync":{sync}}}"#
    )
}

fn crc(path: &str, copy: Option<&str>) -> String {
    let mut file = File::open(path).expect("a file that can be read");
    let mut copy = copy.map(|path| File::create(path).expect("a file that can be written"));
    let mut piece = vec![0; 1 << 20];
    let (mut sum, mut bytes) = (0, 0);
    let cpu_before = cpu_ns();
    let start = Instant::now();
    loop {
        let len = file.read(&mut piece).expect("a file that can be read");
        if len == 0 {
            break;
        }
        sum = crc32c::crc32c_append(sum, &piece[..len]);
        bytes += len;
        if let Some(copy) = &mut copy {
            copy.write_all(&piece[..len]).expect("room on the disk");
        }
    }
    if let Some(copy) = &mut copy {
        copy.sync_data().expect("a disk that syncs");
    }
    let (took, cpu) = (nanos(start.elapsed()), cpu_ns() - cpu_before);
    format!(r#"{{"bytes":{bytes},"took":{took},"cpu":{cpu},"crc32c":{sum}}}"#)
}
