//! A broker that refuses a message for its size.
//!
//! RabbitMQ closes the channel with 406 and "`PRECONDITION_FAILED` - message size 262144 is larger than
//! configured max size 200000" (`check_msg_size` in its `rabbit_channel.erl`); other brokers have other
//! words. AMQP itself has 311, `CONTENT_TOO_LARGE`. Sent again as it is, such a message is refused for ever.

use lapin::protocol::{AMQPErrorKind, AMQPSoftError};

/// Where the broker does not say its limit, and a message so small is refused, it is not for its size.
const SMALLEST: usize = 4 * 1024;

/// The broker's answer when it refused a message for its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TooLarge {
    /// The limit that it named.
    named: Option<usize>,
}

impl TooLarge {
    /// Whether an error is such a refusal.
    pub(super) fn of(error: &lapin::Error) -> Option<Self> {
        let lapin::ErrorKind::ProtocolError(error) = error.kind() else {
            return None;
        };
        let text = error.get_message().as_str();
        match error.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) if is_about_size(text) => {}
            AMQPErrorKind::Soft(AMQPSoftError::CONTENTTOOLARGE) => {}
            _ => return None,
        }
        Some(Self {
            named: last_number(text),
        })
    }

    /// The largest body that is tried from now on: what the broker named, else half of the largest that
    /// it may have refused; none where size cannot be the matter.
    pub(super) fn limit(&self, largest: usize) -> Option<usize> {
        match self.named {
            Some(named) if named > 0 && named < largest => Some(named),
            _ => (largest > SMALLEST).then_some(largest / 2),
        }
    }
}

fn is_about_size(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("size") || text.contains("larger than") || text.contains("too large")
}

fn last_number(text: &str) -> Option<usize> {
    let mut numbers = text.rsplit(|character: char| !character.is_ascii_digit());
    numbers.find(|number| !number.is_empty())?.parse().ok()
}

#[cfg(test)]
mod tests {
    use lapin::protocol::AMQPError;

    use super::*;

    fn refusal(kind: AMQPSoftError, text: &str) -> Option<TooLarge> {
        let error = AMQPError::new(AMQPErrorKind::Soft(kind), text.into());
        TooLarge::of(&lapin::ErrorKind::ProtocolError(error).into())
    }

    #[test]
    fn the_limit_is_what_the_broker_names_else_half() {
        let limit = |text| {
            let refusal = refusal(AMQPSoftError::PRECONDITIONFAILED, text);
            refusal.and_then(|refusal| refusal.limit(300_000))
        };
        for (text, expected) in [
            (
                "PRECONDITION_FAILED - message size 262144 is larger than configured max size 200000",
                Some(200_000),
            ),
            (
                "PRECONDITION_FAILED - message size 262144 is larger than max size 134217",
                Some(134_217),
            ),
            ("PRECONDITION_FAILED - message is too large", Some(150_000)),
            ("message size 300000 is larger than allowed", Some(150_000)),
            ("max size 99999999999999999999999", Some(150_000)),
            ("max size 0", Some(150_000)),
            ("PRECONDITION_FAILED - invalid expiration", None),
        ] {
            assert_eq!(limit(text), expected, "{text}");
        }
        let refusal = refusal(AMQPSoftError::CONTENTTOOLARGE, "no").unwrap();
        assert_eq!(refusal.limit(10_000), Some(5_000));
        assert_eq!(
            refusal.limit(1_000),
            None,
            "so small a message is refused for something else"
        );
    }

    #[test]
    fn another_refusal_is_none_for_size() {
        assert_eq!(
            refusal(AMQPSoftError::NOTFOUND, "no exchange of this size 5"),
            None
        );
        assert_eq!(
            TooLarge::of(&lapin::ErrorKind::ChannelsLimitReached.into()),
            None
        );
    }
}
