use super::*;

const FULL: usize = i32::MAX as usize;

fn texts(before: usize, rows: usize) -> Column {
    let mut column = Column::new(Kind::String, Numbers::Float64, false);
    if let Values::Text { before: bytes, .. } = &mut column.values {
        *bytes = before;
    }
    assert!(column.push(Cell::Text(0, 4), b"text", rows));
    column
}

#[test]
fn texts_that_other_threads_read_count_towards_a_full_column() {
    let (mut earlier, part) = (texts(0, 2), texts(0, 3));
    assert!(earlier.can_add(&part));
    let mut behind = part;
    behind.follow(&earlier);
    assert_eq!(behind.text_bytes(), 20);
    assert!(!texts(FULL - 20, 1).can_add(&behind));
    // What was read by others and what comes now share one Arrow column.
    earlier = texts(FULL - 7, 1);
    assert!(!earlier.push(Cell::Text(0, 4), b"text", 1));
}
