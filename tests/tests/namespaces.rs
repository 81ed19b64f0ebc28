//! Two hosts, each in a network namespace of its own, reach their database and Telegram by one link each; packets are dropped on it
//! without a word, as a dead switch does.

use std::time::Instant;

use anyhow::Result;
use creel_kit::deadline::{PATIENCE, within};
use creel_kit::{Cable, Creel, Island, TestHome, config, postgres, until};
use fake_telegram::TOKEN;
use serde_json::json;

use crate::chaos::not_measured;
use crate::two_hosts::{LEASE_SECONDS, POLL_SECONDS, WORDS, World, tell};

const DATABASE: u16 = 5432;

/// A host, and its ways to what is outside.
struct Host {
    // First, because it runs in what follows.
    creel: Creel,
    home: TestHome,
    island: Island,
    _ways: [Cable; 2],
}

/// Two islands, where this machine lets us have them.
fn islands() -> Result<Option<[Island; 2]>> {
    if !nix::unistd::geteuid().is_root() {
        not_measured("two hosts in network namespaces: only root may make them")?;
        return Ok(None);
    }
    let islands = Island::new(0).and_then(|first| {
        // The rule is tried before anything depends on it.
        first.drop_packets(DATABASE)?;
        first.let_through(DATABASE)?;
        Ok([first, Island::new(1)?])
    });
    match islands {
        Ok(islands) => Ok(Some(islands)),
        Err(error) => not_measured(&format!("two hosts in network namespaces: {error:#}")).map(|()| None),
    }
}

async fn host(world: &World, name: &str, island: Island, authority: &str) -> Result<Host> {
    let home = TestHome::on(&island)?;
    let here = island.outside();
    let ways =
        [Cable::between(here, world.telegram.address())?, Cable::between(here, world.model.address())?];
    let [telegram, model] =
        [&ways[0], &ways[1]].map(|way| way.address().map(|at| at.to_string()).unwrap_or_default());
    home.configure(config::model(&format!("http://{model}/v1")))?;
    home.configure(config::telegram(&format!("http://{telegram}/as/{name}"), TOKEN))?;
    home.configure(postgres::at(std::path::Path::new(&here.to_string()), name, LEASE_SECONDS))?;
    std::fs::write(home.path().join("ca.pem"), authority)?;
    home.configure(json!({
        "channels": {"telegram": {"pollTimeoutSeconds": POLL_SECONDS}},
        "store": {"postgres": {"tls": {"ca": home.path().join("ca.pem")}}},
    }))?;
    let creel = home.launch()?;
    // Nobody here reaches its port.
    let up = async || Ok(creel.gateway_call("health", &json!({})).await.is_ok().then_some(()));
    until(&format!("{name} is up"), PATIENCE, up).await?;
    Ok(Host { creel, home, island, _ways: ways })
}

/// Both hosts, the first of which has the account and has answered once.
async fn start(world: &mut World) -> Result<Option<(Host, Host)>> {
    let Some([first, second]) = islands()? else { return Ok(None) };
    let authority = world.server.listen(&[first.outside(), second.outside()])?;
    let alpha = host(world, "alpha", first, &authority).await?;
    world.wait_owner("alpha").await?;
    world.say("echo hello")?;
    assert_eq!(world.wait_said(1).await?, ["hello"]);
    let beta = host(world, "beta", second, &authority).await?;
    Ok(Some((alpha, beta)))
}

#[tokio::test]
async fn a_host_that_dies_in_a_turn_is_followed_by_one_in_another_network() -> Result<()> {
    let mut world = World::new().await?;
    let Some((alpha, beta)) = start(&mut world).await? else { return Ok(()) };
    let model = world.model.control();
    model.keep_open(true);
    world.say(&format!("slow 500 {WORDS}"))?;
    let asked = async { Ok(model.wait_asked(|asked| asked.last.contains(WORDS)).await) };
    within("the model is asked", PATIENCE, asked).await?;
    let killed = Instant::now();
    alpha.creel.kill_supervisor().await?;
    assert_eq!(world.said(), ["hello"], "the turn was over before the kill");
    model.keep_open(false);
    world.wait_owner("beta").await?;
    tell("the account of a host that died is the other's after", killed);
    assert_eq!(world.wait_said(2).await?[1], WORDS);
    world.say("echo next")?;
    assert_eq!(world.wait_said(3).await?, ["hello", WORDS, "next"], "each once");
    assert_eq!(world.telegram.beside(), [], "Telegram saw two at a time");
    assert_eq!(world.telegram.pollers(), ["alpha", "beta"]);
    beta.creel.stop().await
}

/// Nothing is refused and nothing reset: the host hears nothing at all, and has only its own clock to stop by.
#[tokio::test]
async fn a_host_whose_packets_are_dropped_stops_by_itself_before_the_other_begins() -> Result<()> {
    let mut world = World::new().await?;
    let Some((alpha, beta)) = start(&mut world).await? else { return Ok(()) };
    let cut = Instant::now();
    alpha.island.drop_packets(DATABASE)?;
    world.wait_owner("beta").await?;
    tell("the account of a host whose packets are dropped is the other's after", cut);
    let let_go = async || {
        Ok(alpha.home.log("gateway").contains("has let go of the account telegram:default").then_some(()))
    };
    until("it stopped by itself", PATIENCE, let_go).await?;
    world.wait_poller("beta").await?;
    world.say("echo one")?;
    assert_eq!(world.wait_said(2).await?, ["hello", "one"]);
    alpha.island.let_through(DATABASE)?;
    let back =
        async || Ok(alpha.creel.gateway_call("cluster.status", &json!({})).await.is_ok().then_some(()));
    until("it is back", PATIENCE, back).await?;
    world.say("echo two")?;
    assert_eq!(world.wait_said(3).await?, ["hello", "one", "two"], "each once");
    assert_eq!(world.telegram.beside(), [], "Telegram saw two at a time");
    assert_eq!(world.telegram.pollers(), ["alpha", "beta"]);
    alpha.creel.stop().await?;
    beta.creel.stop().await
}
