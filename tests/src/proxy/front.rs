//! Between clients and an app: loses, holds and repeats whole requests and answers, and notes what passes.
//!
//! One connection carries one request, so that the fate of one is never the fate of another: answers that are held for
//! different times overtake each other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::reset;

/// What becomes of one request and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fate {
    /// For how long the request is held before it goes on.
    pub before: Duration,
    /// The request never arrives: the connection is reset instead.
    pub request_lost: bool,
    /// A second copy of the request arrives so much later; its answer reaches nobody.
    pub request_again: Option<Duration>,
    /// For how long the answer is held.
    pub after: Duration,
    /// The answer never arrives: the connection is reset instead.
    pub answer_lost: bool,
    /// A second copy of the answer arrives so much later than the first.
    pub answer_again: Option<Duration>,
}

/// A request that was forwarded to the app, and what it answered.
#[derive(Debug, Clone)]
pub struct Passage {
    /// The request's bytes.
    pub request: Arc<Vec<u8>>,
    /// When they were passed on.
    pub forwarded: Instant,
    /// When the answer was complete, and its bytes; `None` if the app broke off.
    pub answer: Option<(Instant, Vec<u8>)>,
}

type Places = dyn Fn() -> Option<SocketAddr> + Send + Sync;
type Fates = dyn Fn() -> Fate + Send + Sync;
type Notes = dyn Fn(Passage) + Send + Sync;

struct Shared {
    app: Box<Places>,
    fates: Box<Fates>,
    notes: Box<Notes>,
}

/// The proxy. It stops accepting when this value goes; what is under way arrives.
pub struct Front {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Front {
    /// Opens a proxy before the app at `app`, which is asked anew for each request, as the app may be gone or elsewhere. `fates`
    /// is asked once per request; `notes` is told of each copy that went on.
    pub async fn open(
        app: impl Fn() -> Option<SocketAddr> + Send + Sync + 'static,
        fates: impl Fn() -> Fate + Send + Sync + 'static,
        notes: impl Fn(Passage) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            app: Box::new(app),
            fates: Box::new(fates),
            notes: Box::new(notes),
        });
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, shared.clone()));
            }
        });
        Self { address, accepting }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(mut client: TcpStream, shared: Arc<Shared>) {
    let _ = client.set_nodelay(true);
    let Ok(request) = read_request(&mut client).await else {
        return;
    };
    let request = Arc::new(request);
    let fate = (shared.fates)();
    tokio::time::sleep(fate.before).await;
    if fate.request_lost {
        return reset(&client);
    }
    if let Some(later) = fate.request_again {
        let (shared, request) = (shared.clone(), request.clone());
        tokio::spawn(async move {
            tokio::time::sleep(later).await;
            ask(&shared, request).await;
        });
    }
    let answer = ask(&shared, request).await;
    tokio::time::sleep(fate.after).await;
    let Some(answer) = answer.filter(|_| !fate.answer_lost) else {
        return reset(&client);
    };
    if client.write_all(&answer).await.is_err() {
        return;
    }
    if let Some(later) = fate.answer_again {
        tokio::time::sleep(later).await;
        let _ = client.write_all(&answer).await;
    }
    let _ = client.shutdown().await;
}

/// One copy of a request, sent to the app whatever becomes of the client.
async fn ask(shared: &Shared, request: Arc<Vec<u8>>) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect((shared.app)()?).await.ok()?;
    let forwarded = Instant::now();
    let asked = async {
        stream.set_nodelay(true)?;
        stream.write_all(&request).await?;
        // Every request asks for the connection to be closed behind it, so the answer ends where the stream does.
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = asked.await.ok().filter(|answer| !answer.is_empty());
    (shared.notes)(Passage {
        request,
        forwarded,
        answer: answer.clone().map(|answer| (Instant::now(), answer)),
    });
    answer
}

async fn read_request(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]);
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok())
                .unwrap_or(0);
            while bytes.len() < end + 4 + length {
                if client.read_buf(&mut bytes).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            return Ok(bytes);
        }
    }
}
