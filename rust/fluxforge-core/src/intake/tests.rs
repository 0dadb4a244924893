use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::parse::ConnectionSequence;

fn sequence(frame: &[u8]) -> Option<i64> {
    Head::read(frame).sequence
}

fn kinds(numbers: &[i64]) -> Vec<(BreakKind, i64, i64)> {
    let mut numbering = Numbering::default();
    let breaks = numbers.iter().filter_map(|n| numbering.follow(*n));
    breaks.map(|b| (b.kind, b.expected, b.seen)).collect()
}

#[test]
fn the_number_is_the_envelopes_own() {
    for (frame, number) in [
        (
            r#"{"channel":"l2_data","sequence_num":7,"events":[]}"#,
            Some(7),
        ),
        (
            r#"{"events":[{"sequence_num":3}],"channel":"x","sequence_num":7}"#,
            Some(7),
        ),
        (
            r#"{"events":[{"sequence_num":3}],"sequence_num":7,"channel":"x"}"#,
            Some(7),
        ),
        (r#"{"events":{"sequence_num":3},"channel":"x"}"#, None),
        (r#"{"events":[{"sequence_num":3}]}"#, None),
        (r#"{"events":[],"a":{"sequence_num":3}}"#, None),
        (r#"{"events":[],"sequence_num":-3 } "#, Some(-3)),
        (r#"{"events":[],"x\"sequence_num":3}"#, None),
        (r#"{"a":"{\"sequence_num\":3,","sequence_num":4}"#, Some(4)),
        (r#"{"a":"\"sequence_num\":3}"}"#, None),
        (r#" { "sequence_num" : 12 , "channel" : "x" } "#, Some(12)),
        (r#"{"sequence_num":"12"}"#, Some(12)),
        (r#"{"sequence\u005fnum":12}"#, Some(12)),
        (r#"{"sequence_num":12.5}"#, None),
        (r#"{"sequence_num":null}"#, None),
        (r#"{"sequence_num":99999999999999999999}"#, None),
        (r#"[{"sequence_num":3}]"#, None),
        ("", None),
        ("{", None),
        (r#"{"sequence_num":"#, None),
    ] {
        assert_eq!(sequence(frame.as_bytes()), number, "{frame}");
    }
}

#[test]
fn gap_repeat_and_restart() {
    use BreakKind::{Gap, Repeat, Restart};
    assert_eq!(kinds(&[0, 1, 2, 3]), []);
    assert_eq!(kinds(&[2, 3]), [(Gap, 0, 2)]);
    assert_eq!(kinds(&[0, 1, 5, 6]), [(Gap, 2, 5)]);
    assert_eq!(kinds(&[0, 1, 1, 2]), [(Repeat, 2, 1)]);
    assert_eq!(kinds(&[0, 1, 2, 0, 1]), [(Restart, 3, 0)]);
    assert_eq!(kinds(&[-4, 0]), [(Repeat, 0, -4)]);
    assert_eq!(kinds(&[i64::MAX, i64::MAX]).len(), 1);
}

#[test]
fn an_event_says_what_was_expected_and_seen() {
    let mut numbering = Numbering::default();
    let gap = numbering.follow(4).unwrap().event();
    let told: Value = serde_json::from_str(&gap).unwrap();
    let as_said =
        json!({"kind": "gap", "reason": "sequence", "expected": 0, "seen": 4, "missing": 4});
    assert_eq!(told, as_said);
    let repeat: Value = serde_json::from_str(&numbering.follow(3).unwrap().event()).unwrap();
    assert_eq!(repeat, json!({"kind": "repeat", "expected": 5, "seen": 3}));
}

#[test]
fn frames_are_counted_by_channel_and_strange_ones_together() {
    let mut intake = Intake::new(["subscriptions"]);
    for _ in 0..3 {
        assert_eq!(intake.observe(br#"{"channel":"ticker"}"#), None);
    }
    for n in 0..100 {
        intake.observe(format!(r#"{{"channel":"c{n}"}}"#).as_bytes());
    }
    let channels: Vec<_> = intake.channels().collect();
    assert_eq!(channels[0], ("ticker".to_owned(), 3));
    assert!(channels.len() <= MOST_CHANNELS + 1);
    assert_eq!(channels.iter().map(|(_, frames)| frames).sum::<u64>(), 103);
}

#[test]
fn what_nobody_knows_is_to_be_read() {
    let mut intake = Intake::new(["subscriptions"]);
    let attends = |notice: Option<Notice>| notice.is_some_and(|notice| notice.attend);
    assert!(attends(
        intake.observe(br#"{"type":"error","message":"no"}"#)
    ));
    assert!(attends(
        intake.observe(br#"{"channel":"subscriptions","sequence_num":0}"#)
    ));
    assert!(attends(intake.observe(b"\xff")));
    assert!(attends(intake.observe(br#"{"channel":null}"#)));
    assert!(!attends(
        intake.observe(br#"{"channel":"ticker","sequence_num":1}"#)
    ));
}

#[test]
fn products_are_taken_note_of_until_they_came() {
    let mut intake = Intake::new([]);
    intake.expect("ticker", "BTC-USD", false);
    intake.expect("ticker", "ETH-USD", false);
    intake.expect("l2_data", "BTC-USD", true);
    let mut arrived = |frame: &str| {
        let notice = intake.observe(frame.as_bytes());
        notice.map_or_else(Vec::new, |notice| notice.arrived)
    };
    let row = r#"{"channel":"ticker","events":[{"type":"snapshot","tickers":[{"type":"ticker","product_id":"ETH-USD"}]}]}"#;
    assert_eq!(arrived(row), [("ticker".to_owned(), "ETH-USD".to_owned())]);
    assert_eq!(arrived(row), []);
    let update =
        r#"{"channel":"l2_data","events":[{"type":"update","product_id":"BTC-USD","updates":[]}]}"#;
    assert_eq!(arrived(update), []);
    let both = r#"{"channel":"l2_data","events":[{"type":"update","product_id":"BTC-USD"},{"updates":[],"product_id":"BTC-USD","type":"snapshot"}]}"#;
    assert_eq!(
        arrived(both),
        [("l2_data".to_owned(), "BTC-USD".to_owned())]
    );
    assert_eq!(
        intake.awaited().collect::<Vec<_>>(),
        [("ticker", "BTC-USD")]
    );
    assert_eq!(intake.forget("ticker"), ["BTC-USD"]);
    assert_eq!(intake.awaited().count(), 0);
}

#[test]
fn a_products_name_in_a_text_is_no_product() {
    let mut intake = Intake::new([]);
    intake.expect("ticker", "BTC-USD", false);
    let frame = br#"{"channel":"ticker","events":[{"tickers":[{"x":"\"product_id\":\"BTC-USD\"","product_id":"BTC-USDC"}]}]}"#;
    assert_eq!(intake.observe(frame), None);
}

/// Any JSON, with the words that matter strewn over it.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("sequence_num".to_owned()),
        Just("channel".to_owned()),
        Just("events".to_owned()),
        Just("x\"sequence_num".to_owned()),
        Just("\"sequence_num\":3}".to_owned()),
        "[a-z\"\\\\{}:,é]{0,6}",
    ];
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(word.clone(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes JSON with the object's members turned round by so many, and white space where it may be.
fn written(value: &Value, turn: usize, space: &str) -> String {
    let list = |mut parts: Vec<String>| {
        if !parts.is_empty() {
            let by = turn % parts.len();
            parts.rotate_left(by);
        }
        parts.join(&format!("{space},{space}"))
    };
    match value {
        Value::Object(members) => {
            let parts = members.iter().map(|(key, value)| {
                let key = Value::from(key.as_str());
                format!("{key}{space}:{space}{}", written(value, turn, space))
            });
            format!("{{{space}{}{space}}}", list(parts.collect()))
        }
        Value::Array(values) => {
            let parts = values.iter().map(|value| written(value, 0, space));
            format!("[{space}{}{space}]", parts.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn the_head_of_any_json_is_what_a_whole_reading_finds(
        value in any_json(), turn in 0_usize..8, space in "[ \t\r\n]{0,2}")
    {
        let text = written(&value, turn, &space);
        let head = Head::read(text.as_bytes());
        let expected = match value.get("sequence_num") {
            Some(Value::String(text)) => text.parse().ok(),
            Some(number) => number.as_i64(),
            None => None,
        };
        prop_assert_eq!(head.sequence, expected, "{}", text);
        let channel = head.channel.map(|name| name.decode(&mut Vec::new()).unwrap().to_vec());
        let expected = value.get("channel").and_then(Value::as_str);
        prop_assert_eq!(channel.as_deref(), expected.map(str::as_bytes), "{}", text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in "[\\[\\]{},:\"\\\\0-9a-e.+ _numsq-]{0,60}") {
        let mut intake = Intake::new(["subscriptions"]);
        intake.expect("ticker", "BTC-USD", false);
        intake.observe(&bytes);
        intake.observe(cut.as_bytes());
        intake.observe(format!("{{\"channel\":\"ticker\",\"events\":{cut}").as_bytes());
    }

    #[test]
    fn the_gaps_are_those_that_the_parser_finds(numbers in prop::collection::vec(0_i64..9, 0..40)) {
        let mut parsed = ConnectionSequence::new("c", 0, false);
        // A connection's first number should be 0; who parses a segment cannot know where it began.
        parsed.observe(Some(0), 0, 0);
        let mut numbering = Numbering::default();
        numbering.follow(0);
        let mut gaps = Vec::new();
        for number in numbers {
            parsed.observe(Some(number), 0, 0);
            let found = numbering.follow(number);
            gaps.extend(found.filter(|found| found.kind == BreakKind::Gap));
        }
        let found: Vec<_> = gaps.iter().map(|gap| (gap.expected, gap.seen)).collect();
        let by_parser: Vec<_> = parsed.gaps.iter().map(|gap| (gap.expected, gap.seen)).collect();
        prop_assert_eq!(found, by_parser);
        prop_assert_eq!(gaps.iter().map(Break::missing).sum::<u64>(), parsed.missing);
    }
}
