//! What a value looks like as an observable and as a pattern.
//!
//! **Invariant:** nothing of a value stands outside of quotes in its pattern.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use super::super::trails::value::TrailValue;
use crate::stix::StixId;
use crate::stix::make_id::{self, ValueType};
use crate::stix::pattern::{Comparison, ObjectPath, Pattern};
use crate::stix::value::{Address, Network};

/// The forms of a value.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    /// How people call it.
    pub(super) name: Cow<'a, str>,
    /// Its pattern, in the platform's normal form.
    pub(super) pattern: Pattern,
    /// The platform's word for what the pattern finds.
    pub(super) main_type: &'static str,
    /// The observable of the value; none where there is none.
    pub(super) observable: Option<ValueType>,
    /// The observable that the indicator is based on, where it is that of another value.
    pub(super) based_on: Option<StixId>,
}

impl<'a> Shape<'a> {
    pub(super) fn of(value: &'a TrailValue<'_>) -> Self {
        let name = value.text();
        match value {
            TrailValue::Domain(text) => Self::of_value(name, ValueType::DomainName, text),
            TrailValue::Url(text) => Self::of_value(name, ValueType::Url, text),
            TrailValue::Ipv4(address) => Self::of_address(name, (*address).into()),
            TrailValue::Ipv6(address) => Self::of_address(name, (*address).into()),
            TrailValue::Range(first, bits) => Self::of_range(name, *first, *bits),
            TrailValue::Traffic(address, port) => Self::of_traffic(name, *address, *port),
            TrailValue::Path(path) => Self::without_observable(name, path_pattern(path), "Url"),
            TrailValue::Expression(expression) => {
                let comparison = Comparison::matches(ObjectPath::DomainValue, expression);
                Self::without_observable(name, comparison.into(), "Domain-Name")
            }
            TrailValue::Suffix(suffix) => {
                let below = format!("%{suffix}");
                let comparison = Comparison::like(ObjectPath::DomainValue, &below);
                Self::without_observable(name, comparison.into(), "Domain-Name")
            }
        }
    }

    fn of_value(name: Cow<'a, str>, value_type: ValueType, text: &str) -> Self {
        let path = match value_type {
            ValueType::Url => ObjectPath::UrlValue,
            _ => ObjectPath::DomainValue,
        };
        Self {
            pattern: Comparison::equals(path, text).into(),
            main_type: value_type.kind(),
            observable: Some(value_type),
            based_on: None,
            name,
        }
    }

    fn of_address(name: Cow<'a, str>, address: IpAddr) -> Self {
        let value_type = address_type(address);
        Self {
            pattern: Comparison::address(address.into()).into(),
            main_type: value_type.kind(),
            observable: Some(value_type),
            based_on: None,
            name,
        }
    }

    /// The platform takes a range as the value of an address.
    fn of_range(name: Cow<'a, str>, first: Ipv4Addr, bits: u8) -> Self {
        let comparison = match Network::of_v4(first, bits) {
            Some(network) => Comparison::is_within(network),
            // No such range is read: as text it finds nothing.
            None => Comparison::equals(ObjectPath::Ipv4Value, &name),
        };
        Self {
            pattern: comparison.into(),
            main_type: ValueType::Ipv4Addr.kind(),
            observable: Some(ValueType::Ipv4Addr),
            based_on: None,
            name,
        }
    }

    /// The id of network traffic cannot be worked out outside of the platform, so that its indicator is based on the
    /// address.
    fn of_traffic(name: Cow<'a, str>, address: IpAddr, port: u16) -> Self {
        let value_type = address_type(address);
        let address = Address::from(address);
        let text = address.to_string();
        let to = Comparison::equals(ObjectPath::TrafficDestinationType, address.stix_type());
        let pattern = to
            .and(Comparison::equals(ObjectPath::TrafficDestination, &text))
            .and(Comparison::equals_number(
                ObjectPath::TrafficDestinationPort,
                port.into(),
            ));
        Self {
            pattern: pattern.into(),
            main_type: "Network-Traffic",
            observable: None,
            based_on: Some(make_id::value(value_type, &text)),
            name,
        }
    }

    fn without_observable(name: Cow<'a, str>, pattern: Pattern, main_type: &'static str) -> Self {
        Self {
            name,
            pattern,
            main_type,
            observable: None,
            based_on: None,
        }
    }
}

fn address_type(address: IpAddr) -> ValueType {
    match address {
        IpAddr::V4(_) => ValueType::Ipv4Addr,
        IpAddr::V6(_) => ValueType::Ipv6Addr,
    }
}

/// A path that is a file's also counts with a query behind it. `%` and `_` in it cannot be escaped: they match more than
/// themselves.
fn path_pattern(path: &str) -> Pattern {
    let like = |text: &str| Comparison::like(ObjectPath::UrlValue, text);
    if path.ends_with('/') || path.contains('?') {
        return like(&format!("%{path}%")).into();
    }
    like(&format!("%{path}"))
        .or(like(&format!("%{path}?%")))
        .into()
}
