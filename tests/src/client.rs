//! An honest client: one cookie jar, one access token in memory, whatever arrives last counts.

use std::net::SocketAddr;

use crate::REFRESH_COOKIE;
use crate::app::Running;
use crate::forge::{Jwt, RefreshToken};
use crate::http::{Request, Response};
use crate::jar::Jar;

/// A signed-in client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where it sends its requests.
    pub address: SocketAddr,
    /// Its cookies.
    pub jar: Jar,
    /// Its access token.
    pub access: String,
}

impl Client {
    /// Signs alice in.
    pub async fn alice(app: &Running) -> Self {
        Self::sign_in(app, "alice", "wonderland").await
    }

    /// Signs bob in.
    pub async fn bob(app: &Running) -> Self {
        Self::sign_in(app, "bob", "builder").await
    }

    /// Signs a user in.
    pub async fn sign_in(app: &Running, username: &str, password: &str) -> Self {
        Self::from_login(app, &Request::login(username, password)).await
    }

    /// Signs in by a login request of the caller's making.
    pub async fn from_login(app: &Running, login: &Request) -> Self {
        let mut client = Self {
            address: app.address(),
            jar: Jar::default(),
            access: String::new(),
        };
        let response = client.absorb(login.send(client.address).await);
        assert_eq!(response.status, 200, "sign-in: {response:?}");
        assert!(
            client.jar.value(REFRESH_COOKIE).is_some(),
            "sign-in sets a refresh cookie: {response:?}"
        );
        client
    }

    /// The refresh token in the jar.
    pub fn refresh_token(&self) -> String {
        self.jar
            .value(REFRESH_COOKIE)
            .expect("a refresh cookie in the jar")
            .to_owned()
    }

    /// The generation of the refresh token in the jar.
    pub fn generation(&self) -> u32 {
        RefreshToken::decode(&self.refresh_token()).generation()
    }

    /// Its access token, taken apart.
    pub fn jwt(&self) -> Jwt {
        Jwt::decode(&self.access)
    }

    /// Its session's public id.
    pub fn session_id(&self) -> String {
        self.jwt().text("sid").to_owned()
    }

    /// Its access token as it will be after its lifetime; only where the test knows the secret.
    pub fn expired(&self) -> String {
        self.jwt().expired_since(60).sign(crate::ACCESS_SECRET)
    }

    /// Keeps what a response brings.
    pub fn absorb(&mut self, response: Response) -> Response {
        for cookie in response.cookies() {
            self.jar.absorb(&cookie);
        }
        if let Some(token) = response.access_token() {
            self.access = token;
        }
        response
    }

    /// Sends a request as it is, and keeps what the response brings.
    pub async fn send(&mut self, request: Request) -> Response {
        let response = request.send(self.address).await;
        self.absorb(response)
    }

    /// Sends a request with the jar's cookies only.
    pub async fn with_cookies(&mut self, request: Request) -> Response {
        let request = match self.jar.header() {
            Some(cookies) => request.header("Cookie", cookies),
            None => request,
        };
        self.send(request).await
    }

    /// Sends a request with the access token only.
    pub async fn with_bearer(&mut self, request: Request) -> Response {
        let request = request.bearer(&self.access);
        self.send(request).await
    }

    /// Calls `/auth/refresh` with the jar's cookies.
    pub async fn refresh(&mut self) -> Response {
        self.with_cookies(Request::post("/auth/refresh")).await
    }
}
