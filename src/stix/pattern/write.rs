//! Writes patterns in the form that the platform brings them into, and that ids of indicators are made of: one blank
//! around operators, and none elsewhere.
//!
//! **Invariant.** Nothing foreign stands outside of quotes, and within them `\` and `'` have a `\` in front. So a
//! pattern means what its comparisons say, whatever their values hold.

use std::fmt;

use super::super::value::{Address, Network};
use super::super::{Hash, HashAlgorithm};
use super::path::{HashedObject, ObjectPath};

/// One property compared with one value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Comparison(String);

impl Comparison {
    /// The property is this text.
    pub fn equals(path: ObjectPath, value: &str) -> Self {
        Self::with_text(path, "=", value)
    }

    /// The property is this number.
    pub fn equals_number(path: ObjectPath, number: u32) -> Self {
        Self(format!("{path} = {number}"))
    }

    /// The property is like this text, in which `%` stands for any text and `_` for any character: these two cannot be
    /// escaped.
    pub fn like(path: ObjectPath, value: &str) -> Self {
        Self::with_text(path, "LIKE", value)
    }

    /// The property matches this regular expression.
    pub fn matches(path: ObjectPath, expression: &str) -> Self {
        Self::with_text(path, "MATCHES", expression)
    }

    /// The observable is this address.
    pub fn address(address: Address) -> Self {
        Self::equals(address_path(address), &address.to_string())
    }

    /// The observable is an address within this range.
    pub fn is_within(network: Network) -> Self {
        let path = address_path(network.address());
        Self::with_text(path, "ISSUBSET", &network.to_string())
    }

    /// The observable has this hash.
    pub fn hash(object: HashedObject, hash: &Hash) -> Self {
        let algorithm: HashAlgorithm = hash.algorithm();
        Self::equals(ObjectPath::Hash(object, algorithm), hash.as_str())
    }

    /// Both are true of one observation.
    #[must_use]
    pub fn and(self, other: Self) -> AllOf {
        AllOf(vec![self, other])
    }

    /// One of both is true of an observation.
    #[must_use]
    pub fn or(self, other: Self) -> AnyOf {
        AnyOf(vec![self, other])
    }

