//! Between an app and its store: bytes that are slow, held back, lost on the way home, or cut off.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::reset;

/// What happens to bytes at present.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weather {
    /// They pass.
    Clear,
    /// Each stretch of them is held for so long, in both directions.
    Slow(Duration),
    /// The store's next answer on each connection is thrown away, and the connection is reset: what was asked for has
    /// happened, and nobody heard of it. Of a hundred answers, so many meet this fate.
    SubjectCutoff(u8),
    /// A network that is gone: connections open, nothing passes. What was sent meanwhile arrives once it is over.
    Silent,
    /// Half open: the store hears, and is not heard. A connection that lost bytes is reset once it is over.
    Deaf,
    /// Nobody is there: every connection is reset.
    Refused,
}

/// Where the bytes go.
#[derive(Debug)]
struct Route {
    store: Mutex<SocketAddr>,
    weather: watch::Receiver<Weather>,
    needle: Mutex<(Vec<u8>, usize)>,
}

impl Route {
    fn look_for_needle(&self, bytes: &[u8]) {
        let mut counted = self.needle.lock().expect("nobody panics with it");
        let (needle, count) = &mut *counted;
        if !needle.is_empty() {
            *count += bytes.windows(needle.len()).filter(|window| window == needle).count();
        }
    }
}

/// The proxy. It is gone, with all its connections, when this value goes.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    route: Arc<Route>,
    accepting: JoinHandle<()>,
}

impl Wire {
    /// Opens a proxy before the store at `store`.
    pub async fn open(store: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, weather) = watch::channel(Weather::Clear);
        let needle = Mutex::default();
        let route = Arc::new(Route {
            store: Mutex::new(store),
            weather,
            needle,
        });
        let accepting = tokio::spawn({
            let route = route.clone();
            async move {
                while let Ok((app, _)) = listener.accept().await {
                    tokio::spawn(join(app, route.clone()));
                }
            }
        });
        Self {
            address,
            weather: sender,
            route,
            accepting,
        }
    }

    /// Where the app connects to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to another store.
    pub fn lead_to(&self, store: SocketAddr) {
        *self.route.store.lock().expect("nobody panics with it") = store;
    }

    /// Changes the weather, for open connections too.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// From now on counts how often the app says `needle`, as it does once per call about the session of that name.
    pub fn count(&self, needle: &[u8]) {
        *self.route.needle.lock().expect("nobody panics with it") = (needle.to_vec(), 0);
    }

    /// How often it did.
    pub fn counted(&self) -> usize {
        self.route.needle.lock().expect("nobody panics with it").1
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.weather.send_replace(Weather::Refused);
        self.accepting.abort();
    }
}

async fn join(app: TcpStream, route: Arc<Route>) {
    let _ = app.set_nodelay(true);
    let mut weather = route.weather.clone();
    // In a silence the handshake succeeds, as with a host that is up behind a network that is not.
    if weather.wait_for(|now| *now != Weather::Silent).await.is_err() || *weather.borrow() == Weather::Refused {
        return reset(&app);
    }
    let store = *route.store.lock().expect("nobody panics with it");
    let Ok(store) = TcpStream::connect(store).await else {
        return reset(&app);
    };
    let _ = store.set_nodelay(true);
    let (from_app, to_app) = app.into_split();
    let (from_store, to_store) = store.into_split();
    let up = tokio::spawn(up(from_app, to_store, route.clone()));
    let (to_app, broken) = down(from_store, to_app, weather).await;
    if broken {
        reset(to_app.as_ref());
        up.abort();
    }
}

/// What the app says.
async fn up(mut app: OwnedReadHalf, mut store: OwnedWriteHalf, route: Arc<Route>) {
    let mut weather = route.weather.clone();
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = app.read(&mut bytes).await {
        route.look_for_needle(&bytes[..read]);
        if !pause(&mut weather).await || store.write_all(&bytes[..read]).await.is_err() {
            break;
        }
    }
}

/// What the store says. Returns whether the connection is to be reset.
async fn down(
    mut store: OwnedReadHalf,
    mut app: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) -> (OwnedWriteHalf, bool) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            read = store.read(&mut bytes) => read,
            _ = weather.wait_for(|now| *now == Weather::Refused) => return (app, true),
        };
        let Ok(read @ 1..) = read else {
            let _ = app.shutdown().await;
            return (app, false);
        };
        let now = *weather.borrow_and_update();
        match now {
            Weather::SubjectCutoff(percent) if rand::random_ratio(u32::from(percent), 100) => return (app, true),
            Weather::Deaf => {
                let _ = weather.wait_for(|now| *now != Weather::Deaf).await;
                return (app, true);
            }
            _ => {}
        }
        if !pause(&mut weather).await || app.write_all(&bytes[..read]).await.is_err() {
            return (app, true);
        }
    }
}

/// Waits for as long as bytes are held at present; `false` when they never go on.
async fn pause(weather: &mut watch::Receiver<Weather>) -> bool {
    let now = *weather.borrow_and_update();
    match now {
        Weather::Slow(hold) => tokio::time::sleep(hold).await,
        Weather::Silent => {
            let changed = weather.wait_for(|now| *now != Weather::Silent).await;
            return changed.is_ok_and(|now| *now != Weather::Refused);
        }
        Weather::Refused => return false,
        Weather::Clear | Weather::SubjectCutoff(_) | Weather::Deaf => {}
    }
    true
}
