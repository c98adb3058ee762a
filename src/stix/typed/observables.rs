//! Observables.

mod files;
mod hosts;
mod network;

use super::super::StixObject;
use super::super::make_id::{self, ValueType};
use super::super::text::DESCRIPTION_CHARS;
use super::TypedObject;
use super::common::{Common, Percent};
use super::draft::{Draft, Nature, NotWritten, need, optional};

pub use files::{Artifact, File, X509Certificate};
pub use hosts::{Process, RegistryKey, RegistryValue, Software, UserAccount};
pub use make_id::TrafficEnds;
pub use network::{AutonomousSystem, EmailMessage};

/// The longest value, path, address or other text that an observable is identified by, in characters. A longer one is
/// an error: cut, it would be that of another observable.
const VALUE_CHARS: usize = 64 * 1024;

/// An observable.
#[derive(Debug, Clone, Copy)]
pub struct Observable<'a> {
    /// Its type and its own properties.
    pub content: Content<'a>,
    /// How bad it is.
    pub score: Option<Percent>,
    /// What it is, in words.
    pub description: Option<&'a str>,
}

/// The type and the own properties of an observable. Properties that are not given stay as they are at the platform.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "their types say what they are")]
pub enum Content<'a> {
    /// One value.
    Value(ValueType, &'a str),
    File(File<'a>),
    Artifact(Artifact<'a>),
    X509Certificate(X509Certificate<'a>),
    AutonomousSystem(AutonomousSystem<'a>),
    UserAccount(UserAccount<'a>),
    Process(Process<'a>),
    RegistryKey(RegistryKey<'a>),
    RegistryValue(RegistryValue<'a>),
    Software(Software<'a>),
    EmailMessage(EmailMessage<'a>),
    /// A connection. One of its ends and ports is needed, and a protocol.
    NetworkTraffic(TrafficEnds<'a>),
}

impl<'a> Observable<'a> {
    /// An observable of which nothing else is known.
    pub fn new(content: Content<'a>) -> Self {
        Self {
            content,
            score: None,
            description: None,
        }
    }
}

impl TypedObject for Observable<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let mut draft = self.content.begin()?;
        draft.value("x_opencti_score", self.score);
        draft.text("x_opencti_description", self.description, DESCRIPTION_CHARS);
        draft.common(common, Nature::Timeless);
        draft.finish(self.content.kind())
    }
}

impl Content<'_> {
    /// The object with its own properties.
    fn begin(&self) -> Result<Draft, NotWritten> {
        match self {
            Self::Value(value_type, value) => {
                let value = need("value", value, VALUE_CHARS)?;
                let mut draft = Draft::new(make_id::value(*value_type, &value));
                draft.required(value_type.property(), &value);
                Ok(draft)
            }
            Self::File(file) => file.begin(),
            Self::Artifact(artifact) => artifact.begin(),
            Self::X509Certificate(certificate) => certificate.begin(),
            Self::AutonomousSystem(system) => system.begin(),
            Self::UserAccount(account) => account.begin(),
            Self::Process(process) => process.begin(),
            Self::RegistryKey(key) => key.begin(),
            Self::RegistryValue(value) => value.begin(),
            Self::Software(software) => software.begin(),
            Self::EmailMessage(message) => message.begin(),
            Self::NetworkTraffic(ends) => network::begin_traffic(*ends),
        }
    }

    /// The platform's word for its type.
    fn kind(&self) -> &'static str {
        match self {
            Self::Value(value_type, _) => value_type.kind(),
            Self::File(_) => "StixFile",
            Self::Artifact(_) => "Artifact",
            Self::X509Certificate(_) => "X509-Certificate",
            Self::AutonomousSystem(_) => "Autonomous-System",
            Self::UserAccount(_) => "User-Account",
            Self::Process(_) => "Process",
            Self::RegistryKey(_) => "Windows-Registry-Key",
            Self::RegistryValue(_) => "Windows-Registry-Value-Type",
            Self::Software(_) => "Software",
            Self::EmailMessage(_) => "Email-Message",
            Self::NetworkTraffic(_) => "Network-Traffic",
        }
    }
}
