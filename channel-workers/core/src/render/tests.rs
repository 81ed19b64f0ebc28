use proptest::prelude::*;

use super::*;

/// The text with each mark written as `⟨style|text⟩`.
fn shown(markdown: &str) -> String {
    let rich = parse(markdown);
    let mut out = String::new();
    for (at, c) in rich.text.char_indices().chain([(rich.text.len(), '\0')]) {
        for mark in rich.marks.iter().filter(|mark| mark.range.end == at) {
            let _closed = &mark;
            out.push('⟩');
        }
        for mark in rich.marks.iter().filter(|mark| mark.range.start == at) {
            out.push_str(&format!("⟨{:?}|", mark.style));
        }
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

#[test]
fn markdown_becomes_text_with_marks() {
    let markdown = "# Title\n\nSome **bold and *both***, ~~gone~~ and `code`.\nA [link](https://example.org/a?b=1&c=2).\n\n\
        - one\n- two\n  1. first\n  2. second\n- [x] done\n\n> quoted\n> more\n\n```rust\nfn main() {}\n\nlet x = 1;\n```\n\n\
        | a | long head |\n|---|---|\n| 1 | x |\n| 中文 | y |\n\n---\n\nA ||hidden *thing*|| and `a || b`, x || y || z.";
    insta::assert_snapshot!(shown(markdown));
}

#[test]
fn what_is_no_markdown_stays_text() {
    insta::assert_snapshot!(shown(
        "a < b && c > d\n<think>hm</think>\n\n<div>\nblock\n</div>\n\n2 * 3 * 4 = 24, snake_case_name, ||| and ||||"
    ));
}

#[test]
fn loose_and_nested_blocks_keep_their_lines() {
    insta::assert_snapshot!(shown(
        "1. first\n\n   more of it\n\n2. second\n   ```\n   code\n   ```\n\n> > deep\n>\n> back\n\nend"
    ));
}

#[test]
fn a_plain_link_shows_its_address_once() {
    let rich = parse(
        "[docs](https://example.org/) and <https://example.org/x> and [example.org](https://example.org)",
    );
    assert_eq!(plain(&rich), "docs (https://example.org/) and https://example.org/x and example.org");
}

#[test]
fn trimming_keeps_the_indent_of_the_first_line() {
    let rich = Rich::text("\n \n    indented\n\n");
    assert_eq!(rich.trimmed().text, "    indented");
    assert_eq!(Rich::text("  \n ").trimmed().text, "");
}

fn sound(rich: &Rich) -> Result<(), TestCaseError> {
    for mark in &rich.marks {
        prop_assert!(
            rich.text.get(mark.range.clone()).is_some_and(|text| !text.is_empty()),
            "{mark:?} in {rich:?}"
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_read(text in any::<String>()) {
        let rich = parse(&text);
        sound(&rich)?;
        plain(&rich);
    }

    #[test]
    fn any_markup_is_read(pieces in prop::collection::vec(prop::sample::select(vec![
        "*", "**", "_", "~~", "`", "```", "\n", "\n\n", "> ", "- ", "1. ", "|", "||", "|---|\n", "[", "](", ")", "# ", "<b>", "é", "👩‍👩‍👧", "中", "a", " ",
    ]), 0..60)) {
        let rich = parse(&pieces.concat());
        sound(&rich)?;
        plain(&rich);
    }
}
