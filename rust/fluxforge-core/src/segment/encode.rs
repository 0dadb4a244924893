//! Frames and events to lines. Whatever a frame holds, it becomes exactly one line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::json::is_one_line_json;
use super::time::push_timestamp;

/// Says whether a connection's name can stand in a line: 1 to 64 printable ASCII characters
/// without quote and backslash.
pub fn conn_is_valid(conn: &str) -> bool {
    (1..=64).contains(&conn.len())
        && conn
            .bytes()
            .all(|b| matches!(b, 0x20..=0x7e) && b != b'"' && b != b'\\')
}

/// Appends the line of a frame. The connection's name must be valid.
pub fn push_frame(out: &mut Vec<u8>, capture_ns: i64, conn: &str, frame: &[u8]) {
    push_envelope(out, capture_ns, Some(conn));
    if is_one_line_json(frame) {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(frame);
    } else if let Ok(text) = std::str::from_utf8(frame) {
        out.extend_from_slice(b",\"raw\":");
        serde_json::to_writer(&mut *out, text).expect("memory takes writes");
    } else {
        out.extend_from_slice(b",\"raw_b64\":\"");
        push_base64(out, frame);
        out.push(b'"');
    }
    out.extend_from_slice(b"}\n");
}

/// Appends the line of an event of ours: one JSON object on one line, checked by [`event_kind`].
pub fn push_event(out: &mut Vec<u8>, capture_ns: i64, conn: Option<&str>, event: &[u8]) {
    push_envelope(out, capture_ns, conn);
    out.extend_from_slice(b",\"event\":");
    out.extend_from_slice(event);
    out.extend_from_slice(b"}\n");
}

fn push_envelope(out: &mut Vec<u8>, capture_ns: i64, conn: Option<&str>) {
    out.extend_from_slice(b"{\"capture_ts\":\"");
    push_timestamp(out, capture_ns);
    match conn {
        Some(conn) => {
            out.extend_from_slice(b"\",\"conn\":\"");
            out.extend_from_slice(conn.as_bytes());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"\",\"conn\":null"),
    }
}

fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD
        .encode_slice(bytes, &mut out[start..])
        .expect("four characters for three bytes");
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

/// The kind of an event, if it is one: a JSON object on one line with one string `kind`.
pub(crate) fn event_kind(event: &[u8]) -> Option<String> {
    if event.first() != Some(&b'{') || !is_one_line_json(event) {
        return None;
    }
    serde_json::from_slice::<Kind>(event)
        .ok()
        .map(|event| event.kind)
}
