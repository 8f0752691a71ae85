//! A plain hyper service behind the tower layer.

fn main() {}
