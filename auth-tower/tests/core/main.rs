//! The public API of the core, without a server: keys, settings, passwords, the tower layer, the rotation rules,
//! and the corpus of the fuzz targets.

mod fuzz_corpus;
mod keys;
mod layer_grpc;
mod layer_plain;
mod passwords;
mod rotation_model;
mod rotation_properties;
mod settings;
