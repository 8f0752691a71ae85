//! Everything that this thread logs, at every level.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

thread_local! {
    static HEARD: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Records what the test's thread logs. One subscriber hears all threads of this process: with one per test, whether a line
/// is heard would depend on which test comes across it first.
pub(crate) struct Log(());

impl Log {
    pub(crate) fn start() -> Self {
        static LISTENING: Once = Once::new();
        LISTENING.call_once(|| {
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
                .with_ansi(false)
                .with_writer(|| Ear)
                .finish();
            tracing_subscriber::util::SubscriberInitExt::init(subscriber);
        });
        HEARD.set(Some(Vec::new()));
        Self(())
    }

    /// What was logged since the start.
    pub(crate) fn text(&self) -> String {
        HEARD.with_borrow(|heard| String::from_utf8(heard.clone().unwrap_or_default()).unwrap())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        HEARD.set(None);
    }
}

struct Ear;

impl io::Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        HEARD.with_borrow_mut(|heard| {
            if let Some(heard) = heard {
                heard.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
