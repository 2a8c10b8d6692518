//! Tables: columns of text, each as wide as its widest cell.

use std::fmt::Write as _;

/// Lines `rows` up under `heads`. Cells are measured in characters; the last column is not padded.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heads.map(|head| head.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&heads.map(str::to_owned)).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a String does not fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_trailing_blanks() {
        let rows = [["web1".to_owned(), "1.5".to_owned()], ["vöter22".to_owned(), String::new()]];
        assert_eq!(table(["NAME", "ID"], &rows), "NAME     ID\nweb1     1.5\nvöter22\n");
    }
}
