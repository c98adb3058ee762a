//! Why one object, or one part of it, is not sent.

use super::marking::BadMarking;
use crate::connector::{AtSource, DaysInVain};
use crate::connectors::netmanageit::page::UNKNOWN_SHAPE;
use crate::stix::{NotAnId, NotOfKind};

/// Why one object, or one part of it, is not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConvertError {
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("this program does not know its type")]
    UnknownType,
    #[error("an end of it cannot be seen at the source")]
    InvisibleEnd,
    #[error("{UNKNOWN_SHAPE}")]
    Shape(#[from] serde_json::Error),
    #[error(transparent)]
    Id(#[from] NotAnId),
    #[error("an end of it is no object that can be there: {0}")]
    End(NotAnId),
    #[error("its {field} is not what it should be: {reason}")]
    Field {
        field: &'static str,
        reason: NotOfKind,
    },
    #[error("it is another relationship than the one that was asked for")]
    OtherRelationship,
    #[error(transparent)]
    Marking(#[from] BadMarking),
    /// The source failed at what is needed to write it.
    #[error("{0}")]
    Unread(String),
}

/// Why a list that is null is reported: the source answers an empty one where there is nothing.
pub(super) const NOT_STATED: &str = "the source answers null where a list of these should be";

impl ConvertError {
    /// What the source may resolve, where the object can go then.
    pub(super) fn at_source(&self) -> Option<AtSource> {
        match self {
            Self::Marking(_) => Some(AtSource::Contradiction),
            Self::Unread(_) => Some(AtSource::Unread(DaysInVain::default())),
            _ => None,
        }
    }
}

/// A field that makes an object what it is, and is not of its kind.
pub(super) fn of_field(field: &'static str) -> impl Fn(NotOfKind) -> ConvertError {
    move |reason| ConvertError::Field { field, reason }
}
