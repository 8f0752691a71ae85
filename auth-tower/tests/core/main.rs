//! The public API of the core, without a server: keys, settings, passwords, the tower layer, the rotation rules.

mod keys;
mod layer_grpc;
mod layer_plain;
mod passwords;
mod rotation_model;
mod rotation_properties;
mod settings;
