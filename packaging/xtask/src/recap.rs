//! What failed, once more and briefly at the end: of a long output often only the end is kept.

/// Failures that are told of; of the others only the names.
const TOLD: usize = 8;
/// Lines before what was said of a failure: what went on just then.
const BEFORE: usize = 6;
/// Lines of what was said of it.
const SAID: usize = 10;
/// Bytes of one line.
const WIDE: usize = 400;

/// The lines to print, from the report that nextest wrote (`profile.default.junit` in `.config/nextest.toml`).
pub(crate) fn of(report: &str) -> Vec<String> {
    let failed: Vec<Failed> = report.split("<testcase ").skip(1).filter_map(Failed::read).collect();
    let mut lines = Vec::new();
    for failure in failed.iter().take(TOLD) {
        lines.push(format!("FAILED {} ({})", failure.name, failure.how));
        lines.extend(failure.told().iter().map(|line| format!("    {}", cut(line))));
    }
    lines
        .extend(failed.iter().skip(TOLD).map(|failure| format!("FAILED {} ({})", failure.name, failure.how)));
    lines
}

/// One test that failed.
struct Failed {
    name: String,
    /// The kind of failure, such as `test failure with exit code 100`.
    how: String,
    output: String,
}

impl Failed {
    fn read(case: &str) -> Option<Self> {
        let (case, _) = case.split_once("</testcase>")?;
        let (head, rest) = case.split_once('>')?;
        let failure = rest.split_once("<failure").or_else(|| rest.split_once("<error"))?.1;
        let failure = failure.split_once('>').map_or(failure, |(head, _)| head);
        let name = [attribute(head, "classname"), attribute(head, "name")];
        let how = attribute(failure, "type").or_else(|| attribute(failure, "message"));
        let output = [element(rest, "system-out"), element(rest, "system-err")];
        Some(Self {
            name: name.into_iter().flatten().collect::<Vec<_>>().join(" "),
            how: how.unwrap_or_default(),
            output: output.into_iter().flatten().collect::<Vec<_>>().join("\n"),
        })
    }

    /// The last thing that was said of the failure and a little of what went on before it, without backtraces; where
    /// nothing was said, the end of the output.
    fn told(&self) -> Vec<&str> {
        let lines: Vec<&str> = self.output.lines().filter(|line| is_told(line)).collect();
        let said = lines.iter().rposition(|line| line.starts_with("Error: ") || line.contains("panicked at"));
        let from = said.unwrap_or(lines.len().saturating_sub(SAID));
        let until = lines.len().min(from + SAID);
        lines[from.saturating_sub(BEFORE)..until].to_vec()
    }
}

/// A line of a backtrace tells nobody why.
fn is_told(line: &str) -> bool {
    let text = line.trim_start();
    let frame = text.split_once(": ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
    let noise =
        ["at /", "at ./", "Stack backtrace:", "stack backtrace:", "note: ", "test result:", "failures:"];
    !text.is_empty() && !frame && !noise.iter().any(|noise| text.starts_with(noise))
}

fn cut(line: &str) -> &str {
    let end = (0..=WIDE.min(line.len())).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    &line[..end]
}

fn attribute(head: &str, name: &str) -> Option<String> {
    let (_, rest) = head.split_once(&format!(" {name}=\"")).or_else(|| {
        let rest = head.strip_prefix(&format!("{name}=\""))?;
        Some(("", rest))
    })?;
    rest.split_once('"').map(|(value, _)| plain(value))
}

fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(value, _)| plain(value))
}

/// XML's five names for characters; `&` last, so that nothing is named twice.
fn plain(text: &str) -> String {
    let named =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#10;", "\n"), ("&amp;", "&")];
    named.iter().fold(text.to_owned(), |text, (name, character)| text.replace(name, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" failures="2" errors="0">
    <testsuite name="creel-tests::processes" tests="3" failures="2">
        <testcase name="chaos::good" classname="creel-tests::processes" time="0.1">
        </testcase>
        <testcase name="upgrade::units" classname="creel-tests::processes" time="61.2">
            <failure message="test upgrade::units failed" type="test failure with exit code 101">Error: an answer</failure>
            <system-out>
running 1 test
test upgrade::units ... FAILED
</system-out>
            <system-err>=== creel up
one
two
three
four
five
six
Error: left: [&quot;a&quot;] &amp;&lt; right

Stack backtrace:
   0: anyhow::error::msg
             at /registry/anyhow.rs:10:1
</system-err>
        </testcase>
        <testcase name="slow" classname="creel" time="120.0">
            <failure type="test timeout"/>
        </testcase>
    </testsuite>
</testsuites>"#;

    #[test]
    fn each_failure_is_told_by_what_was_said_of_it_and_just_before() {
        let expected = [
            "FAILED creel-tests::processes upgrade::units (test failure with exit code 101)",
            "    one",
            "    two",
            "    three",
            "    four",
            "    five",
            "    six",
            "    Error: left: [\"a\"] &< right",
            "FAILED creel slow (test timeout)",
        ];
        assert_eq!(of(REPORT), expected);
        assert!(of("").is_empty() && of("<testcase name=\"torn").is_empty());
    }

    #[test]
    fn many_failures_are_all_named_and_still_fit_the_end_of_an_output() {
        let case = "<testcase name=\"t\" classname=\"c\"><failure type=\"f\"/><system-err>";
        let text = "panicked at src/x.rs\n".to_owned() + &"line\n".repeat(100);
        let report = format!("{case}{text}</system-err></testcase>").repeat(20);
        let lines = of(&report);
        assert_eq!(lines.iter().filter(|line| line.starts_with("FAILED c t")).count(), 20);
        assert!(lines.len() <= 160, "{} lines", lines.len());
        assert_eq!(cut(&"ä".repeat(WIDE)).len(), WIDE);
    }
}
