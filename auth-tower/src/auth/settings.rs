//! The settings that both roles have, once.

/// Writes the setters that both builders have, on a `settings: Settings` and `origins: Vec<String>`.
macro_rules! shared_setters {
    () => {
        /// How long a token is accepted after its `exp`. Default: zero. At most 10 seconds.
        pub fn leeway(mut self, leeway: Duration) -> Self {
            self.settings.leeway = leeway;
            self
        }

        /// How access tokens reach the client. Default: [`AccessTransport::Header`].
        pub fn access_transport(mut self, transport: AccessTransport) -> Self {
            self.settings.transport = transport;
            self
        }

        /// Lets pages of another origin (`https://app.example.com`) act with the user's cookies. Call it once per origin.
        pub fn trusted_origin(mut self, origin: impl Into<String>) -> Self {
            self.origins.push(origin.into());
            self
        }

        /// Refuses unsafe requests on a cookie's word that carry neither `Sec-Fetch-Site` nor `Origin`. Every current browser
        /// sends one of them; other programs that keep cookies would be locked out.
        pub fn with_strict_origin(mut self) -> Self {
            self.settings.csrf.strict = true;
            self
        }

        /// Asks for this (lower-case) header on every unsafe request on a cookie's word. A page of another origin cannot send
        /// it without a preflight that the application would have to allow.
        pub fn required_header(mut self, name: &'static str) -> Self {
            self.settings.csrf.required_header = Some(name);
            self
        }

        /// How old the revocation feed may be before tokens are checked against the store. Default: 5 seconds; at least half a
        /// second.
        pub fn max_staleness(mut self, staleness: Duration) -> Self {
            self.settings.max_staleness = staleness;
            self
        }

        /// The bound on the memory of the verified-token cache, in bytes. Default: 32 MiB. Zero keeps nothing.
        pub fn token_cache_bytes(mut self, bytes: u64) -> Self {
            self.settings.token_cache_bytes = bytes;
            self
        }

        /// Renders the bodies of denials in the application's own way. Status, challenge and headers stay as they are.
        pub fn render_denials(mut self, render: impl Fn(&Denial) -> DenialBody + Send + Sync + 'static) -> Self {
            self.settings.renderer = Some(Arc::new(render));
            self
        }

        /// Hears of everything that happens to sessions. Called on the request's task: hand over anything slow.
        pub fn on_event(mut self, listen: impl Fn(&Event) + Send + Sync + 'static) -> Self {
            self.settings.listener = Some(Arc::new(listen));
            self
        }

        /// Another clock of this machine, for tests. Embedded stores have their own.
        ///
        /// Whatever it says, sessions and access tokens are dated by the store's clock, which every answer of the store tells; so
        /// instances whose clocks are minutes apart agree. [`Health::clock_offset_millis`](crate::Health::clock_offset_millis) is the difference.
        pub fn clock(mut self, clock: Clock) -> Self {
            self.settings.clock = clock;
            self
        }
    };
}

pub(super) use shared_setters;
