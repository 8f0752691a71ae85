//! A gRPC service behind the tower layer.

fn main() {}
