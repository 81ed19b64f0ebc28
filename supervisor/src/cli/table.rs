//! Columns of text, as wide as they need to be.

use creel_ipc::terminal::steers;

/// Lays rows out in columns. The first row is the heading. Widths count characters.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    padded(rows).iter().map(|line| format!("{line}\n")).collect()
}

/// The same, line by line.
pub(crate) fn padded(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| seen(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = Vec::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - seen(cell) + 2));
        }
        out.push(line.trim_end().to_owned());
    }
    out
}

/// Text of somebody else for a terminal: what would steer the terminal is shown, not done.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' | '\n' => out.push(' '),
            c if steers(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// The same for text of several lines, which keeps them.
pub(crate) fn lines(text: &str) -> String {
    text.chars().map(|c| if steers(c) && !matches!(c, '\n' | '\t') { '?' } else { c }).collect()
}

/// The same for JSON, in which such characters are in strings only: it keeps its meaning.
pub(crate) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(c),
            c if steers(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// Characters of a cell that are seen: colour sequences are not.
pub(crate) fn seen(cell: &str) -> usize {
    let mut count = 0;
    let mut chars = cell.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(|c| *c == 'm');
        } else {
            count += 1;
        }
    }
    count
}

/// A moment of the journal as a person reads it: `11-21 15:09:45`.
pub(crate) fn moment(at: &str) -> String {
    let short = |at: &str| Some(format!("{} {}", at.get(5..10)?, at.get(11..19)?));
    short(at).unwrap_or_else(|| at.to_owned())
}

/// A duration as a person says it: `950 ms`, `12 s`, `3 min`, `2 h 5 min`, `4 d 1 h`.
pub(crate) fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0 => format!("{ms} ms"),
        1..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// A size as a person says it: `812 B`, `3.1 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    let unit =
        [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")].into_iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| format!("{:.1} {name}", bytes as f64 / unit as f64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_colours() {
        let rows = [
            vec!["A".to_owned(), "B".to_owned()],
            vec!["\u{1b}[31mlong\u{1b}[0m".to_owned(), "x".to_owned()],
        ];
        assert_eq!(columns(&rows), "A     B\n\u{1b}[31mlong\u{1b}[0m  x\n");
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(lines("a\tb\n\u{1b}[2Jc\r\u{9b}1mä"), "a\tb\n?[2Jc??1mä");
        assert_eq!(plain("a\tb\u{1b}[2Jc\u{9b}1mä"), "a b\\u{1b}[2Jc\\u{9b}1mä");
        assert_eq!([lines("a\u{202e}b"), plain("a\u{2066}b")], ["a?b", "a\\u{2066}b"]);
        let said = "a\u{1b}]52;c;x\u{7}\u{9d}\u{202e}\n";
        let told = json(&serde_json::to_string_pretty(&[said]).unwrap());
        assert!(told.chars().all(|c| c == '\n' || !steers(c)), "{told:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&told).unwrap(), [said]);
    }

    #[test]
    fn people_read_durations_and_sizes() {
        assert_eq!(
            [999, 59_000, 7_500_000, 90_000_000].map(duration),
            ["999 ms", "59 s", "2 h 5 min", "1 d 1 h"]
        );
        assert_eq!([812, 3_250_586].map(size), ["812 B", "3.1 MiB"]);
    }
}
