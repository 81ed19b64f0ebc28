//! Tool runs as the gateway asks for them.

use std::cell::RefCell;
use std::rc::Rc;

use creel_config::plan::UnitKind;
use creel_ipc::ErrorClass;
use creel_ipc::msg::event::{Event as Told, EventKind};
use creel_ipc::msg::tool::{ToolCause, ToolExit, ToolKillParams, ToolOutput, ToolRunParams};
use creel_ipc::rpc::RpcError;
use tokio::sync::oneshot;

use super::event::{Event, Events};
use super::{GATEWAY, Tree};
use crate::denials::Terms;
use crate::link::{Outgoing, Post};
use crate::tool::Run;
use crate::tool::command::{Command, Site, command};
use crate::tool::homes;
use crate::tool::layers::commit_aside;
use crate::tool::leavings::{Findings, look_aside};
use crate::tool::runs::{Asked, Waiter};
use crate::unit::At;

/// Bytes of one piece of output.
const PIECE: usize = 32 * 1024;

impl Tree {
    /// Runs a command, attaches to it, or answers with what it came to.
    pub(super) fn tool_run(&mut self, id: u64, params: ToolRunParams) {
        let Some(incarnation) = self.members.get(GATEWAY).map(|gateway| gateway.machine.incarnation()) else {
            return;
        };
        let now = self.now();
        match self.runs.ask(&params.run, (incarnation, id), now) {
            Asked::Known(exit) => self.answer_run(id, &exit),
            Asked::Attached => {}
            Asked::New => {
                if let Err(error) = self.tool_begin(&params, (incarnation, id)) {
                    self.post(GATEWAY, Outgoing::Answer(id, Err(error)));
                }
            }
        }
    }

    fn tool_begin(&mut self, params: &ToolRunParams, waiter: Waiter) -> Result<(), RpcError> {
        if params.known_only {
            return Err(nothing_known(&params.run));
        }
        let command = self.compose_prepared(params)?;
        let terms = Terms::of(params, &command);
        if !self.runs.add(params.run.clone(), command, waiter) {
            return Err(RpcError::retry_after("Too many tool runs wait for their turn.", 1000));
        }
        self.expect(params, terms);
        self.start_runs();
        Ok(())
    }

