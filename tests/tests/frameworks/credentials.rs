//! Every state in which a request's credentials can be, made anew for each app.

use acceptance::forge::base64url;
use acceptance::{ACCESS_SECRET, Client, REFRESH_COOKIE, RefreshToken, Request, Running};
use tokio::sync::OnceCell;

/// The clients of one app. Each signs in when it is first needed.
#[derive(Debug)]
pub(crate) struct Cast<'a> {
    app: &'a Running,
    live: OnceCell<Client>,
    other: OnceCell<Client>,
    dead: OnceCell<Client>,
}

impl<'a> Cast<'a> {
    pub(crate) fn of(app: &'a Running) -> Self {
        Self {
            app,
            live: OnceCell::new(),
            other: OnceCell::new(),
            dead: OnceCell::new(),
        }
    }

    /// Alice, in a session that lives.
    pub(crate) async fn live(&self) -> &Client {
        self.live.get_or_init(|| Client::alice(self.app)).await
    }

    /// Bob, in another one.
    pub(crate) async fn other(&self) -> &Client {
        self.other.get_or_init(|| Client::bob(self.app)).await
    }

    /// Alice, in a session that was ended.
    pub(crate) async fn dead(&self) -> &Client {
        let sign_in_and_out = async || {
            let client = Client::alice(self.app).await;
            let out = Request::post("/auth/logout").refresh(&client.refresh_token());
            assert_eq!(out.send(self.app.address()).await.status, 204);
            client
        };
        self.dead.get_or_init(sign_in_and_out).await
    }
}

/// What a request brings to say who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    Nothing,
    Valid,
    ValidLowerCase,
    ValidTwice,
    ValidAndCookie,
    ValidAndDeadCookie,
    Expired,
    ExpiredAndCookie,
    ExpiredAndDeadCookie,
    ExpiredAndForgedCookie,
    ExpiredAndOthersCookie,
    Forged,
    ForgedAndCookie,
    Garbage,
    GarbageAndCookie,
    ObsText,
    ObsTextAndCookie,
    Empty,
    BearerAlone,
    Basic,
    InQuery,
    Unsigned,
    UnknownKey,
    UnknownKeyAndCookie,
    UnknownKeyAndDeadCookie,
    OtherIssuer,
    OtherAudience,
    OtherType,
    TooLong,
    Revoked,
    RevokedAndCookie,
    Cookie,
    CookieTwice,
    CookieAmongOthers,
    CookieOnSecondLine,
    CookieBesideObsText,
    CookieQuoted,
    TwoSessionsCookies,
    DeadCookie,
    DeadAndLiveCookie,
    ForgedCookie,
    AlteredCookie,
    EmptyCookie,
    ObsTextCookie,
    LongCookie,
    OtherName,
}

impl Credential {
    pub(crate) const ALL: [Self; 46] = [
        Self::Nothing,
        Self::Valid,
        Self::ValidLowerCase,
        Self::ValidTwice,
        Self::ValidAndCookie,
        Self::ValidAndDeadCookie,
        Self::Expired,
        Self::ExpiredAndCookie,
        Self::ExpiredAndDeadCookie,
        Self::ExpiredAndForgedCookie,
        Self::ExpiredAndOthersCookie,
        Self::Forged,
        Self::ForgedAndCookie,
        Self::Garbage,
        Self::GarbageAndCookie,
        Self::ObsText,
        Self::ObsTextAndCookie,
        Self::Empty,
        Self::BearerAlone,
        Self::Basic,
        Self::InQuery,
        Self::Unsigned,
        Self::UnknownKey,
        Self::UnknownKeyAndCookie,
        Self::UnknownKeyAndDeadCookie,
        Self::OtherIssuer,
        Self::OtherAudience,
        Self::OtherType,
        Self::TooLong,
        Self::Revoked,
        Self::RevokedAndCookie,
        Self::Cookie,
        Self::CookieTwice,
        Self::CookieAmongOthers,
        Self::CookieOnSecondLine,
        Self::CookieBesideObsText,
        Self::CookieQuoted,
        Self::TwoSessionsCookies,
        Self::DeadCookie,
        Self::DeadAndLiveCookie,
        Self::ForgedCookie,
        Self::AlteredCookie,
        Self::EmptyCookie,
        Self::ObsTextCookie,
        Self::LongCookie,
        Self::OtherName,
    ];

    /// The request with it.
    pub(crate) async fn on(self, request: Request, cast: &Cast<'_>) -> Request {
        match self {
            Self::Nothing => request,
            Self::Valid | Self::ValidLowerCase | Self::ValidTwice | Self::ValidAndCookie | Self::ValidAndDeadCookie => {
                self.valid(request, cast).await
            }
            Self::Expired
            | Self::ExpiredAndCookie
            | Self::ExpiredAndDeadCookie
            | Self::ExpiredAndForgedCookie
            | Self::ExpiredAndOthersCookie => self.expired(request, cast).await,
            Self::Cookie
            | Self::CookieTwice
            | Self::CookieAmongOthers
            | Self::CookieOnSecondLine
            | Self::CookieBesideObsText
            | Self::CookieQuoted
            | Self::TwoSessionsCookies
            | Self::DeadCookie
            | Self::DeadAndLiveCookie
            | Self::AlteredCookie => self.cookie(request, cast).await,
            Self::ForgedCookie => request.refresh(&"A".repeat(72)),
            Self::EmptyCookie => request.refresh(""),
            Self::ObsTextCookie => request.header("Cookie", [REFRESH_COOKIE.as_bytes(), b"=\xff\xfe"].concat()),
            Self::LongCookie => request.refresh(&"A".repeat(5000)),
            Self::OtherName => request.cookie("__host-refresh", &cast.live().await.refresh_token()),
            _ => self.refused(request, cast).await,
        }
    }

