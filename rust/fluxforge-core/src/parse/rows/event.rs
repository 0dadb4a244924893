//! An object that holds rows, read by its shape or learned from.

use super::Rows;
use crate::parse::fault::Fault;
use crate::parse::scan::Scanner;
use crate::parse::shapes::{EventShape, Place};
use crate::schema::Kind;
use crate::schema::plan::{Action, Level};

impl<'a> Rows<'a, '_> {
    /// Reads an object that holds rows and has a known shape. False: it has none, and has been left
    /// where it stands. A fault only says that the line is to be read again.
    pub(super) fn event(&mut self, scanner: &mut Scanner<'a>, depth: usize) -> Result<bool, Fault> {
        if depth + 2 != self.table.levels.len() || !self.sink.by_shape {
            return Ok(false);
        }
        let known = &mut self.sink.event_shapes[self.index];
        let fits = |shape: &EventShape| {
            let mut scanner = scanner.clone();
            let mut product = None;
            if let Some(before) = &shape.product {
                if !scanner.take(before) || scanner.peek() != b'"' {
                    return None;
                }
                product = Some(scanner.string("").ok()?);
            }
            // A null in place of the rows is for the census, which the general way keeps.
            let fits = scanner.take(&shape.rows) && scanner.peek() == b'[';
            fits.then_some((product, scanner))
        };
        let Some((place, (product, at_rows))) = known.find(fits) else {
            return Ok(false);
        };
        self.sink.shape_used = true;
        let shape = known.get(place);
        if shape.product.is_some() {
            (self.product, self.place) = (product, None);
        }
        for (column, cell) in &shape.cells {
            self.sink.common[*column] = *cell;
        }
        *scanner = at_rows;
        self.array(scanner, depth + 1)?;
        let known = &mut self.sink.event_shapes[self.index];
        if !scanner.take(&known.get(place).tail) {
            known.lose_last();
            return Err(Fault::new("another shape"));
        }
        self.finish()?;
        Ok(true)
    }

    /// Learns the shape of an object that has been read whole, where it stands.
    #[cold]
    pub(super) fn learn_event(
        &mut self,
        level: &Level,
        scanner: &Scanner<'_>,
        begin: usize,
        product: Option<&Place>,
        rows: &Place,
    ) {
        let mut cells = Vec::new();
        for field in &level.fields {
            match field.action {
                // Others may have more to them than a cell.
                Action::Column(index) if self.table.columns[index].kind != Kind::Dictionary => {
                    return;
                }
                Action::Column(index) => cells.push((index, self.sink.common[index])),
                Action::Product if product.is_none() => return,
                _ => {}
            }
        }
        let (text, end) = scanner.whole();
        let before_rows = product.map_or(begin, |product| product.end);
        let shape = EventShape {
            product: product.map(|product| text[begin..product.start].into()),
            rows: text[before_rows..rows.start].into(),
            tail: text[rows.end..end].into(),
            cells,
        };
        self.sink.event_shapes[self.index].learn(shape);
    }
}
