//! All of it by every way that the machine has.

use proptest::collection::vec;
use proptest::prelude::*;

use super::MAX_DEPTH;
use super::fuzzing::json_any;

#[test]
fn accepts_every_kind_of_value() {
    for text in [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-12.5e+10",
        "1E5",
        "\"\"",
        "[]",
        "{}",
        " [ ] ",
        "\t{ } ",
        "[1,2 , 3]",
        r#"{"a":{"b":[{}]},"c":"\u00e9\n\ud83d\ude00"}"#,
        "\"é😀\u{2028}\"",
    ] {
        assert!(json_any(text.as_bytes()), "{text}");
    }
}

#[test]
fn refuses_what_is_no_value_or_breaks_the_line() {
    for text in [
        "",
        " ",
        "nul",
        "nulll",
        "tru",
        "01",
        "1.",
        ".5",
        "-",
        "+1",
        "1e",
        "1e+",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "[}",
        "{]",
        "[",
        "{",
        "]",
        "1 2",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "[1,\n2]",
        "{}\n",
        "\r{}",
        "\"a\nb\"",
        "\"\u{1}\"",
        "\u{feff}{}",
        "NaN",
        "'a'",
        "[1]]",
    ] {
        assert!(!json_any(text.as_bytes()), "{text:?}");
    }
    assert!(!json_any(b"\"\xff\""));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(json_any(nested(MAX_DEPTH as usize).as_bytes()));
    assert!(!json_any(nested(MAX_DEPTH as usize + 1).as_bytes()));
    let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    assert!(json_any(objects(MAX_DEPTH as usize).as_bytes()));
    assert!(!json_any(objects(MAX_DEPTH as usize + 1).as_bytes()));
}

fn serde_agrees(bytes: &[u8]) -> bool {
    let one_line = !bytes.iter().any(|b| matches!(b, b'\n' | b'\r'));
    one_line && serde_json::from_slice::<serde_json::Value>(bytes).is_ok()
}

proptest! {
    #[test]
    fn agrees_with_serde_on_near_json(text in r#"[\[\]{}:,"\\0-9a-cetrufalsn. \-+\x00\n]{0,24}"#) {
        // serde refuses numbers out of range, which the grammar allows.
        if serde_agrees(text.as_bytes()) {
            prop_assert!(json_any(text.as_bytes()));
        } else if json_any(text.as_bytes()) {
            prop_assert!(text.contains(['e', 'E']), "{text:?}");
        }
    }

    #[test]
    fn agrees_with_serde_on_strings_of_any_length(text in r#"[ -~é\x00-\x1f"\\]{0,40}"#) {
        let quoted = format!("\"{text}\"");
        prop_assert_eq!(json_any(quoted.as_bytes()), serde_agrees(quoted.as_bytes()));
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        json_any(&bytes);
    }
}

/// JSON with blanks here and there, strings with everything that is special outside of them.
fn json() -> impl Strategy<Value = String> {
    let string = prop_oneof![4 => "\"[ -!#-\\[\\]-~]{0,80}\"", 1 => r#""([\[\]{}:, a-cé]|\\["\\/bn]|\\u00e9|\\ud83d\\ude00){0,20}""#];
    let leaf = prop_oneof![
        string.clone(),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?",
        "true|false|null",
    ];
    let blank = prop_oneof![20 => Just(""), 3 => Just(" "), 1 => Just("   "), 1 => Just("\t")];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let list = vec((blank.clone(), inner.clone(), blank.clone()), 0..6);
        let items = list.prop_map(|all| {
            let all = all
                .into_iter()
                .map(|(before, item, after)| before.to_owned() + &item + after);
            format!("[{}]", all.collect::<Vec<_>>().join(","))
        });
        let list = vec((string.clone(), blank.clone(), blank.clone(), inner), 0..6);
        let members = list.prop_map(|all| {
            let all = (all.into_iter()).map(|(key, before, after, item)| {
                format!("{before}{key}{after}:{before}{item}{after}")
            });
            format!("{{{}}}", all.collect::<Vec<_>>().join(","))
        });
        prop_oneof![items, members]
    })
}

#[test]
fn an_escape_may_cross_into_a_block_without_another() {
    for by in 0..130 {
        let (before, after) = ("x".repeat(by), "y".repeat(70));
        for escape in ["\\\"", "\\\\", "\\u0022", "\\ud83d\\ude00"] {
            let text = format!("[\"{before}{escape}{after}\"]");
            assert!(json_any(text.as_bytes()), "{text}");
        }
    }
}

#[test]
fn a_block_ends_anywhere() {
    let text = r#"{"k":[{"a":"\"\\","b\ud83d\ude00":[]},{}, "é" ,-1.5e+3 , true,null,[[ ]],""],"":{"":0}} "#;
    for by in 0..130 {
        for padded in [
            format!("[\"{}\",{text}]", "x".repeat(by)),
            format!("[{}{text}]", " ".repeat(by)),
        ] {
            assert!(json_any(padded.as_bytes()), "{padded}");
            for at in 0..padded.len() {
                for with in [
                    &b"\""[..],
                    b"\\",
                    b",",
                    b":",
                    b"[",
                    b"}",
                    b" ",
                    b"\t",
                    b"\n",
                    b"7",
                    b"\xff",
                    b"",
                ] {
                    let mut harmed = padded.clone().into_bytes();
                    harmed.splice(at..=at, with.iter().copied());
                    json_any(&harmed);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn json_is_json(text in json()) {
        prop_assert!(json_any(text.as_bytes()), "{}", text);
    }

    #[test]
    fn harmed_json_is_judged_alike(
        text in json(),
        harms in vec((any::<prop::sample::Index>(), any::<bool>(), prop_oneof![
            prop::sample::select(&b"\"\\,:{}[] \t\n0-.et"[..]), any::<u8>()]), 1..4),
    ) {
        let mut bytes = text.into_bytes();
        for (at, insert, byte) in harms {
            let at = at.index(bytes.len());
            bytes.splice(at..at + usize::from(!insert), [byte]);
        }
        json_any(&bytes);
    }

    #[test]
    fn tokens_in_any_order_are_judged_alike(tokens in vec(prop::sample::select(&[
        "{", "}", "[", "]", ",", ":", "\"\"", "\"a\"", "\"\\\"\"", "\"é,\"", "1", "-0.5", "true", " ", "\t",
        "{\"k\":", "[1,", "],", "\"k\":[", "\"abcdefghijklmnopqrstuvwxyz0123456789\"",
    ][..]), 0..30)) {
        let text = tokens.concat();
        prop_assert_eq!(json_any(text.as_bytes()), serde_agrees(text.as_bytes()), "{}", text);
    }
}
