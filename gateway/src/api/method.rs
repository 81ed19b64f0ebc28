//! The table of methods: name, scope, shape of the parameters, handler. Both interfaces call through here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::admission::Role;
use super::clients::Client;
use super::desk::Desk;
use super::fault::{Fault, Protocol};
use super::frame::SMALL_PARAMS;
use super::methods;
use super::params::{self, Shape};
use super::scope::{Scope, Scopes};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Decides about wording and shapes.
    pub(crate) protocol: Protocol,
    /// What it is.
    pub(crate) role: Role,
    /// What it may do.
    pub(crate) scopes: Scopes,
    /// What it is, such as `cli`.
    pub(crate) name: String,
    /// Its connection; absent on `/rpc`.
    pub(crate) client: Option<Arc<Client>>,
}

/// A call of a method, its parameters checked.
pub(crate) struct Call {
    /// What all connections share.
    pub(crate) desk: Arc<Desk>,
    /// Who calls.
    pub(crate) caller: Caller,
    /// The parameters.
    pub(crate) params: Map<String, Value>,
}

impl Call {
    /// A parameter that is a string; empty ones count as absent.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A parameter that is a count.
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.params.get(name).and_then(Value::as_u64)
    }
}

/// The second answer of a method that gives two.
pub(crate) struct Second {
    /// The result, also of some failures.
    pub(crate) payload: Option<Value>,
    /// The failure.
    pub(crate) fault: Option<Fault>,
}

/// What a method answers.
pub(crate) enum Reply {
    /// At once.
    Now(Value),
    /// After something that may take long; other requests of the same client go on.
    Later(Boxed<Result<Value, Fault>>),
    /// At once, and again when it is done. Callers that can have one answer get the first.
    Twice(Value, Boxed<Second>),
}

/// What a handler returns.
pub(crate) type Outcome = Result<Reply, Fault>;

/// A method.
pub(crate) struct Method {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it needs.
    pub(crate) scope: Scope,
    /// What it takes.
    pub(crate) shape: &'static Shape,
    /// Whether its parameters may be as large as a frame.
    pub(crate) large: bool,
    run: fn(Call) -> Boxed<Outcome>,
}

impl Method {
    /// A row of the table.
    pub(crate) const fn new(
        name: &'static str,
        scope: Scope,
        shape: &'static Shape,
        run: fn(Call) -> Boxed<Outcome>,
    ) -> Self {
        Self { name, scope, shape, large: false, run }
    }

    /// Its parameters may be as large as a frame.
    pub(crate) const fn large(mut self) -> Self {
        self.large = true;
        self
    }
}

/// A row of the table whose handler is an async function.
macro_rules! method {
    ($name:literal, $scope:ident, $shape:expr, $run:path) => {
        $crate::api::method::Method::new($name, $crate::api::scope::Scope::$scope, $shape, |call| {
            Box::pin($run(call))
        })
    };
}
pub(crate) use method;

/// The method of this name.
pub(crate) fn find(name: &str) -> Option<&'static Method> {
    methods::ALL.iter().copied().flatten().find(|method| method.name == name)
}

/// Names of all methods, in the order of the table.
pub(crate) fn names() -> Vec<String> {
    methods::ALL.iter().copied().flatten().map(|method| method.name.to_owned()).collect()
}

/// Whether the caller may call this method.
pub(crate) fn permitted(caller: &Caller, name: &str) -> Result<&'static Method, Fault> {
    if caller.role != Role::Operator {
        return Err(Fault::WrongRole(caller.role.as_str().to_owned()));
    }
    match find(name) {
        Some(method) if caller.scopes.allow(method.scope) => Ok(method),
        Some(method) => Err(Fault::MissingScope(method.scope)),
        // The old protocol does not tell a stranger which methods exist.
        None if caller.protocol == Protocol::V3 && !caller.scopes.allow(Scope::Admin) => {
            Err(Fault::MissingScope(Scope::Admin))
        }
        None => Err(Fault::UnknownMethod(name.to_owned())),
    }
}

/// Calls a method: authorises, then validates, then acts.
pub(crate) async fn call(desk: &Arc<Desk>, caller: Caller, name: &str, params: Option<&str>) -> Outcome {
    let method = permitted(&caller, name)?;
    let refused = |complaint: String| Fault::Params { method: name.to_owned(), complaint };
    let text = params.unwrap_or("{}");
    if !method.large && text.len() > SMALL_PARAMS {
        return Err(refused(format!("must NOT have more than {SMALL_PARAMS} bytes")));
    }
    let value = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
    let value = if value == Value::Null { Value::Object(Map::new()) } else { value };
    if let Some(complaint) = params::complaint(method.shape, &value) {
        return Err(refused(complaint));
    }
    let Value::Object(params) = value else { return Err(refused("must be object".to_owned())) };
    (method.run)(Call { desk: desk.clone(), caller, params }).await
}
