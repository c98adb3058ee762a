//! A reader against a simulated source.