    fn with_text(path: ObjectPath, operator: &'static str, value: &str) -> Self {
        let mut text = format!("{path} {operator} '");
        for c in value.chars() {
            if matches!(c, '\\' | '\'') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('\'');
        Self(text)
    }
}

fn address_path(address: Address) -> ObjectPath {
    match address {
        Address::V4(_) => ObjectPath::Ipv4Value,
        Address::V6(_) => ObjectPath::Ipv6Value,
    }
}

/// Comparisons that are all true of one observation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AllOf(Vec<Comparison>);

impl AllOf {
    /// This one too.
    #[must_use]
    pub fn and(mut self, other: Comparison) -> Self {
        self.0.push(other);
        self
    }
}

/// Comparisons of which one is true of an observation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AnyOf(Vec<Comparison>);

impl AnyOf {
    /// Or this one.
    #[must_use]
    pub fn or(mut self, other: Comparison) -> Self {
        self.0.push(other);
        self
    }
}

/// A pattern about one observation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn joined(comparisons: &[Comparison], operator: &'static str) -> Self {
        let texts = comparisons.iter().map(|Comparison(text)| text.as_str());
        Self(format!("[{}]", texts.collect::<Vec<_>>().join(operator)))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Comparison> for Pattern {
    fn from(comparison: Comparison) -> Self {
        Self::joined(&[comparison], "")
    }
}

impl From<AllOf> for Pattern {
    fn from(AllOf(comparisons): AllOf) -> Self {
        Self::joined(&comparisons, " AND ")
    }
}

impl From<AnyOf> for Pattern {
    fn from(AnyOf(comparisons): AnyOf) -> Self {
        Self::joined(&comparisons, " OR ")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn pattern(comparison: impl Into<Pattern>) -> String {
        comparison.into().to_string()
    }

    #[rstest]
    #[case("185.10.68.5", "[url:value = '185.10.68.5']")]
    #[case("it's", r"[url:value = 'it\'s']")]
    #[case(r"a\b", r"[url:value = 'a\\b']")]
    #[case(r"\'", r"[url:value = '\\\'']")]
    #[case("'] OR [x:y = '", r"[url:value = '\'] OR [x:y = \'']")]
    #[case("é\n", "[url:value = 'é\n']")]
    #[case("", "[url:value = '']")]
    fn a_value_stays_within_its_quotes(#[case] value: &str, #[case] expected: &str) {
        let comparison = Comparison::equals(ObjectPath::UrlValue, value);
        assert_eq!(pattern(comparison), expected);
    }

    #[test]
    fn hashes_have_the_names_that_the_platform_writes() {
        let written = |algorithm, digits: usize| {
            let hash = Hash::read(algorithm, &"A".repeat(digits)).unwrap();
            pattern(Comparison::hash(HashedObject::File, &hash))
        };
        let md5 = written(HashAlgorithm::Md5, 32);
        assert_eq!(md5, format!("[file:hashes.MD5 = '{}']", "a".repeat(32)));
        let sha = written(HashAlgorithm::Sha256, 64);
        assert_eq!(
            sha,
            format!("[file:hashes.'SHA-256' = '{}']", "a".repeat(64))
        );
        assert!(written(HashAlgorithm::Ssdeep, 5).starts_with("[file:hashes.SSDEEP = "));
        let other = written(HashAlgorithm::Sha512_256, 64);
        assert!(other.starts_with("[file:hashes.'SHA-512/256' = "));
        let hash = Hash::by_length(&"a".repeat(32)).unwrap();
        let certificate = pattern(Comparison::hash(HashedObject::X509Certificate, &hash));
        assert!(certificate.starts_with("[x509-certificate:hashes.MD5 = "));
    }

    #[rstest]
    #[case(ObjectPath::HostnameValue, "[hostname:value = 'V']")]
    #[case(ObjectPath::EmailValue, "[email-addr:value = 'V']")]
    #[case(ObjectPath::MacValue, "[mac-addr:value = 'V']")]
    #[case(ObjectPath::TextValue, "[text:value = 'V']")]
    #[case(ObjectPath::UserAgentValue, "[user-agent:value = 'V']")]
    #[case(
        ObjectPath::CryptocurrencyWalletValue,
        "[cryptocurrency-wallet:value = 'V']"
    )]
    #[case(ObjectPath::PhoneNumberValue, "[phone-number:value = 'V']")]
    #[case(ObjectPath::FileName, "[file:name = 'V']")]
    #[case(ObjectPath::FileParentPath, "[file:parent_directory_ref.path = 'V']")]
    #[case(ObjectPath::DirectoryPath, "[directory:path = 'V']")]
    #[case(ObjectPath::MutexName, "[mutex:name = 'V']")]
    #[case(ObjectPath::RegistryKey, "[windows-registry-key:key = 'V']")]
    #[case(
        ObjectPath::RegistryValueData,
        "[windows-registry-key:values.data = 'V']"
    )]
    #[case(ObjectPath::BankAccountIban, "[bank-account:iban = 'V']")]
    #[case(ObjectPath::PaymentCardNumber, "[payment-card:card_number = 'V']")]
    #[case(ObjectPath::AccountLogin, "[user-account:account_login = 'V']")]
    #[case(ObjectPath::AccountType, "[user-account:account_type = 'V']")]
    #[case(ObjectPath::AccountUserId, "[user-account:user_id = 'V']")]
    #[case(ObjectPath::EmailSubject, "[email-message:subject = 'V']")]
    #[case(ObjectPath::EmailBody, "[email-message:body = 'V']")]
    #[case(ObjectPath::EmailMessageId, "[email-message:message_id = 'V']")]
    #[case(
        ObjectPath::EmailMailer,
        "[email-message:additional_header_fields.'X-Mailer' = 'V']"
    )]
    #[case(ObjectPath::ProcessCommandLine, "[process:command_line = 'V']")]
    #[case(ObjectPath::TrafficSourceType, "[network-traffic:src_ref.type = 'V']")]
    #[case(ObjectPath::TrafficSource, "[network-traffic:src_ref.value = 'V']")]
    fn paths_are_those_of_the_platforms_patterns(#[case] path: ObjectPath, #[case] expected: &str) {
        assert_eq!(pattern(Comparison::equals(path, "V")), expected);
    }

    #[rstest]
    #[case(
        ObjectPath::AutonomousSystemNumber,
        "[autonomous-system:number = 64500]"
    )]
    #[case(ObjectPath::TrafficSourcePort, "[network-traffic:src_port = 64500]")]
    fn numbers_stand_without_quotes(#[case] path: ObjectPath, #[case] expected: &str) {
        assert_eq!(pattern(Comparison::equals_number(path, 64500)), expected);
    }

    #[test]
    fn the_other_comparisons_are_written_as_the_platform_does() {
        let path = |text| Comparison::like(ObjectPath::UrlValue, text);
        assert_eq!(
            pattern(path("%/gate.php").or(path("%/gate.php?%"))),
            "[url:value LIKE '%/gate.php' OR url:value LIKE '%/gate.php?%']"
        );
        assert_eq!(
            pattern(Comparison::matches(
                ObjectPath::DomainValue,
                r"vh[0-9]\.example"
            )),
            r"[domain-name:value MATCHES 'vh[0-9]\\.example']"
        );
        let network = Network::read("162.255.119.0/24").unwrap();
        assert_eq!(
            pattern(Comparison::is_within(network)),
            "[ipv4-addr:value ISSUBSET '162.255.119.0/24']"
        );
        let address = Address::read("2001:DB8::1").unwrap();
        assert_eq!(
            pattern(Comparison::address(address)),
            "[ipv6-addr:value = '2001:db8::1']"
        );
        let traffic = Comparison::equals(ObjectPath::TrafficDestinationType, "ipv4-addr")
            .and(Comparison::equals(
                ObjectPath::TrafficDestination,
                "185.10.68.5",
            ))
            .and(Comparison::equals_number(
                ObjectPath::TrafficDestinationPort,
                4443,
            ));
        assert_eq!(
            pattern(traffic),
            "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '185.10.68.5' AND network-traffic:dst_port = 4443]"
        );
    }
}
