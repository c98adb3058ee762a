//! The indicators of this connector that are revoked at the platform: one that a list has again is made to count again.
