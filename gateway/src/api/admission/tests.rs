use super::*;

const TOKEN: &str = "right";

fn params(edit: impl FnOnce(&mut Value)) -> Value {
    let mut params = json!({
        "minProtocol": 4, "maxProtocol": 4,
        "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
        "scopes": ["operator.read"], "auth": {"token": TOKEN},
    });
    edit(&mut params);
    params
}

fn decided(params: &Value) -> Result<Admitted, Box<Refusal>> {
    decide(params, true, |token| token == TOKEN)
}

#[test]
fn the_newest_common_protocol_wins() {
    let table = [
        (4, 4, Some(4)),
        (3, 4, Some(4)),
        (3, 3, Some(3)),
        (1, 3, Some(3)),
        (4, 5, Some(4)),
        (1, 9, Some(4)),
    ];
    for (min, max, expected) in table {
        assert_eq!(negotiate(min, max).map(Protocol::number), expected, "{min}..={max}");
    }
    for (min, max) in [(1, 2), (5, 6), (4, 3), (1, 1)] {
        assert_eq!(negotiate(min, max), None, "{min}..={max}");
    }
    let refusal = decided(&params(|p| p["minProtocol"] = 5.into())).map(|_| ()).unwrap_err();
    assert_eq!((refusal.close, refusal.reason.as_str()), (1002, "protocol mismatch"));
    assert_eq!(refusal.error.details.unwrap()["expectedProtocol"], 4);
}

#[test]
fn wrong_missing_and_right_tokens() {
    let refusal = decided(&params(|p| p["auth"]["token"] = "wrong".into())).unwrap_err();
    assert_eq!(refusal.error.message, "unauthorized: gateway token mismatch (provide gateway auth token)");
    assert_eq!(refusal.error.details.unwrap()["code"], "AUTH_TOKEN_MISMATCH");
    assert!(refusal.guess && refusal.close == 1008);

    let refusal = decided(&params(|p| p["auth"] = json!({}))).unwrap_err();
    assert_eq!(
        (refusal.error.code.as_str(), refusal.error.message.as_str()),
        ("NOT_PAIRED", "device identity required")
    );
    assert!(!refusal.guess);

    let by_password = params(|p| p["auth"] = json!({"token": "wrong", "password": TOKEN}));
    assert!(decided(&by_password).is_ok());
    let old = params(|p| {
        p["minProtocol"] = 3.into();
        p["maxProtocol"] = 3.into();
        p["auth"]["token"] = "wrong".into();
    });
    assert_eq!(decided(&old).unwrap_err().error.details, None);
}

#[test]
fn a_device_gives_no_right_without_the_token() {
    let device = json!({"id": "a", "publicKey": "b", "signature": "c", "signedAt": 1, "nonce": "d"});
    let with = params(|p| {
        p["device"] = device.clone();
        p["auth"] = json!({});
    });
    assert_eq!(decided(&with).unwrap_err().error.details.unwrap()["code"], "AUTH_TOKEN_MISSING");
    assert!(decided(&params(|p| p["device"] = device)).is_ok());
}

#[test]
fn closed_words_are_closed_and_unknown_keys_are_ignored() {
    let refusal = decided(&params(|p| p["client"]["id"] = "my-client".into())).unwrap_err();
    assert_eq!(
        refusal.error.message,
        "invalid connect params: at /client/id: must be equal to one of the allowed values"
    );
    assert!(decided(&params(|p| p["modelCatalog"] = json!({"sessionKey": "main"}))).is_ok());
    assert!(decided(&params(|p| p["role"] = "king".into())).is_err());
}

#[test]
fn scopes_come_from_the_gateway() {
    let asked = |scopes: Value, version: u32| {
        let admitted = decided(&params(|p| {
            p["scopes"] = scopes;
            p["minProtocol"] = version.into();
            p["maxProtocol"] = version.into();
        }));
        admitted.unwrap().scopes.names()
    };
    assert_eq!(asked(json!(["operator.read", "operator.godmode"]), 4), ["operator.read"]);
    assert!(asked(json!([]), 4).is_empty());
    assert_eq!(asked(json!([]), 3), ["operator.admin"]);
    let node = decided(&params(|p| p["role"] = "node".into())).unwrap();
    assert!(node.scopes.names().is_empty());
}

#[test]
fn a_foreign_page_is_refused() {
    let refusal = decide(&params(|_| {}), false, |_| true).unwrap_err();
    assert_eq!(refusal.error.details.unwrap()["code"], "CONTROL_UI_ORIGIN_NOT_ALLOWED");
}

#[test]
fn reasons_fit_a_control_frame() {
    assert!(close_reason(&"é".repeat(200)).len() <= 120);
    assert_eq!(close_reason("short"), "short");
}
