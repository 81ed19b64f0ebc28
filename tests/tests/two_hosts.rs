//! Two hosts on one database and one Telegram: one of them has the account, and the other takes over when it is gone.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, anyhow};
use creel_kit::deadline::{PATIENCE, within};
use creel_kit::ws::{self, Client};
use creel_kit::{Cable, Creel, Postgres, TestHome, config, postgres, until};
use fake_model::FakeModel;
use fake_telegram::{Fake, From as Sender, Inject, TOKEN};
use serde_json::{Value, json};

const CHAT: i64 = 7;
/// A quarter of it is longer than a poll: egress keeps a request over plain HTTP open until it is answered, also when its
/// client has hung up. (A tunnel, as TLS has it, ends with its client.)
pub(crate) const LEASE_SECONDS: u32 = 12;
pub(crate) const POLL_SECONDS: u32 = 1;
pub(crate) const WORDS: &str = "a reply that takes its time and must not be lost on the way";

/// What both hosts have in common.
pub(crate) struct World {
    pub server: Postgres,
    pub telegram: Fake,
    pub model: FakeModel,
}

impl World {
    pub(crate) async fn new() -> Result<Self> {
        let (telegram, model) = (Fake::start().await?, FakeModel::start(0).await?);
        Ok(Self { server: Postgres::start()?, telegram, model })
    }

    /// A home that reaches the database at the socket in a folder.
    fn host(&self, name: &str, socket: &Path) -> Result<TestHome> {
        let home = self.home(name)?;
        home.configure(postgres::at(socket, name, LEASE_SECONDS))?;
        Ok(home)
    }

    fn home(&self, name: &str) -> Result<TestHome> {
        let home = TestHome::new()?;
        home.configure(config::model(&self.model.openai_url()))?;
        home.configure(config::telegram(&self.telegram.api_root_as(name), TOKEN))?;
        home.configure(json!({"channels": {"telegram": {"pollTimeoutSeconds": POLL_SECONDS}}}))?;
        Ok(home)
    }

    pub(crate) fn say(&self, text: &str) -> Result<()> {
        let from = Sender { id: CHAT, ..Sender::default() };
        let inject = Inject { chat: CHAT, from, text: text.to_owned(), ..Inject::default() };
        self.telegram.inject(inject).map(drop).map_err(|error| anyhow!(error))
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.telegram
            .sent()
            .into_iter()
            .filter(|sent| sent.method == "sendMessage")
            .map(|sent| sent.text)
            .collect()
    }

    pub(crate) async fn wait_said(&self, count: usize) -> Result<Vec<String>> {
        until(&format!("{count} answers"), PATIENCE, async || {
            Ok((self.said().len() >= count).then(|| self.said()))
        })
        .await
    }

    /// Waits until the host has the account, by the database's word.
    pub(crate) async fn wait_owner(&self, name: &str) -> Result<()> {
        let sql = "SELECT host FROM creel.account WHERE id = 'telegram:default'";
        let owns = async || Ok(self.server.query(sql).is_ok_and(|host| host == name).then_some(()));
        until(&format!("{name} has the account"), PATIENCE, owns).await
    }

    pub(crate) async fn wait_poller(&self, name: &str) -> Result<()> {
        let polls =
            async || Ok(self.telegram.pollers().last().is_some_and(|last| last == name).then_some(()));
        until(&format!("{name} polls"), PATIENCE, polls).await
    }

    /// Starts both; the first one has the account.
    async fn start(&self, first: &TestHome, second: &TestHome) -> Result<(Creel, Creel)> {
        let first = first.start().await?;
        self.wait_owner("alpha").await?;
        self.say("echo hello")?;
        assert_eq!(self.wait_said(1).await?, ["hello"]);
        Ok((first, second.start().await?))
    }
}

#[expect(clippy::print_stderr, reason = "how long it took is for people to read; no test asserts a duration")]
pub(crate) fn tell(what: &str, since: Instant) {
    eprintln!("{what}: {} ms, with leases of {LEASE_SECONDS} s", since.elapsed().as_millis());
}

#[tokio::test]
async fn who_dies_in_a_turn_is_followed_by_the_other_who_answers_once() -> Result<()> {
    let world = World::new().await?;
    let socket = world.server.socket();
    let (alpha, beta) = (world.host("alpha", socket)?, world.host("beta", socket)?);
    let (first, second) = world.start(&alpha, &beta).await?;
    let model = world.model.control();
    model.keep_open(true);
    world.say(&format!("slow 500 {WORDS}"))?;
    let asked = async { Ok(model.wait_asked(|asked| asked.last.contains(WORDS)).await) };
    within("the model is asked", PATIENCE, asked).await?;
    let killed = Instant::now();
    first.kill_supervisor().await?;
    assert_eq!(world.said(), ["hello"], "the turn was over before the kill");
    model.keep_open(false);
    world.wait_owner("beta").await?;
    tell("the account of a host that died is the other's after", killed);
    assert_eq!(world.wait_said(2).await?[1], WORDS);
    tell("what it was asked is answered after", killed);
    world.say("echo next")?;
    assert_eq!(world.wait_said(3).await?, ["hello", WORDS, "next"], "each once");
    assert_eq!(world.telegram.beside(), [], "Telegram saw two at a time");
    assert_eq!(world.telegram.pollers(), ["alpha", "beta"]);
    second.stop().await
}

