//! A person who signs in, signs out, and a thief who kept both tokens and tries them on every instance.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use acceptance::wait::NOTICE;
use acceptance::{Client, Jar, Request, Response};
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::sync::watch;

use crate::world::{ACCESS_SECONDS, World};

/// An answer 200 to a token of a session that is over.
#[derive(Debug, Clone)]
struct Honoured {
    ended: Instant,
    asked: Instant,
    instance: usize,
    refresh: bool,
}

/// What came of the endings.
#[derive(Debug, Default)]
pub(crate) struct RevocationPage {
    acknowledged: Mutex<usize>,
    honoured: Mutex<Vec<Honoured>>,
}

impl RevocationPage {
    /// How many endings were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        *self.acknowledged.lock().expect("nobody panics with it")
    }

    /// The answers that came too late, in words; and the latest of those that were in time.
    pub(crate) fn judge(&self, world: &World) -> (Vec<String>, Duration) {
        let (mut wrong, mut latest) = (Vec::new(), Duration::ZERO);
        for one in &*self.honoured.lock().expect("nobody panics with it") {
            let after = one.asked.duration_since(one.ended);
            // A store's ending is in force at once; what an instance still answers are the stragglers of a burst.
            if one.refresh && after > NOTICE {
                wrong.push(format!(
                    "app {} exchanged a refresh token {after:?} after its end",
                    one.instance
                ));
            } else if one.asked > world.felt_by(one.ended) {
                wrong.push(format!(
                    "app {} honoured an access token {after:?} after its end",
                    one.instance
                ));
            } else {
                latest = latest.max(after);
            }
        }
        (wrong, latest)
    }
}

/// Comes and goes until told to stop.
pub(crate) async fn come_and_go(
    world: Arc<World>,
    endings: Arc<RevocationPage>,
    mut random: StdRng,
    stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        let pause = Duration::from_millis(random.random_range(50..300));
        let Some(client) = sign_in(&world, &mut random).await else {
            tokio::time::sleep(pause).await;
            continue;
        };
        tokio::time::sleep(pause).await;
        let kind = random.random_range(0..3);
        // Whoever does not record_status that it worked tries again; but not for ever, as an access token does not last.
        for _ in 0..20 {
            if leave(&client, &world, kind, &mut random).await {
                *endings.acknowledged.lock().expect("nobody panics with it") += 1;
                haunt(&client, &world, &endings, Instant::now()).await;
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn ask(address: Option<SocketAddr>, request: &Request) -> Option<Response> {
    let asked = tokio::time::timeout(Duration::from_secs(5), request.try_send(address?));
    asked.await.ok()?.ok()
}

async fn sign_in(world: &World, random: &mut StdRng) -> Option<Client> {
    let address = world.any(random).address()?;
    let response = ask(Some(address), &Request::login("bob", "builder")).await?;
    let mut client = Client {
        address,
        jar: Jar::default(),
        access: String::new(),
    };
    let response = client.absorb(response);
    (response.status == 200).then_some(client)
}

/// Asks for the end in one of the three ways that a user has. Whether it was acknowledged.
async fn leave(client: &Client, world: &World, kind: u8, random: &mut StdRng) -> bool {
    let token = client.refresh_token();
    let (request, done): (_, &[u16]) = match kind {
        0 => (Request::post("/auth/logout").refresh(&token), &[204]),
        // A second attempt finds the token honoured no more, or the session gone.
        1 => (Request::post("/auth/logout-all").bearer(&client.access), &[200, 401]),
        _ => {
            let target = format!("/auth/sessions/{}", client.session_id());
            (Request::delete(&target).bearer(&client.access), &[204, 404, 401])
        }
    };
    let response = ask(world.any(random).address(), &request).await;
    response.is_some_and(|response| {
        let over = response.status == 401 && response.code().as_deref() != Some("token_revoked");
        done.contains(&response.status) && !over
    })
}

/// Tries both tokens on every instance, until the access token has expired.
async fn haunt(client: &Client, world: &World, endings: &RevocationPage, ended: Instant) {
    let me = Request::get("/api/me").bearer(&client.access);
    let refresh = Request::post("/auth/refresh").refresh(&client.refresh_token());
    while ended.elapsed() < Duration::from_secs(ACCESS_SECONDS) {
        for (instance, place) in world.instances.iter().enumerate() {
            // An instance learns of the end from a refresh token too, so until then only the feed may tell it.
            let exchange = ended.elapsed() > NOTICE * 2;
            let asked = Instant::now();
            let response = ask(place.address(), if exchange { &refresh } else { &me }).await;
            if response.is_some_and(|response| response.status == 200) {
                endings.honoured.lock().expect("nobody panics with it").push(Honoured {
                    ended,
                    asked,
                    instance,
                    refresh: exchange,
                });
            }
        }
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
}
