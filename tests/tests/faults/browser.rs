//! An honest browser: one jar that keeps the last arrival, one access token in memory, several tabs that do not wait for each
//! other, and a person who tries again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use acceptance::{ACCESS_SECRET, Client, Connection, Jar, Jwt, REFRESH_COOKIE, RefreshToken, Request, Response};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;

use crate::ledger::{Ledger, NUMBER};

/// How often a person presses reload before going for a coffee.
const ATTEMPTS: usize = 4;

#[derive(Debug)]
struct Page {
    jar: Jar,
    access: String,
    /// What was answered when the browser was signed out, if it was.
    signed_out: Option<String>,
}

/// A signed-in browser.
#[derive(Debug)]
pub(crate) struct Browser {
    pub(crate) number: usize,
    page: Mutex<Page>,
    fronts: Vec<SocketAddr>,
    ledger: Arc<Ledger>,
    /// When it gives an answer up.
    patience: Duration,
    /// Whether its train goes through tunnels, where its requests still leave and no answer arrives.
    tunnels: bool,
    dark_until: Mutex<Option<Instant>>,
}

/// The ways to send one request.
#[derive(Debug, Clone, Copy)]
enum Visit {
    /// A script of the page, with what it has in memory.
    Script,
    /// A reload: the access token in memory is gone.
    Reload,
    /// The laptop slept: the access token in memory is too old.
    Awake,
    /// The page asks for a new pair.
    Refresh,
}

impl Browser {
    pub(crate) fn new(
        number: usize,
        client: Client,
        fronts: Vec<SocketAddr>,
        ledger: Arc<Ledger>,
        third: Duration,
        tunnels: bool,
    ) -> Self {
        let page = Page {
            jar: client.jar,
            access: client.access,
            signed_out: None,
        };
        Self {
            number,
            page: Mutex::new(page),
            fronts,
            ledger,
            patience: third * 2,
            tunnels,
            dark_until: Mutex::new(None),
        }
    }

    /// Whether it is in a tunnel; it may just have entered one.
    fn is_dark(&self, random: &mut StdRng) -> bool {
        let mut until = self.dark_until.lock().expect("nobody panics with it");
        if self.tunnels && until.is_none_or(|until| until < Instant::now()) && random.random_ratio(1, 30) {
            // Up to one and a half times the grace.
            *until = Some(Instant::now() + self.patience.mul_f64(random.random_range(0.1..2.25)));
        }
        until.is_some_and(|until| Instant::now() <= until)
    }

    /// The refresh token in the jar.
    pub(crate) fn refresh_token(&self) -> Option<String> {
        let page = self.page.lock().expect("nobody panics with it");
        page.jar.value(REFRESH_COOKIE).map(ToOwned::to_owned)
    }

    /// How it was signed out, if it was.
    pub(crate) fn signed_out(&self) -> Option<String> {
        self.page.lock().expect("nobody panics with it").signed_out.clone()
    }

    /// Opens a tab that is busy until told to stop; `pace` is the longest pause between two things it does.
    pub(crate) fn tab(
        self: &Arc<Self>,
        seed: u64,
        pace: Duration,
        stop: watch::Receiver<bool>,
    ) -> tokio::task::JoinHandle<()> {
        let browser = self.clone();
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            while !*stop.borrow() && browser.signed_out().is_none() {
                tokio::time::sleep(pace.mul_f64(random.random_range(0.1..1.0))).await;
                // A page that loads asks for several things at once.
                let parts = if random.random_ratio(1, 4) { 4 } else { 1 };
                let parts: Vec<_> = (0..parts)
                    .map(|_| {
                        let (browser, random) = (browser.clone(), StdRng::seed_from_u64(random.random()));
                        tokio::spawn(browser.part(random))
                    })
                    .collect();
                for part in parts {
                    part.await.expect("a part of a page");
                }
            }
        })
    }

    async fn part(self: Arc<Self>, mut random: StdRng) {
        for _ in 0..ATTEMPTS {
            let visit = match random.random_range(0..100) {
                0..40 => Visit::Script,
                40..65 => Visit::Reload,
                65..80 => Visit::Awake,
                _ => Visit::Refresh,
            };
            let front = random.random_range(0..self.fronts.len());
            let dark = self.is_dark(&mut random);
            match self.clone().attempt(front, visit, dark).await {
                Some(200) => return,
                _ if self.signed_out().is_some() => return,
                _ => tokio::time::sleep(Duration::from_millis(random.random_range(20..200))).await,
            }
        }
    }

    async fn attempt(self: Arc<Self>, front: usize, visit: Visit, dark: bool) -> Option<u16> {
        let (request, number) = {
            let page = self.page.lock().expect("nobody panics with it");
            let token = page.jar.value(REFRESH_COOKIE)?;
            let what = format!("{visit:?} with {}", RefreshToken::decode(token).generation());
            // What is sent is settled here, so this is when the request begins to be under way.
            let number = self.ledger.send(self.number, what);
            let request = match visit {
                Visit::Refresh => Request::post("/auth/refresh"),
                Visit::Script | Visit::Reload | Visit::Awake => Request::get("/api/me"),
            };
            let request = match visit {
                Visit::Script => request.bearer(&page.access),
                Visit::Awake => request.bearer(&Jwt::decode(&page.access).expired_since(60).sign(ACCESS_SECRET)),
                Visit::Reload | Visit::Refresh => request,
            };
            let request = request
                .refresh(token)
                .header(NUMBER, number.to_string())
                .header("Connection", "close");
            (request, number)
        };
        let sent = async {
            let mut connection = Connection::open(self.fronts[front]).await.ok()?;
            let response = connection.send(&request).await.ok()?;
            Some((connection, response))
        };
        let (mut connection, response) = tokio::time::timeout(self.patience, sent).await.ok()??;
        if dark {
            return None;
        }
        self.absorb(number, &response);
        let status = response.status;
        // Something on the way may say it twice.
        tokio::spawn(async move {
            let again = tokio::time::timeout(self.patience, connection.read(false)).await;
            if let Ok(Ok(again)) = again {
                self.absorb(number, &again);
            }
        });
        Some(status)
    }

    /// Keeps what a response brings: the last arrival counts.
    fn absorb(&self, number: u64, response: &Response) {
        let mut page = self.page.lock().expect("nobody panics with it");
        self.ledger.arrived(number, response.status);
        for cookie in response.cookies() {
            page.jar.absorb(&cookie);
        }
        if let Some(access) = response.access_token() {
            page.access = access;
        }
        let kept = page.jar.value(REFRESH_COOKIE).is_some();
        if !(kept && matches!(response.status, 200 | 503)) && page.signed_out.is_none() {
            page.signed_out = Some(format!("#{number}: {response:?}"));
        }
    }
}