    async fn valid(self, request: Request, cast: &Cast<'_>) -> Request {
        let live = cast.live().await;
        let request = match self {
            Self::ValidLowerCase => request.header("authorization", format!("bearer {}", live.access)),
            Self::ValidTwice => request.bearer(&live.access).bearer(&live.access),
            _ => request.bearer(&live.access),
        };
        match self {
            Self::ValidAndCookie => request.refresh(&live.refresh_token()),
            Self::ValidAndDeadCookie => request.refresh(&cast.dead().await.refresh_token()),
            _ => request,
        }
    }

    async fn expired(self, request: Request, cast: &Cast<'_>) -> Request {
        let (client, cookie) = match self {
            Self::ExpiredAndCookie => (cast.live().await, Some(cast.live().await.refresh_token())),
            Self::ExpiredAndDeadCookie => (cast.dead().await, Some(cast.dead().await.refresh_token())),
            Self::ExpiredAndForgedCookie => (cast.live().await, Some("A".repeat(72))),
            Self::ExpiredAndOthersCookie => (cast.live().await, Some(cast.other().await.refresh_token())),
            _ => (cast.live().await, None),
        };
        let request = request.bearer(&client.expired());
        match cookie {
            Some(cookie) => request.refresh(&cookie),
            None => request,
        }
    }

    /// An access token that is none, alone or beside a good cookie.
    async fn refused(self, request: Request, cast: &Cast<'_>) -> Request {
        let live = cast.live().await;
        let jwt = live.jwt();
        let request = match self {
            Self::Forged | Self::ForgedAndCookie => request.bearer(&jwt.with_signature(&[1; 32])),
            Self::Garbage | Self::GarbageAndCookie => request.bearer("garbage"),
            Self::ObsText | Self::ObsTextAndCookie => request.header("Authorization", b"Bearer \xff\xfe"),
            Self::Empty => request.header("Authorization", ""),
            Self::BearerAlone => request.header("Authorization", "Bearer"),
            Self::Basic => request.header("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA=="),
            Self::InQuery => {
                let target = format!("{}?access_token={}", request.target(), live.access);
                request.to(&target)
            }
            Self::Unsigned => request.bearer(&jwt.header("alg", "none").with_signature(b"")),
            Self::UnknownKey | Self::UnknownKeyAndCookie | Self::UnknownKeyAndDeadCookie => {
                request.bearer(&jwt.header("kid", "nobody").sign(ACCESS_SECRET))
            }
            Self::OtherIssuer => request.bearer(&jwt.claim("iss", "https://evil.example").sign(ACCESS_SECRET)),
            Self::OtherAudience => request.bearer(&jwt.claim("aud", "another").sign(ACCESS_SECRET)),
            Self::OtherType => request.bearer(&jwt.header("typ", "JWT").sign(ACCESS_SECRET)),
            Self::TooLong => request.bearer(&jwt.claim("more", base64url([7; 5000])).sign(ACCESS_SECRET)),
            Self::Revoked | Self::RevokedAndCookie => request.bearer(&cast.dead().await.access),
            other => panic!("{other:?} has an arm of its own"),
        };
        match self {
            Self::ForgedAndCookie
            | Self::GarbageAndCookie
            | Self::ObsTextAndCookie
            | Self::UnknownKeyAndCookie
            | Self::RevokedAndCookie => request.refresh(&live.refresh_token()),
            Self::UnknownKeyAndDeadCookie => request.refresh(&cast.dead().await.refresh_token()),
            _ => request,
        }
    }

    async fn cookie(self, request: Request, cast: &Cast<'_>) -> Request {
        let live = cast.live().await.refresh_token();
        match self {
            Self::CookieTwice => request.refresh(&live).refresh(&live),
            Self::CookieAmongOthers => request.header("Cookie", format!("a=b; {REFRESH_COOKIE}={live}; c=\"d e\"; f")),
            Self::CookieOnSecondLine => request.cookie("a", "b").refresh(&live),
            Self::CookieBesideObsText => {
                let line = [
                    b"a=\xff; ",
                    REFRESH_COOKIE.as_bytes(),
                    b"=",
                    live.as_bytes(),
                    b"; b=\xe4",
                ]
                .concat();
                request.header("Cookie", line)
            }
            Self::CookieQuoted => request.refresh(&format!("\"{live}\"")),
            Self::TwoSessionsCookies => request.refresh(&live).refresh(&cast.other().await.refresh_token()),
            Self::DeadCookie => request.refresh(&cast.dead().await.refresh_token()),
            Self::DeadAndLiveCookie => request.refresh(&cast.dead().await.refresh_token()).refresh(&live),
            Self::AlteredCookie => request.refresh(&RefreshToken::decode(&live).with_generation(9).encode()),
            _ => request.refresh(&live),
        }
    }
}