    pub(super) fn compose(&self, params: &ToolRunParams) -> Result<Command, RpcError> {
        let bad = |sentence: String| RpcError::new(ErrorClass::BadRequest, sentence);
        if self.stopping.is_some() {
            return Err(RpcError::new(ErrorClass::Conflict, "Creel is about to stop."));
        }
        let name = format!("agent:{}", params.agent);
        let kind = self.members.get(&name).map(|member| &member.unit.kind);
        let Some(UnitKind::Agent { workspace, tools, tool_hosts, .. }) = kind else {
            return Err(bad(format!("There is no agent \"{}\".", params.agent)));
        };
        self.allowed(&name).map_err(|error| RpcError::new(ErrorClass::ConfigFatal, error.to_string()))?;
        crate::place::granted(workspace)
            .map_err(|error| bad(format!("The workspace cannot be used: {error}.")))?;
        let site = Site {
            workspace,
            policy: tools,
            level: self.ground.level,
            paths: &self.ground.paths,
            workspaces: self.settings.plan.workspaces(),
            quotas: &self.ground.quotas,
        };
        let mut command = command(params, &site).map_err(|error| bad(error.to_string()))?;
        if command.reaches.is_some() {
            let direct = super::ways::direct(tool_hosts);
            // Node looks at the variables of a proxy only when it is told to.
            let told = [("NO_PROXY", direct.as_str()), ("no_proxy", &direct), ("NODE_USE_ENV_PROXY", "1")];
            command.spec.env.extend(told.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        // A command is its agent, as far as files and the kernel are concerned.
        command.spec.ids = self.ground.uids.of(&name).map_err(|error| bad(error.to_string()))?;
        Ok(command)
    }

    /// Commands that write the same folder by way of layers run one after another. For the end of a process in the background
    /// nobody should wait.
    pub(super) fn may_write(&self, command: &Command) -> Result<(), RpcError> {
        let Some((process, folder)) = self.runs.in_the_way(command) else { return Ok(()) };
        let sentence = format!(
            "The process {process} in the background writes {}, and where sandbox.disk or sandbox.inodes is set only one command at a \
             time does that. End it first, or wait for its end.",
            folder.display()
        );
        Err(RpcError::new(ErrorClass::Conflict, sentence))
    }

    pub(super) fn start_runs(&mut self) {
        if self.upgrade.holds_launches() {
            return;
        }
        while let Some((id, command, killed)) = self.runs.take_next() {
            let (events, listener) = (self.events.clone(), Rc::clone(&self.listener));
            let quotas = self.ground.quotas.clone();
            tokio::task::spawn_local(async move {
                match Run::launch(&command, &quotas).await {
                    Ok(going) => {
                        let started = Event::ToolStarted { run: id.clone(), going: Rc::clone(&going) };
                        let _over = events.send(started).await;
                        attend(going, id, killed, events, listener).await;
                    }
                    Err(exit) => {
                        let exit = Box::new(exit);
                        let _over = events.send(Event::ToolEnded { run: id, exit }).await;
                    }
                }
            });
        }
    }

    /// Stays with a run that the program before this one launched.
    pub(super) fn go_on_with(&mut self, id: String, going: Rc<Run>, at: At) {
        let Some(killed) = self.runs.go_on(&id, Rc::clone(&going), at) else { return };
        let (events, listener) = (self.events.clone(), Rc::clone(&self.listener));
        tokio::task::spawn_local(attend(going, id, killed, events, listener));
    }

    /// A run ended. What it changed is brought into its folders, and what it left in its workspace is looked at, before anybody
    /// is told.
    pub(super) fn tool_ended(&mut self, run: String, mut exit: Box<ToolExit>) {
        let layers = self.runs.layers(&run).unwrap_or_else(|error| {
            add(&mut exit, &format!("What the run changed is lost: {error}."));
            Vec::new()
        });
        let looks = self.runs.looks(&run);
        if layers.is_empty() && looks.is_empty() {
            return self.tool_settled(&run, *exit, &Findings::default());
        }
        let events = self.events.clone();
        tokio::task::spawn_local(async move {
            if !layers.is_empty()
                && let Some(told) = commit_aside(layers).await
            {
                add(&mut exit, &told);
            }
            let findings = look_aside(looks).await.unwrap_or_else(|error| Findings {
                left: vec![format!("whatever the run made there, which could not be looked at: {error}")],
                ..Findings::default()
            });
            let _over = events.send(Event::ToolLooked { run, exit, findings: Box::new(findings) }).await;
        });
    }

    /// A run is over and done with: tells whoever asked, unless that gateway is gone.
    pub(super) fn tool_settled(&mut self, run: &str, exit: ToolExit, findings: &Findings) {
        let mut exit = self.with_denials(run, exit);
        if !findings.is_empty() {
            let told = findings.told();
            if let Some((look, _)) = self.runs.looks(run).first() {
                let event = Told::of_unit(EventKind::Planted, &format!("agent:{}", look.agent), 0);
                let detail = format!("Run {run}: {told}");
                self.journal.record(Told { incarnation: None, detail: Some(detail), ..event });
            }
            add(&mut exit, &told);
        }
        if exit.cause == ToolCause::LaunchFailed {
            self.expect_orphans();
        }
        self.set_up(run, &exit);
        if let Some(home) = self.runs.home_of(run) {
            homes::use_of(home);
        }
        let (now, current) =
            (self.now(), self.members.get(GATEWAY).map(|gateway| gateway.machine.incarnation()));
        for (incarnation, id) in self.runs.ended(run, exit.clone(), now) {
            if current == Some(incarnation) {
                self.answer_run(id, &exit);
            }
        }
        let dropped = self.listener.borrow().as_ref().map_or(0, Post::take_dropped);
        if dropped > 0 {
            tracing::info!(
                "The gateway was too slow for {dropped} pieces of tool output; the results have them."
            );
        }
        self.start_runs();
        self.stop_next();
    }

    fn answer_run(&mut self, id: u64, exit: &ToolExit) {
        let outcome = serde_json::to_value(exit).map_err(|error| {
            RpcError::new(ErrorClass::BadRequest, format!("The result is no JSON: {error}."))
        });
        self.post(GATEWAY, Outgoing::Answer(id, outcome));
    }

    /// Ends a run; one that has ended does not mind.
    pub(super) fn tool_kill(&mut self, params: &ToolKillParams) {
        if self.runs.kill(&params.run) {
            let message = Some("It was ended before its turn came.".to_owned());
            let exit = ToolExit { message, ..ToolExit::of(ToolCause::Killed) };
            self.tool_settled(&params.run, exit, &Findings::default());
        }
    }

    /// Ends all runs.
    pub(super) fn kill_tools(&mut self) {
        let runs: Vec<String> = self.runs.going().map(|(run, _)| run.clone()).collect();
        for run in runs {
            self.tool_kill(&ToolKillParams { run });
        }
    }
}

pub(super) fn nothing_known(run: &str) -> RpcError {
    RpcError::new(ErrorClass::UnknownOutcome, format!("Nothing is known of the run {run}."))
}

async fn attend(
    going: Rc<Run>,
    run: String,
    killed: oneshot::Receiver<()>,
    events: Events,
    listener: Rc<RefCell<Option<Post>>>,
) {
    let printed = |text: String| {
        let Some(post) = listener.borrow().clone() else { return };
        for piece in pieces(&text) {
            post.offer(Outgoing::Output(ToolOutput { run: run.clone(), text: piece.to_owned() }));
        }
    };
    let exit = Box::new(going.attend(killed, printed).await);
    let _over = events.send(Event::ToolEnded { run, exit }).await;
}

/// Adds a sentence for the model.
fn add(exit: &mut ToolExit, told: &str) {
    let message = exit.message.take();
    exit.message = Some(message.map_or_else(|| told.to_owned(), |message| format!("{message}\n{told}")));
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        rest = after;
        Some(piece)
    })
}
