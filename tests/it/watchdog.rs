//! Runs that get nowhere, and platforms that are away for a while.