/// Cut off the database alone, by a proxy that forwards nothing more: Telegram would still let it poll, and it does not.
#[tokio::test]
async fn who_is_cut_off_stops_by_itself_before_the_other_begins() -> Result<()> {
    let world = World::new().await?;
    let cable = Cable::to_postgres(world.server.socket())?;
    let (alpha, beta) = (world.host("alpha", cable.folder())?, world.host("beta", world.server.socket())?);
    let (first, second) = world.start(&alpha, &beta).await?;
    let cut = Instant::now();
    cable.cut();
    world.wait_owner("beta").await?;
    tell("the account of a host that was cut off is the other's after", cut);
    // Telegram is who says that it was in time; its own word may take a moment to the log.
    let let_go = async || {
        Ok(alpha.log("gateway").contains("has let go of the account telegram:default").then_some(()))
    };
    until("it stopped by itself", PATIENCE, let_go).await?;
    world.wait_poller("beta").await?;
    world.say("echo one")?;
    assert_eq!(world.wait_said(2).await?, ["hello", "one"]);
    // It comes back as one that waits.
    cable.mend();
    let back = async || Ok(first.gateway_call("health", &json!({})).await.is_ok().then_some(()));
    until("it is back", PATIENCE, back).await?;
    world.say("echo two")?;
    assert_eq!(world.wait_said(3).await?, ["hello", "one", "two"], "each once");
    until("both are up again", PATIENCE, async || {
        let status = first.cli(&["cluster", "status", "--json"]).await?.json()?;
        assert_eq!(status["leases"][0]["host"], "beta", "{status}");
        let up: Vec<_> = status["hosts"].as_array().into_iter().flatten().map(|host| &host["up"]).collect();
        Ok((up == [true, true]).then_some(()))
    })
    .await?;
    assert_eq!(world.telegram.beside(), [], "Telegram saw two at a time");
    assert_eq!(world.telegram.pollers(), ["alpha", "beta"]);
    first.stop().await?;
    second.stop().await
}

/// A turn runs on one host; a client of each sees it live, in order, and its end once. Also when nobody can speak to
/// anybody: then the end is seen in the store.
#[tokio::test]
async fn clients_of_every_host_see_a_turn_and_its_end_once() -> Result<()> {
    let world = World::new().await?;
    let socket = world.server.socket();
    let (alpha, beta) = (world.host("alpha", socket)?, world.host("beta", socket)?);
    let (first, second) = world.start(&alpha, &beta).await?;
    let (mut near, mut far) = (Client::connect(&first).await?, Client::connect(&second).await?);
    far.call("sessions.subscribe", json!({})).await?;
    let asked = format!("slow 1500 {WORDS}");
    let mut runs = Vec::new();
    // The first turns may run before the hosts know of each other.
    until("a turn is seen live on the other host", PATIENCE, async || {
        let run = near.send("main", &asked).await?;
        let (here, there) = (near.wait_final(&run).await?, far.wait_final(&run).await?);
        assert_eq!((here.text.as_str(), there.text.as_str()), (WORDS, WORDS));
        runs.push(run);
        let both = here.deltas.len().min(there.deltas.len());
        // What is not live is not told at all before the end, or with the end in one piece.
        Ok((both > 2).then_some(()))
    })
    .await?;
    let live = runs.last().cloned().unwrap_or_default();
    for client in [&near, &far] {
        let of_run = |frame: &Value| frame["event"] == "chat" && frame["payload"]["runId"] == live;
        let frames: Vec<Value> = client.frames().into_iter().filter(of_run).collect();
        let last = frames.iter().position(|frame| frame["payload"]["state"] == "final");
        assert_eq!(last, Some(frames.len() - 1), "{frames:?}");
        let text = |frame: &Value| ws::text_of(&frame["payload"]["message"]);
        let grown: Vec<String> =
            frames.iter().filter(|frame| frame["payload"]["state"] == "delta").map(text).collect();
        assert!(
            grown.is_sorted_by_key(String::len) && grown.iter().all(|text| WORDS.starts_with(text)),
            "{grown:?}"
        );
    }
    far.wait("the session has changed", |frame| frame["event"] == "sessions.changed").await?;

    // Nobody hears anybody: whoever connects again is cut off again.
    let run = near.send("main", &asked).await?;
    let cut =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'creel-events'";
    until("the end is seen", PATIENCE, async || {
        world.server.query(cut)?;
        let ends = |frame: &Value| frame["payload"]["runId"] == run && frame["payload"]["state"] == "final";
        Ok(far.frames().iter().any(ends).then_some(()))
    })
    .await?;
    assert_eq!(far.wait_final(&run).await?.text, WORDS);
    runs.push(run);
    // Once they hear each other again nothing is told anew.
    let last = near.send("main", "echo last").await?;
    assert_eq!(far.wait_final(&last).await?.text, "last");
    for run in &runs {
        for client in [&near, &far] {
            let ends =
                |frame: &&Value| frame["payload"]["runId"] == *run && frame["payload"]["state"] == "final";
            assert_eq!(client.frames().iter().filter(ends).count(), 1, "{run}");
        }
    }
    first.stop().await?;
    second.stop().await
}

/// The negative control of both: two homes that do not know of each other.
#[tokio::test]
async fn two_that_share_no_database_are_seen_to_poll_at_a_time() -> Result<()> {
    let world = World::new().await?;
    let (alpha, beta) = (world.home("alpha")?, world.home("beta")?);
    let (first, second) = (alpha.start().await?, beta.start().await?);
    until("both poll", PATIENCE, async || Ok((!world.telegram.beside().is_empty()).then_some(()))).await?;
    first.stop().await?;
    second.stop().await
}
