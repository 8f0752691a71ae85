//! The fuzz targets of auth-tower. `tests/fuzz` runs them; the ordinary tests replay the corpus.

pub mod targets;
