//! Sends a request once: each detail and stream has its own operation, and each operation its own types.

use super::request::{
    Detail, Extras, Filter, ListRequest, ReferencesRequest, SourceRequest, Stream,
};
use crate::connectors::netmanageit::cursor::Span;
use crate::connectors::netmanageit::operations::{
    IndicatorRows, Indicators, ObservableRows, ObservableStix, Observables, References,
    RelationshipRows, Relationships, indicator_rows, indicators, observable_rows, observable_stix,
    observables, references, relationship_rows, relationships,
};
use crate::graphql::Answer;
use crate::http::RetryPolicy;
use crate::platform::{Platform, PlatformError};

impl SourceRequest {
    /// Sends it once.
    pub(super) async fn send(&self, platform: &Platform) -> Result<Answer, PlatformError> {
        match self {
            Self::List(list) => match list.detail {
                Detail::Whole(extras) => list.send_whole(platform, extras).await,
                Detail::Stix => list.send_stix(platform).await,
                Detail::Names | Detail::Places => list.send_rows(platform).await,
            },
            Self::References(references) => references.send(platform).await,
        }
    }
}

/// A filter's key, operator and values.
type FilterCondition = (&'static str, ConditionOperator, Vec<String>);

#[derive(Debug, Clone, Copy)]
enum ConditionOperator {
    Eq,
    Gt,
    Gte,
}

impl Filter {
    fn condition(&self) -> Option<FilterCondition> {
        match self {
            Self::Span(Span::Everything) => None,
            Self::Span(Span::From(timestamp)) => Some((
                "updated_at",
                ConditionOperator::Gte,
                vec![timestamp.to_string()],
            )),
            Self::Span(Span::Behind(timestamp)) => Some((
                "updated_at",
                ConditionOperator::Gt,
                vec![timestamp.to_string()],
            )),
            Self::Ids(ids) => Some(("ids", ConditionOperator::Eq, ids.clone())),
        }
    }
}

/// A condition in the types of one operation: each has its own.
macro_rules! filter_group {
    ($operation:ident, $condition:expr) => {
        $condition.map(|(key, operator, values)| $operation::FilterGroup {
            mode: $operation::FilterMode::and,
            filters: vec![$operation::Filter {
                key: vec![key.to_owned()],
                values,
                operator: Some(match operator {
                    ConditionOperator::Eq => $operation::FilterOperator::eq,
                    ConditionOperator::Gt => $operation::FilterOperator::gt,
                    ConditionOperator::Gte => $operation::FilterOperator::gte,
                }),
                mode: Some($operation::FilterMode::or),
            }],
            filter_groups: Vec::new(),
        })
    };
}

/// The order of rows in the types of one operation.
macro_rules! order_mode {
    ($operation:ident, $request:expr) => {
        Some(if $request.is_newest_first {
            $operation::OrderingMode::desc
        } else {
            $operation::OrderingMode::asc
        })
    };
}

impl ListRequest {
    fn first(&self) -> Option<i64> {
        i64::try_from(self.first).ok()
    }
}

fn list_of(name: &str) -> Vec<Option<String>> {
    vec![Some(name.to_owned())]
}

impl ListRequest {
    async fn send_whole(
        &self,
        platform: &Platform,
        extras: Extras,
    ) -> Result<Answer, PlatformError> {
        let (first, after) = (self.first(), self.after.clone());
        let condition = self.filter.condition();
        match self.stream {
            Stream::Observables => {
                let variables = observables::Variables {
                    first,
                    after,
                    filters: filter_group!(observables, condition),
                    with_creators: extras.creators,
                    with_files: extras.files,
                };
                platform
                    .ask::<Observables>(variables, RetryPolicy::NEVER)
                    .await
            }
            Stream::Indicators => {
                let variables = indicators::Variables {
                    first,
                    after,
                    filters: filter_group!(indicators, condition),
                    with_creators: extras.creators,
                    with_files: extras.files,
                };
                platform
                    .ask::<Indicators>(variables, RetryPolicy::NEVER)
                    .await
            }
            Stream::Relationships => {
                let variables = relationships::Variables {
                    first,
                    after,
                    filters: filter_group!(relationships, condition),
                    from_types: Some(list_of("Indicator")),
                    relationship_types: Some(list_of("based-on")),
                };
                platform
                    .ask::<Relationships>(variables, RetryPolicy::NEVER)
                    .await
            }
        }
    }

    async fn send_stix(&self, platform: &Platform) -> Result<Answer, PlatformError> {
        let condition = self.filter.condition();
        let variables = observable_stix::Variables {
            first: self.first(),
            after: self.after.clone(),
            filters: filter_group!(observable_stix, condition),
        };
        platform
            .ask::<ObservableStix>(variables, RetryPolicy::NEVER)
            .await
    }

    async fn send_rows(&self, platform: &Platform) -> Result<Answer, PlatformError> {
        let (first, after) = (self.first(), self.after.clone());
        let condition = self.filter.condition();
        let named = self.detail != Detail::Places;
        match self.stream {
            Stream::Observables => {
                let variables = observable_rows::Variables {
                    first,
                    after,
                    order_mode: order_mode!(observable_rows, self),
                    filters: filter_group!(observable_rows, condition),
                    named,
                };
                platform
                    .ask::<ObservableRows>(variables, RetryPolicy::NEVER)
                    .await
            }
            Stream::Indicators => {
                let variables = indicator_rows::Variables {
                    first,
                    after,
                    order_mode: order_mode!(indicator_rows, self),
                    filters: filter_group!(indicator_rows, condition),
                    named,
                };
                platform
                    .ask::<IndicatorRows>(variables, RetryPolicy::NEVER)
                    .await
            }
            Stream::Relationships => {
                let variables = relationship_rows::Variables {
                    first,
                    after,
                    order_mode: order_mode!(relationship_rows, self),
                    filters: filter_group!(relationship_rows, condition),
                    named,
                    from_types: Some(list_of("Indicator")),
                    relationship_types: Some(list_of("based-on")),
                };
                platform
                    .ask::<RelationshipRows>(variables, RetryPolicy::NEVER)
                    .await
            }
        }
    }
}

impl ReferencesRequest {
    async fn send(&self, platform: &Platform) -> Result<Answer, PlatformError> {
        let holders = (!self.holders.is_empty()).then(|| self.holders.clone());
        let condition = holders.map(|holders| ("fromId", ConditionOperator::Eq, holders));
        let variables = references::Variables {
            first: Some(self.first),
            after: self.after.clone(),
            relationship_types: Some(self.relations.iter().cloned().map(Some).collect()),
            filters: filter_group!(references, condition),
            with_files: self.with_files,
        };
        platform
            .ask::<References>(variables, RetryPolicy::NEVER)
            .await
    }
}
