//! IRC on a real ngircd: pairing, mentions, long answers.

use anyhow::{Context, Result};
use creel_kit::irc::{Line, Ngircd, Person};
use creel_kit::{Creel, TestHome, config};
use fake_model::FakeModel;
use serde_json::json;

use crate::with;

const BOT: &str = "creelbot";
const DEN: &str = "#den";

fn said(by: &str, to: &str) -> impl Fn(&Line) -> bool {
    move |line| line.command == "PRIVMSG" && line.from == by && line.to == to
}

/// A word of eight capitals and digits: the pairing code.
fn code(text: &str) -> Option<String> {
    let is_code =
        |word: &&str| word.len() == 8 && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    text.split(|c: char| !c.is_ascii_alphanumeric()).find(is_code).map(str::to_owned)
}

struct Den {
    server: Ngircd,
    home: TestHome,
    _model: FakeModel,
}

impl Den {
    async fn new() -> Result<Self> {
        let home = TestHome::new()?;
        let server = Ngircd::start(home.scratch()).await?;
        let model = FakeModel::start(0).await?;
        home.configure(config::model(&model.openai_url()))?;
        home.configure(server.account(BOT, &[DEN]))?;
        home.configure(json!({"channels": {"irc": {"dmPolicy": "pairing", "groups": {DEN: {}}}}}))?;
        Ok(Self { server, home, _model: model })
    }
}

#[tokio::test]
async fn a_stranger_is_paired_and_answered() -> Result<()> {
    let den = Den::new().await?;
    with(den.home.start().await?, async |creel: &Creel| {
        let mut ada = Person::connect(&den.server, "ada").await?;
        ada.meet(DEN, BOT).await?;
        ada.say(BOT, "echo let me in").await?;
        let mut told = String::new();
        let code = loop {
            told += &ada.wait("the pairing code", said(BOT, "ada")).await?.text;
            told.push('\n');
            assert!(!told.contains("let me in\n"), "a stranger was answered: {told}");
            if let Some(code) = code(&told) {
                break code;
            }
        };
        let list = creel.cli(&["pairing", "list", "--json"]).await?.json()?;
        assert!(list.to_string().contains(&code), "{list}");
        creel.cli(&["pairing", "approve", "irc", &code]).await?.success()?;
        ada.say(BOT, "echo thank you").await?;
        ada.wait("the first answer", |line| said(BOT, "ada")(line) && line.text == "thank you").await?;

        // A code works once.
        let again = creel.cli(&["pairing", "approve", "irc", &code]).await?;
        assert_ne!(again.code, Some(0), "{again:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_mention_is_answered_where_it_was_made() -> Result<()> {
    let den = Den::new().await?;
    with(den.home.start().await?, async |_| {
        let mut ada = Person::connect(&den.server, "ada").await?;
        ada.meet(DEN, BOT).await?;
        ada.say(DEN, "echo nobody asked you").await?;
        ada.say(DEN, &format!("{BOT}: echo here I am")).await?;
        let line = ada.wait("an answer in the channel", said(BOT, DEN)).await?;
        assert!(line.text.ends_with("here I am"), "{line:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_long_answer_breaks_no_character() -> Result<()> {
    const LENGTH: usize = 2500;
    let den = Den::new().await?;
    with(den.home.start().await?, async |_| {
        let mut ada = Person::connect(&den.server, "ada").await?;
        ada.meet(DEN, BOT).await?;
        ada.say(DEN, &format!("{BOT}: long {LENGTH}")).await?;
        let expected: String = fake_model::script::long(LENGTH).split_whitespace().collect();
        let mut heard = String::new();
        let mut lines = 0;
        while heard.chars().count() < expected.chars().count() {
            // `Person` refuses lines that are no UTF-8.
            let line =
                ada.wait("the next line", said(BOT, DEN)).await.with_context(|| format!("after {heard}"))?;
            assert!(line.bytes <= 512, "{} bytes: {line:?}", line.bytes);
            let text =
                if lines == 0 { line.text.strip_prefix("ada: ").unwrap_or(&line.text) } else { &line.text };
            heard.extend(text.split_whitespace());
            lines += 1;
        }
        assert_eq!(heard, expected);
        assert!(lines > 5, "{lines} lines");
        Ok(())
    })
    .await
}
