//! Strings with escapes, decoded.

use super::fault::Fault;
use super::scan::Text;

impl<'a> Text<'a> {
    /// The text itself, or decoded into `scratch` if it has escapes.
    #[inline]
    pub(crate) fn decode<'s>(self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Fault>
    where
        'a: 's,
    {
        if !self.escaped {
            return Ok(self.raw);
        }
        scratch.clear();
        unescape(self.raw, scratch)?;
        Ok(scratch)
    }
}

/// Appends the decoded form of a string whose escapes have been validated.
pub(crate) fn unescape(raw: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let letter = rest[at + 1];
        rest = &rest[at + 2..];
        let byte = match letter {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (character, length) = unicode(rest)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[length..];
                continue;
            }
            itself => itself,
        };
        out.push(byte);
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The character of the digits after `\u`, and of the second half of a pair if it is one.
fn unicode(rest: &[u8]) -> Result<(char, usize), Fault> {
    let first = hex(&rest[..4]);
    if let Some(character) = char::from_u32(first) {
        return Ok((character, 4));
    }
    let pair = rest.get(4..10).filter(|second| second.starts_with(b"\\u"));
    if let (0xd800..0xdc00, Some(second)) = (first, pair.map(|second| hex(&second[2..])))
        && (0xdc00..0xe000).contains(&second)
    {
        let joined = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return Ok((char::from_u32(joined).unwrap_or_default(), 10));
    }
    Err(Fault::new(
        "a string holds half a surrogate pair, which is no text",
    ))
}

fn hex(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value, digit| {
        value << 4 | char::from(*digit).to_digit(16).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(raw: &str) -> Option<String> {
        let mut out = Vec::new();
        unescape(raw.as_bytes(), &mut out).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn escapes_become_characters() {
        assert_eq!(
            decoded(r#"a\"\\\/\b\f\n\r\té"#).unwrap(),
            "a\"\\/\u{8}\u{c}\n\r\té"
        );
        assert_eq!(decoded(r"\ud83d\udca1!").unwrap(), "💡!");
        assert_eq!(decoded(r"\u0000").unwrap(), "\0");
        for half in [
            r"\ud83d",
            r"\ud83dx",
            r"\udca1",
            r"\ud83d\u0041",
            r"\ud83d\ud83d",
        ] {
            assert_eq!(decoded(half), None, "{half}");
        }
    }

    proptest! {
        #[test]
        fn what_serde_json_escapes_comes_back(text in any::<String>()) {
            let escaped = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(decoded(&escaped[1..escaped.len() - 1]).unwrap(), text);
        }
    }
}
