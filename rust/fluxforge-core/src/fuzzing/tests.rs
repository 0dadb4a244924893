//! The same properties as rust/fuzz, by chance and on every run.

use proptest::prelude::*;

use super::*;

/// Instructions as a fuzzer would come to write them.
fn scripts() -> impl Strategy<Value = Vec<u8>> {
    let instructions = (proptest::collection::vec(any::<u8>(), 0..40), any::<bool>());
    let instructions = instructions.prop_map(|(mut script, sealed)| {
        script.insert(0, 1);
        script.extend(sealed.then_some(script::SEAL));
        script
    });
    let as_it_is = proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![9 => instructions, 1 => as_it_is]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

    #[test]
    fn recovery_of_any_bytes_loses_no_valid_prefix(script in scripts()) {
        recover_any(&segment_from(&script));
    }

    #[test]
    fn any_bytes_can_be_inspected(script in scripts()) {
        inspect_any(&segment_from(&script));
    }
}

/// Scripts that reach nothing would prove nothing.
#[test]
fn the_scripts_reach_every_verdict_of_a_segment() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::HashMap::new();
    for _ in 0..3_000 {
        let script = scripts().new_tree(&mut runner).unwrap().current();
        let bytes = segment_from(&script);
        *seen
            .entry(inspect(&bytes, bytes.len().max(1)).verdict)
            .or_insert(0) += 1;
    }
    for verdict in [
        Verdict::Whole,
        Verdict::Unsealed,
        Verdict::Cut,
        Verdict::Damaged,
    ] {
        assert!(
            seen.get(&verdict).is_some_and(|&often| often > 20),
            "{seen:?}"
        );
    }
}

/// What libFuzzer found worth keeping, on every run.
fn replay(target: &str, holds: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let inputs = std::fs::read_dir(corpus.join(target)).expect("a corpus in the repository");
    let mut count = 0;
    for input in inputs {
        let path = input.expect("a readable directory").path();
        // Shown with a failure only: which input it was.
        println!("{}", path.display());
        holds(&std::fs::read(&path).expect("a file"));
        count += 1;
    }
    assert!(count >= 3, "{count} inputs of {target}");
}

#[test]
fn the_corpus_of_recover_holds() {
    replay("recover", |script| recover_any(&segment_from(script)));
}

#[test]
fn the_corpus_of_inspect_holds() {
    replay("inspect", |script| inspect_any(&segment_from(script)));
}

#[test]
fn the_corpus_of_segment_holds() {
    replay("segment", |script| parse_any(&segment_from(script)));
}

#[test]
fn the_corpus_of_line_holds() {
    replay("line", line_any);
}

#[test]
fn the_corpus_of_number_holds() {
    replay("number", number_any);
}

#[test]
fn the_corpus_of_time_holds() {
    replay("time", time_any);
}

#[test]
fn the_corpus_of_json_holds() {
    replay("json", |bytes| _ = json_any(bytes));
}
