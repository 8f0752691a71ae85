//! Redis Cluster: a Redis with another address.

use std::ffi::OsString;
use std::path::Path;

use super::{Row, Undo, redis};
use crate::app::Settings;

pub(crate) struct Backend;

impl super::Backend for Backend {
    fn url(&self, _folder: &Path) -> OsString {
        servers::RedisCluster::shared().create_user().into()
    }

    fn session(&self, settings: &Settings, id: &str) -> Row {
        redis::Backend.session(settings, id)
    }

    fn make_newer(&self, settings: &Settings, id: &str) {
        redis::Backend.make_newer(settings, id);
    }

    fn sessions(&self, settings: &Settings) -> u64 {
        redis::Backend.sessions(settings)
    }

    fn bytes(&self, settings: &Settings) -> Vec<u8> {
        redis::Backend.bytes(settings)
    }

    fn break_down(&self, settings: &Settings) -> Box<dyn Undo> {
        redis::Backend.break_down(settings)
    }

    fn copy(&self, settings: &Settings) -> Box<dyn Undo> {
        redis::Backend.copy(settings)
    }
}
