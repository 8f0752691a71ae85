//! Middleware, typed claims extractors, guards and ready routes for actix-web 4.
