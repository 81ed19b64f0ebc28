use proptest::prelude::*;

use super::*;
use crate::render::{Style, parse};

fn texts(text: &str, unit: Unit, limit: usize) -> Vec<String> {
    split_text(text, unit, limit)
}

#[test]
fn the_best_boundary_within_reach_is_taken() {
    assert_eq!(texts("one two\n\nthree four", Unit::Chars, 16), ["one two\n\n", "three four"]);
    assert_eq!(texts("one two\nthree four", Unit::Chars, 16), ["one two\n", "three four"]);
    assert_eq!(texts("One two. Three four", Unit::Chars, 16), ["One two. ", "Three four"]);
    assert_eq!(texts("one two three four", Unit::Chars, 16), ["one two three ", "four"]);
    assert_eq!(texts("onetwothreefourfive", Unit::Chars, 16), ["onetwothreefourf", "ive"]);
    assert_eq!(texts("你好。再见再见", Unit::Chars, 5), ["你好。", "再见再见"]);
}

#[test]
fn a_boundary_near_the_beginning_does_not_make_a_tiny_part() {
    assert_eq!(texts("a\n\nonetwothreefourfive", Unit::Chars, 16), ["a\n\nonetwothreefo", "urfive"]);
}

#[test]
fn a_family_emoji_stays_whole_unless_it_is_larger_than_a_part() {
    let family = "👩‍👩‍👧";
    assert_eq!(Unit::Utf16.length(family), 8);
    assert_eq!(texts(&format!("abcdef{family}"), Unit::Utf16, 10), ["abcdef", family]);
    assert_eq!(texts(family, Unit::Utf16, 4).concat(), family);
}

#[test]
fn a_code_block_is_closed_and_reopened() {
    let rich = parse("Look:\n\n```rust\nlet a = 1;\nlet b = 2;\nlet c = 3;\n```\n\nDone.");
    let parts = split(&rich, Unit::Chars, 24, |_| true);
    assert!(parts.len() > 1);
    for part in parts.iter().filter(|part| part.text.contains("let")) {
        assert!(
            part.marks.iter().any(|m| m.style == Style::Pre { lang: Some("rust".to_owned()) }),
            "{part:?}"
        );
    }
}

#[test]
fn a_part_whose_rendering_is_too_long_is_made_smaller() {
    let rich = Rich::text("<<<<<<<<<<<<<<<<<<<< and more of it");
    let rendered = |part: &Rich| part.text.replace('<', "&lt;").len();
    let parts = split(&rich, Unit::Chars, 20, |part| rendered(part) <= 20);
    assert!(parts.iter().all(|part| rendered(part) <= 20), "{parts:?}");
    assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), rich.text);
}

proptest! {
    #[test]
    fn the_parts_are_the_text_and_within_the_limit(
        text in prop_oneof![any::<String>(), "(\\PC|[a-z .\n]|[\u{300}-\u{36f}]|👩‍👩‍👧|🇩🇪|中){0,200}"],
        limit in 0_usize..60,
    ) {
        for unit in [Unit::Utf16, Unit::Bytes, Unit::Chars] {
            let parts = split_text(&text, unit, limit);
            prop_assert_eq!(parts.concat(), text.as_str());
            for part in &parts {
                prop_assert!(!part.is_empty());
                prop_assert!(unit.length(part) <= limit.max(4), "{:?}", part);
            }
        }
    }

    #[test]
    fn marks_survive_every_cut(text in "([a-z*_`~|\n #>-]|中|👩‍👩‍👧){0,120}", limit in 1_usize..40) {
        let rich = parse(&text);
        let parts = split(&rich, Unit::Utf16, limit, |_| true);
        prop_assert_eq!(parts.iter().map(|p| p.text.as_str()).collect::<String>(), rich.text.as_str());
        for part in &parts {
            for mark in &part.marks {
                prop_assert!(part.text.get(mark.range.clone()).is_some_and(|t| !t.is_empty()));
            }
        }
    }
}
