//! Which fault is caused on which stores: one test per fault and store. The first instance is an axum app, the second an actix one.

/// Faults that have nothing to do with the store.
macro_rules! on_every_store {
    ($($fault:ident),+ $(,)?) => {
        mod every {
            use super::*;
            acceptance::on_stores_of!(axum = Axum; any [$($fault)+]);
        }
    };
}

/// Faults that need two instances, or a store that outlives them.
macro_rules! on_shared_stores {
    ($($fault:ident),+ $(,)?) => {
        mod shared {
            use super::*;
            acceptance::on_stores_of!(axum = Axum; durable [$($fault)+]);
        }
    };
}

/// Faults of a file.
macro_rules! on_files {
    ($($fault:ident),+ $(,)?) => {
        mod file {
            use super::*;
            acceptance::on_stores_of!(axum = Axum; file [$($fault)+]);
        }
    };
}

/// Faults of a server.
macro_rules! on_servers {
    ($($fault:ident),+ $(,)?) => {
        mod server {
            use super::*;
            acceptance::on_stores_of!(axum = Axum; server [$($fault)+]);
        }
    };
}

/// Faults of the way to a server. The nodes of a cluster name each other's addresses, so no proxy comes between.
macro_rules! on_single_servers {
    ($($fault:ident),+ $(,)?) => {
        mod single {
            use super::*;
            acceptance::on_stores_of!(axum = Axum; proxied [$($fault)+]);
        }
    };
}

/// Faults of a Redis server with a replica.
macro_rules! on_replicas {
    ($($fault:ident),+ $(,)?) => {
        mod replica {
            use super::*;
            acceptance::on_stores_of!(axum = Axum; replicated [$($fault)+]);
        }
    };
}
