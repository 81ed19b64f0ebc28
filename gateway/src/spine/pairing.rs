use std::sync::Arc;

use super::kit::*;
use crate::hub::*;

const PAIRING: &str =
    r#"{ channels: { telegram: { botToken: "1:x" } }, messages: { queue: { mode: "followup" } } }"#;

#[tokio::test]
async fn a_stranger_gets_a_code_and_once_let_in_an_answer() {
    let home = Home::new(PAIRING);
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    let (agent, channel) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&agent, true);
    gateway.attach(&channel, true);
    for id in ["u1", "u2", "u3"] {
        say(&channel, &direct(id, "7", "let me in")).await.unwrap();
    }
    eventually("the code", || platform.texts().len() == 1).await;
    let waiting = gateway.hub.pairing_list(Some("telegram")).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert!(platform.texts()[0].contains(&waiting[0].code));
    assert!(world.begun.lock().unwrap().is_empty(), "no model is asked");

    let wrong = gateway.hub.pairing_approve("telegram", "AAAAAAAA", None).await.unwrap_err();
    assert_eq!(wrong.class, HubClass::NotFound);
    let elsewhere = gateway.hub.pairing_approve("irc", &waiting[0].code, None).await.unwrap_err();
    assert_eq!(elsewhere.class, HubClass::NotFound);
    let code = waiting[0].code.to_lowercase();
    let approved = gateway.hub.pairing_approve("telegram", &code, None).await.unwrap();
    assert_eq!((approved.sender.as_str(), approved.account.as_str()), ("7", "default"));
    say(&channel, &direct("u4", "7", "hello")).await.unwrap();
    eventually("the answer", || platform.texts().last().is_some_and(|text| text == "echo: hello")).await;
    gateway.crash();

    // It holds for the next gateway, too.
    let successor = home.gateway().await;
    successor.attach(&agent, false);
    successor.attach(&channel, false);
    say(&channel, &direct("u5", "7", "still me")).await.unwrap();
    eventually("the answer", || platform.texts().last().is_some_and(|text| text == "echo: still me")).await;
}

#[tokio::test]
async fn three_may_wait_and_a_forgotten_one_makes_room() {
    let home = Home::new(PAIRING);
    let gateway = home.gateway().await;
    let platform = Arc::new(Platform::default());
    let channel = channel(1, &platform);
    gateway.attach(&channel, true);
    for person in ["1", "2", "3", "4"] {
        say(&channel, &direct(person, person, "hi")).await.unwrap();
    }
    let waiting = gateway.hub.pairing_list(None).await.unwrap();
    let senders: Vec<&str> = waiting.iter().map(|row| row.sender.as_str()).collect();
    assert_eq!(senders, ["1", "2", "3"]);
    gateway.hub.pairing_dismiss("telegram", &waiting[0].code).await.unwrap();
    say(&channel, &direct("4b", "4", "hi")).await.unwrap();
    assert_eq!(gateway.hub.pairing_list(None).await.unwrap().len(), 3);
    eventually("four codes", || platform.texts().len() == 4).await;
}
