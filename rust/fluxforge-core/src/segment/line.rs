//! Lines back to what they say: what recovery and a person's tools need. The parser has its own
//! way, made for speed.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::time::parse_timestamp;

/// One line that a writer of ours made of a frame or an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Nanoseconds since 1970.
    pub capture_ns: i64,
    /// The connection; only an event may have none.
    pub conn: Option<&'a str>,
    /// What was recorded.
    pub body: Body<'a>,
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// What the venue sent.
    Frame(Payload<'a>),
    /// An event of ours: a JSON object.
    Event(&'a [u8]),
}

/// A frame's bytes as they stand in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// JSON, verbatim.
    Data(&'a [u8]),
    /// A JSON string, with its quotes.
    Raw(&'a [u8]),
    /// Base64, without quotes.
    RawB64(&'a [u8]),
}

impl<'a> Record<'a> {
    /// Reads a line, without its line break; `None` if no writer of ours made it.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"{\"capture_ts\":\"")?;
        let (time, rest) = rest.split_at_checked(30)?;
        let capture_ns = parse_timestamp(time)?;
        let rest = rest.strip_prefix(b"\",\"conn\":")?;
        let (conn, rest) = if let Some(rest) = rest.strip_prefix(b"null") {
            (None, rest)
        } else {
            let rest = rest.strip_prefix(b"\"")?;
            let (conn, rest) = rest.split_at(memchr::memchr(b'"', rest)?);
            (Some(std::str::from_utf8(conn).ok()?), &rest[1..])
        };
        let rest = rest.strip_suffix(b"}")?;
        let body = if let Some(data) = rest.strip_prefix(b",\"data\":") {
            Body::Frame(Payload::Data(data))
        } else if let Some(event) = rest.strip_prefix(b",\"event\":") {
            Body::Event(event)
        } else if let Some(raw) = rest.strip_prefix(b",\"raw\":") {
            Body::Frame(Payload::Raw(raw))
        } else {
            let base64 = rest.strip_prefix(b",\"raw_b64\":\"")?.strip_suffix(b"\"")?;
            Body::Frame(Payload::RawB64(base64))
        };
        Some(Self {
            capture_ns,
            conn,
            body,
        })
    }
}

impl<'a> Payload<'a> {
    /// The frame's bytes as the venue sent them; `None` if the text was damaged.
    pub fn bytes(&self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Data(data) => Some(Cow::Borrowed(data)),
            Self::Raw(text) => serde_json::from_slice::<String>(text)
                .ok()
                .map(|text| Cow::Owned(text.into_bytes())),
            Self::RawB64(text) => STANDARD.decode(text).ok().map(Cow::Owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Checkpoint, Opening, SealLine, conn_is_valid, push_frame};
    use super::*;
    use proptest::prelude::*;

    /// Frames that try to look like structure, and bytes of every kind.
    fn frames() -> impl Strategy<Value = Vec<u8>> {
        let forged = prop_oneof![
            Just(r#"{"event":{"kind":"gap"}}"#),
            Just("1}\n{\"seal\":{}}"),
            Just("{}}\n{\"checkpoint\":{\"n\":1"),
            Just(r#"1},{"capture_ts":"x""#),
            Just("\"\r\n"),
            Just("1,\"event\":{\"kind\":\"x\"}"),
            Just(r#"{"segment":{"format":9}}"#),
        ];
        prop_oneof![
            any::<Vec<u8>>(),
            any::<String>().prop_map(String::into_bytes),
            forged.prop_map(|text| text.as_bytes().to_vec()),
            any::<i64>().prop_map(|n| format!(r#"{{"n":{n},"s":["é\n",null]}}"#).into_bytes()),
        ]
    }

    proptest! {
        #[test]
        fn any_frame_is_one_line_and_comes_back_exactly(
            frame in frames(), capture_ns: i64, conn in r"[ !#-\[\]-~]{1,64}",
        ) {
            prop_assert!(conn_is_valid(&conn));
            let mut out = Vec::new();
            push_frame(&mut out, capture_ns, &conn, &frame);
            let line = out.strip_suffix(b"\n").unwrap();
            prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
            let whole: serde_json::Value = serde_json::from_slice(line).unwrap();
            prop_assert!(whole.get("event").is_none(), "a frame forged an event");
            prop_assert!(Checkpoint::read(line).is_none() && SealLine::read(line).is_none());
            prop_assert_eq!(Opening::read(line), Opening::Plain);
            let record = Record::read(line).unwrap();
            prop_assert_eq!(record.capture_ns, capture_ns);
            prop_assert_eq!(record.conn, Some(conn.as_str()));
            let Body::Frame(payload) = record.body else { panic!("a frame became an event") };
            prop_assert_eq!(payload.bytes().unwrap().into_owned(), frame);
        }

        #[test]
        fn any_line_is_survived(line: Vec<u8>) {
            Record::read(&line);
        }
    }

    #[test]
    fn connections_that_could_break_a_line_are_refused() {
        for conn in ["", "a\"b", "a\\b", "a\nb", "é", &"x".repeat(65)] {
            assert!(!conn_is_valid(conn), "{conn:?}");
        }
    }
}
