//! Observables of computers: accounts, processes, software, the registry of Windows.

use std::borrow::Cow;

use serde::Serialize;

use super::super::super::make_id::{AccountNames, SoftwareNames};
use super::super::super::text::NAME_CHARS;
use super::super::super::{StixId, Timestamp, make_id};
use super::super::draft::{Draft, NotWritten, need};
use super::{VALUE_CHARS, optional};

/// An account. One of login and user id is needed.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserAccount<'a> {
    /// What identifies it.
    pub names: AccountNames<'a>,
    /// How it is shown.
    pub display_name: Option<&'a str>,
}

impl UserAccount<'_> {
    pub(super) fn begin(&self) -> Result<Draft, NotWritten> {
        let account_type = optional("type", self.names.account_type, VALUE_CHARS)?;
        let account_login = optional("login", self.names.account_login, VALUE_CHARS)?;
        let user_id = optional("user id", self.names.user_id, VALUE_CHARS)?;
        if account_login.is_none() && user_id.is_none() {
            return Err(NotWritten::Missing("login and no id"));
        }
        let id = make_id::user_account(AccountNames {
            account_type: account_type.as_deref(),
            account_login: account_login.as_deref(),
            user_id: user_id.as_deref(),
        });
        let mut draft = Draft::new(id);
        draft.value("account_type", account_type);
        draft.value("account_login", account_login);
        draft.value("user_id", user_id);
        draft.text("display_name", self.display_name, NAME_CHARS);
        Ok(draft)
    }
}

/// A running program. The platform cannot identify it without its command line.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "they are named as in STIX 2.1 §6.13")]
pub struct Process<'a> {
    pub command_line: &'a str,
    pub pid: Option<u32>,
    pub cwd: Option<&'a str>,
    pub created_time: Option<Timestamp>,
}

impl Process<'_> {
    pub(super) fn begin(&self) -> Result<Draft, NotWritten> {
        let command_line = need("command line", self.command_line, VALUE_CHARS)?;
        let mut draft = Draft::new(make_id::process(&command_line, self.pid));
        draft.required("command_line", &command_line);
        draft.value("pid", self.pid);
        draft.text("cwd", self.cwd, VALUE_CHARS);
        draft.value("created_time", self.created_time);
        Ok(draft)
    }
}

/// A program. Its name is needed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Software<'a> {
    /// Its name.
    pub name: &'a str,
    /// What else identifies it.
    pub names: SoftwareNames<'a>,
}

impl Software<'_> {
    pub(super) fn begin(&self) -> Result<Draft, NotWritten> {
        let name = need("name", self.name, VALUE_CHARS)?;
        let cpe = optional("CPE", self.names.cpe, VALUE_CHARS)?;
        let swid = optional("SWID", self.names.swid, VALUE_CHARS)?;
        let vendor = optional("vendor", self.names.vendor, VALUE_CHARS)?;
        let version = optional("version", self.names.version, VALUE_CHARS)?;
        let id = make_id::software(
            &name,
            SoftwareNames {
                cpe: cpe.as_deref(),
                swid: swid.as_deref(),
                vendor: vendor.as_deref(),
                version: version.as_deref(),
            },
        );
        let mut draft = Draft::new(id);
        draft.required("name", &name);
        draft.value("cpe", cpe);
        draft.value("swid", swid);
        draft.value("vendor", vendor);
        draft.value("version", version);
        Ok(draft)
    }
}

/// A key in the registry of Windows. Its path is needed.
#[derive(Debug, Clone, Copy, Default)]
pub struct RegistryKey<'a> {
    /// Its path.
    pub key: &'a str,
    /// Values of it. Platforms before 7.260803.0 leave them out.
    pub values: &'a [RegistryValue<'a>],
    /// Values of it that are objects of their own: those platforms take them.
    pub values_refs: &'a [StixId],
}

impl RegistryKey<'_> {
    pub(super) fn begin(&self) -> Result<Draft, NotWritten> {
        let key = need("key", self.key, VALUE_CHARS)?;
        let mut draft = Draft::new(make_id::windows_registry_key(&key));
        draft.required("key", &key);
        let values = self.values.iter().map(RegistryValue::cleaned);
        let mut values: Vec<_> = values.collect::<Result<_, _>>()?;
        values.retain(|value| !value.is_empty());
        draft.list("values", &values);
        draft.references("values_refs", self.values_refs);
        Ok(draft)
    }
}

/// A value in the registry of Windows. One of the three is needed.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "they are named as in STIX 2.1 §6.17.2")]
pub struct RegistryValue<'a> {
    pub name: Option<&'a str>,
    pub data: Option<&'a str>,
    pub data_type: Option<&'a str>,
}

/// The same, cleaned.
#[derive(Debug, Serialize)]
struct CleanedRegistryValue<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_type: Option<Cow<'a, str>>,
}

impl RegistryValue<'_> {
    pub(super) fn begin(&self) -> Result<Draft, NotWritten> {
        let value = self.cleaned()?;
        if value.is_empty() {
            return Err(NotWritten::Missing("name and no data"));
        }
        let id = make_id::windows_registry_value(
            value.name.as_deref(),
            value.data.as_deref(),
            value.data_type.as_deref(),
        );
        let mut draft = Draft::new(id);
        draft.value("name", value.name);
        draft.value("data", value.data);
        draft.value("data_type", value.data_type);
        Ok(draft)
    }

    fn cleaned(&self) -> Result<CleanedRegistryValue<'_>, NotWritten> {
        Ok(CleanedRegistryValue {
            name: optional("name", self.name, VALUE_CHARS)?,
            data: optional("data", self.data, VALUE_CHARS)?,
            data_type: optional("type of data", self.data_type, VALUE_CHARS)?,
        })
    }
}

impl CleanedRegistryValue<'_> {
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.data.is_none() && self.data_type.is_none()
    }
}
