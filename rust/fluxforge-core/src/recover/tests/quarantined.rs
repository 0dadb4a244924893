//! What lies in quarantine/, and under which name.

use super::*;

#[test]
fn evidence_that_has_the_same_name_is_not_replaced() {
    let vfs = disk();
    let mut builder = Builder::new(1, 1, None)
        .group(&["1"])
        .group(&["2"])
        .group(&["3"]);
    let at = builder.starts[2];
    let name = format!("{NAME}.{at}.corrupt");
    vfs.put(&place().quarantine.join(&name), b"of another segment");
    builder.bytes[at + 60] ^= 1;
    // The last is the second once more: it is kept already.
    for byte in [b'x', b'y', b'x'] {
        builder.bytes[at + 61] = byte;
        builder.put(&vfs);
        recover(&vfs, &place()).unwrap();
        vfs.unlink(&place().ready.join(NAME)).unwrap();
    }
    let names = vfs.list(&place().quarantine).unwrap();
    assert_eq!(
        names,
        [name.clone(), format!("{name}.1"), format!("{name}.2")]
    );
    let first = vfs.read(&place().quarantine.join(&name)).unwrap();
    assert_eq!(first, b"of another segment");
}

#[test]
fn a_segment_without_proof_goes_to_quarantine_whole() {
    let vfs = disk();
    let mut builder = Builder::new(1, 1, None);
    let at = builder.starts[1] - 10;
    builder.bytes[at] ^= 1;
    builder.put(&vfs);
    assert_eq!(
        recover(&vfs, &place()).unwrap()[0].outcome,
        Outcome::Quarantined
    );
    assert_eq!(
        vfs.read(&place().quarantine.join(NAME)).unwrap(),
        builder.bytes
    );
}

#[test]
fn a_segment_whose_first_bytes_rotted_goes_to_quarantine_whole() {
    let mut rotten = Builder::new(1, 1, None).group(&["1"]).bytes;
    rotten[..4].fill(0);
    for bytes in [rotten, Vec::new(), b"{\"capture_ts\":\"x\"}\n".to_vec()] {
        let vfs = disk();
        vfs.put(&place().active.join(NAME), &bytes);
        let report = recover(&vfs, &place()).unwrap();
        assert_eq!(report[0].outcome, Outcome::Quarantined);
        assert_eq!(vfs.read(&place().quarantine.join(NAME)), Some(bytes));
    }
}

#[test]
fn quarantine_keeps_every_segment_that_had_the_same_name() {
    let vfs = disk();
    // The last is the first once more: it is kept already.
    for bytes in [b"one", b"two", b"six", b"one"] {
        vfs.put(&place().active.join(NAME), bytes);
        assert_eq!(
            recover(&vfs, &place()).unwrap()[0].outcome,
            Outcome::Quarantined
        );
    }
    let names = vfs.list(&place().quarantine).unwrap();
    let kept = |name| vfs.read(&place().quarantine.join(name)).unwrap();
    let kept: Vec<Vec<u8>> = names.iter().map(kept).collect();
    assert_eq!(kept, [b"one", b"two", b"six"]);
}

#[test]
fn a_group_with_the_headers_number_is_not_taken_for_the_header() {
    let vfs = disk();
    let mut builder = Builder::new(1, 1, None);
    let at = builder.starts[1] - 10;
    builder.bytes[at] ^= 1;
    // The next number after this is the header's own, 0.
    builder.last.n = u64::MAX;
    builder.group(&["1"]).put(&vfs);
    recover(&vfs, &place()).unwrap();
    assert_eq!(published(&vfs, NAME).0, ["1"]);
}
