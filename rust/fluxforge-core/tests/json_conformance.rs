//! The writer's validator over tests/data/json, whose names say what is JSON.

use std::fs;
use std::path::Path;

use fluxforge_core::segment::is_one_line_json;

fn documents(kind: &str) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/json");
    let entries = fs::read_dir(root.join(kind)).expect("the documents are in the repository");
    let paths = entries.map(|entry| entry.expect("a readable directory").path());
    paths
        .map(|path| (path.display().to_string(), fs::read(&path).expect("a file")))
        .collect()
}

#[test]
fn valid_documents_on_one_line_are_accepted() {
    let documents = documents("valid");
    assert!(documents.len() > 100, "{}", documents.len());
    for (name, bytes) in documents {
        let one_line = !bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        assert_eq!(is_one_line_json(&bytes), one_line, "{name}");
    }
}

#[test]
fn invalid_documents_are_refused() {
    let documents = documents("invalid");
    assert!(documents.len() > 200, "{}", documents.len());
    for (name, bytes) in documents {
        assert!(!is_one_line_json(&bytes), "{name}");
    }
}

#[test]
fn open_questions_are_answered_as_the_readme_says() {
    for (name, bytes) in documents("either") {
        let refused = ["bom_", "utf16_", "utf32_", "surrogate_", "depth_"];
        let levels = bytes
            .iter()
            .filter(|byte| matches!(byte, b'[' | b'{'))
            .count();
        let file = Path::new(&name).file_name().and_then(|name| name.to_str());
        let refused = file.is_some_and(|file| refused.iter().any(|start| file.starts_with(start)));
        let within_depth = name.contains("depth_") && levels <= 100;
        assert_eq!(is_one_line_json(&bytes), !refused || within_depth, "{name}");
    }
}
