//! A real browser: Debian's Chromium, headless, driven over WebDriver.

use std::process::Stdio;
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::wait::PATIENCE;

/// How many browsers run at once: each keeps a core busy, and a page that waits for a core is late for its grace.
static SEATS: Semaphore = Semaphore::const_new(2);

/// A browser with an empty profile. It goes when this value goes.
#[derive(Debug)]
pub struct Browser {
    /// The WebDriver client.
    pub client: Client,
    group: Pid,
    _driver: Child,
    _profile: TempDir,
    _seat: SemaphorePermit<'static>,
}

impl Browser {
    /// Starts ChromeDriver on a free port and Chromium behind it.
    pub async fn start() -> Self {
        let seat = SEATS.acquire().await.expect("never closed");
        let profile = tempfile::tempdir().expect("a temporary folder");
        let chromium = installed("chromium", "chromium");
        // A group of its own, so that the browser's many processes can be ended with it.
        let mut driver = Command::new(installed("chromedriver", "chromium-driver"))
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver starts");
        let group = Pid::from_raw(i32::try_from(driver.id().expect("an id")).expect("an id")).expect("not zero");
        let mut stdout = BufReader::new(driver.stdout.take().expect("a pipe")).lines();
        let port = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = stdout.next_line().await.expect("UTF-8 from chromedriver") {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    return port.trim_end_matches('.').to_owned();
                }
            }
            panic!("chromedriver ended without a port");
        });
        let port = port.await.expect("chromedriver says its port");
        // A pipe that nobody reads fills up, and the driver then stands still.
        tokio::spawn(async move { while let Ok(Some(_)) = stdout.next_line().await {} });

        let options = json!({
            "binary": chromium,
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                // A tab in the background must go on at full speed, as a second window would.
                "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
                "--disable-backgrounding-occluded-windows",
                format!("--user-data-dir={}", profile.path().display()),
            ],
        });
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        let client = Client::with_capabilities_and_connector(
            &format!("http://127.0.0.1:{port}"),
            &capabilities,
            HttpConnector::new(),
        )
        .await
        .expect("a browser session");
        Self {
            client,
            group,
            _driver: driver,
            _profile: profile,
            _seat: seat,
        }
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("a page");
    }

    /// Waits for an element.
    pub async fn find(&self, selector: &str) -> fantoccini::elements::Element {
        self.client
            .wait()
            .at_most(PATIENCE)
            .every(Duration::from_millis(25))
            .for_element(Locator::Css(selector))
            .await
            .unwrap_or_else(|e| panic!("{selector}: {e}"))
    }

    /// How many elements match now.
    pub async fn count(&self, selector: &str) -> usize {
        self.client
            .find_all(Locator::Css(selector))
            .await
            .expect("a search")
            .len()
    }

    /// Waits until nothing matches any more.
    pub async fn gone(&self, selector: &str) {
        let gone = || async { self.count(selector).await == 0 };
        crate::wait::eventually(PATIENCE, &format!("{selector} goes away"), gone).await;
    }

    /// Clicks once the element is there.
    pub async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        // As a person would: not where the page's header, which stays in place, covers it.
        let scroll = "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })";
        let target = serde_json::to_value(&element).expect("an element");
        self.client
            .execute(scroll, vec![target])
            .await
            .expect("a scrolled page");
        element
            .click()
            .await
            .unwrap_or_else(|e| panic!("clicking {selector}: {e}"));
    }

    /// Puts text into a field.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        field.clear().await.expect("an empty field");
        field.send_keys(text).await.expect("keys");
    }

    /// The text of an element.
    pub async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.expect("text")
    }

    /// Runs a script in the page; its value, which may not be a promise, comes back.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.expect("a script")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Nothing to do if it is gone already.
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

/// The program's path; a missing one is a failure that names Debian's package.
fn installed(program: &str, package: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{program} is missing: install Debian's package {package}"))
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_is_read_and_its_script_runs() {
        let browser = Browser::start().await;
        browser
            .open("data:text/html,<p id=a>before</p><script>a.textContent='after'</script>")
            .await;
        assert_eq!(browser.text("#a").await, "after");
        assert_eq!(browser.run("return 6 * arguments[0]", vec![json!(7)]).await, 42);
        assert_eq!(browser.count("p").await, 1);
    }
}
