//! A web app with complete token authentication on actix-web.

fn main() {}
