//! The steps, as scripts: each is one round trip, and one atomic step on the server.
//!
//! A script is called by its hash; a server that does not know it (yet, or after a restart) is given the text. All are
//! declared as writers, also those that only read, so that a replica refuses them, whose data may be old. The server refuses only
//! the script that begins a session for want of memory.

use std::sync::LazyLock;

use redis::{Cmd, Script};

macro_rules! script {
    ($flags:literal, $file:literal) => {
        script!($flags, "", include_str!($file))
    };
    ($flags:literal, $before:expr, $after:expr) => {
        LazyLock::new(|| {
            let text = concat!($flags, "\n", $before, include_str!("prelude.lua"), $after);
            Step {
                text,
                hash: Script::new(text).get_hash().into(),
            }
        })
    };
}

pub(super) static FIND: LazyLock<Step> = script!("#!lua flags=allow-oom", "find.lua");
pub(super) static CREATE: LazyLock<Step> = script!("#!lua", "create.lua");
pub(super) static ADVANCE: LazyLock<Step> = script!(
    "#!lua flags=allow-oom",
    include_str!("advance.lua"),
    include_str!("advance_not.lua")
);
pub(super) static ACKNOWLEDGE: LazyLock<Step> = script!("#!lua flags=allow-oom", "acknowledge.lua");
pub(super) static END: LazyLock<Step> = script!("#!lua flags=allow-oom", "end.lua");
pub(super) static END_ALL: LazyLock<Step> = script!("#!lua flags=allow-oom", "end_all.lua");
pub(super) static LIST: LazyLock<Step> = script!("#!lua flags=allow-oom", "list.lua");
pub(super) static READ_FEED: LazyLock<Step> = script!("#!lua flags=allow-oom", "read_feed.lua");
pub(super) static TRIM_FEED: LazyLock<Step> = script!("#!lua flags=allow-oom", "trim_feed.lua");

/// A script, and its name on the server.
pub(super) struct Step {
    text: &'static str,
    hash: Box<str>,
}

impl Step {
    /// A call with these keys; arguments are added to it.
    pub(super) fn on(&'static self, keys: &[&str]) -> Call {
        // As large as nearly all get, so that they need not grow.
        let mut command = Cmd::with_capacity(12, 256);
        command.arg("EVALSHA").arg(&*self.hash).arg(keys.len()).arg(keys);
        Call { step: self, command }
    }
}

/// A script with what it is called with.
#[derive(Clone)]
pub(super) struct Call {
    step: &'static Step,
    command: Cmd,
}

impl Call {
    pub(super) fn arg(mut self, argument: impl redis::ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }

    pub(super) fn by_hash(&self) -> &Cmd {
        &self.command
    }

    /// The same with the whole text, for a server that does not know the hash.
    pub(super) fn by_text(&self) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.step.text);
        for argument in self.command.args_iter().skip(2) {
            if let redis::Arg::Simple(bytes) = argument {
                command.arg(bytes);
            }
        }
        command
    }
}
