//! Reads settings one by one and remembers what is wrong with them.
//!
//! May know: the values that were given and how each kind is written. May be known by the
//! sections of the connectors.
//!
//! **Invariant:** when a method answers `None` for a setting that is required, has a default or
//! was given, a problem has been recorded. So nobody has to report anything a second time.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use super::load::{FileState, Given, Placeholder, Values};
use super::problem::{Problem, shown};
use super::table::{Fallback, Kind, Setting};
use super::{Pem, Proxies, ShortName, TlsTrust, address, pem, period};

/// The most of a password, in bytes: before it knows who is there, RabbitMQ reads a frame of so much (older
/// releases half of it), unless it is told otherwise.
const PASSWORD_BYTES: usize = 8192;

/// Reads settings one by one and remembers what is wrong with them. Not `Debug`, for it holds
/// everything that was given, secrets included.
pub struct Reader<'a> {
    values: &'a Values,
    opencti_url: Option<Url>,
    problems: Vec<Problem>,
    notices: Vec<String>,
    /// Whether a required setting was missing.
    missing: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(values: &'a Values) -> Self {
        Self {
            values,
            opencti_url: None,
            problems: values.problems.clone(),
            notices: values.notices.clone(),
            missing: false,
        }
    }

    /// All problems and notices.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<String>) {
        if let (true, FileState::Absent(path)) = (self.missing, &self.values.file) {
            let text = "there is no such file, only the environment was read";
            self.problems.insert(0, Problem::new(path, text));
        }
        (self.problems, self.notices)
    }

    pub(super) fn remember_opencti(&mut self, url: Url) {
        self.opencti_url = Some(url);
    }

    /// The endpoint of the platform that receives the data; `None` when it is missing or wrong.
    pub fn opencti_url(&self) -> Option<&Url> {
        self.opencti_url.as_ref()
    }

    /// Whether anything but blanks was given, in the file or the environment.
    pub fn is_given(&self, setting: &Setting) -> bool {
        !matches!(
            self.values.get(setting),
            Given::Nothing | Given::Placeholder
        )
    }

    /// Records that `setting` is wrong; `text` says what is wrong and what to do.
    pub fn problem(&mut self, setting: &Setting, text: &str) {
        self.problems.push(Problem::new(setting, text));
    }

    /// Records that settings which are each right do not go together.
    pub fn contradiction(&mut self, settings: &[&Setting], text: &str) {
        let names: Vec<String> = settings.iter().map(ToString::to_string).collect();
        self.problems.push(Problem::new(names.join(" and "), text));
    }

    /// Records what the operator should know although it stops nothing.
    pub fn notice(&mut self, text: String) {
        self.notices.push(text);
    }

    /// The GraphQL endpoint of a platform.
    pub fn platform_url(&mut self, setting: &Setting) -> Option<Url> {
        let url = self.parsed(setting, address::endpoint)?;
        if let Some(text) = self.values.proxies.refusal(&url) {
            self.problem(setting, &text);
            return None;
        }
        Some(url)
    }

    /// A token, without the blanks around it.
    pub fn token(&mut self, setting: &Setting) -> Option<SecretString> {
        self.parsed(setting, |text| {
            if text.chars().all(|c| c.is_ascii_graphic()) {
                return Ok(SecretString::from(text));
            }
            Err(
                "contains blanks, line breaks or other characters no token has; copy it anew"
                    .to_owned(),
            )
        })
    }

    /// A password, with the blanks around it.
    pub fn password(&mut self, setting: &Setting) -> Option<SecretString> {
        let password = self.written(setting)?;
        if password.len() > PASSWORD_BYTES || password.contains('\0') {
            let text = format!(
                "is longer than {PASSWORD_BYTES} bytes, or holds a NUL: a broker takes neither"
            );
            self.problem(setting, &text);
            return None;
        }
        Some(SecretString::from(password))
    }

    /// A text, without the blanks around it. The fewest characters stand in the table.
    pub fn text(&mut self, setting: &Setting) -> Option<String> {
        let min_chars = match setting.kind {
            Kind::Text { min_chars } => min_chars,
            _ => 1,
        };
        self.parsed(setting, |text| {
            if text.chars().count() >= min_chars {
                return Ok(text.to_owned());
            }
            Err(format!(
                "is too short; write at least {min_chars} characters"
            ))
        })
    }

    /// The name or address of a machine; an IPv6 address with or without brackets.
    pub fn host(&mut self, setting: &Setting) -> Option<ShortName> {
        self.parsed(setting, |text| short_name(address::host(text)?))
    }

    /// A name that a broker takes, without the blanks around it.
    pub fn short_name(&mut self, setting: &Setting) -> Option<ShortName> {
        self.parsed(setting, |text| short_name(text))
    }

    /// Texts: separated by commas, or a YAML list.
    pub fn list(&mut self, setting: &Setting) -> Option<Vec<String>> {
        let texts = match self.values.get(setting) {
            Given::List(texts) => texts,
            _ => split(&self.written(setting)?),
        };
        if texts.is_empty() {
            self.problem(
                setting,
                "holds nothing but commas; write at least one entry",
            );
            return None;
        }
        Some(
            texts
                .into_iter()
                .map(|text| text.trim().to_owned())
                .collect(),
        )
    }

    /// A UUID.
    pub fn uuid(&mut self, setting: &Setting) -> Option<Uuid> {
        self.parsed(setting, |text| {
            Uuid::parse_str(text)
                .map_err(|_| "is not a UUID; generate one, for example with uuidgen".to_owned())
        })
    }

    /// A yes or no.
    pub fn boolean(&mut self, setting: &Setting) -> Option<bool> {
        self.parsed(setting, |text| {
            boolean(text).ok_or_else(|| "is not a boolean; write true or false".to_owned())
        })
    }

    /// A whole number. The bounds stand in the table.
    pub fn whole<N: TryFrom<u64>>(&mut self, setting: &Setting) -> Option<N> {
        let (min, max) = match setting.kind {
            Kind::Whole { min, max } => (min, max),
            _ => (0, u64::MAX),
        };
        self.parsed(setting, |text| {
            text.parse()
                .ok()
                .filter(|number| (min..=max).contains(number))
                .and_then(|number| N::try_from(number).ok())
                .ok_or_else(|| format!("must be a whole number from {min} to {max}"))
        })
    }

    /// A word that the name of a metric can begin with.
    pub fn metric_name(&mut self, setting: &Setting) -> Option<String> {
        self.parsed(setting, |text| {
            let is_inner = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            let begins = text.starts_with(|first: char| is_inner(first) && !first.is_ascii_digit());
            if begins && text.chars().all(is_inner) {
                Ok(text.to_owned())
            } else {
                Err(
                    "cannot begin a metric's name; write a letter, then letters, digits and _"
                        .to_owned(),
                )
            }
        })
    }

    /// A number greater than zero.
    pub fn positive(&mut self, setting: &Setting) -> Option<f64> {
        self.parsed(setting, |text| {
            text.parse()
                .ok()
                .filter(|number: &f64| number.is_finite() && *number > 0.0)
                .ok_or_else(|| "must be a number greater than 0".to_owned())
        })
    }

    /// A period; zero is allowed.
    pub fn period(&mut self, setting: &Setting) -> Option<Duration> {
        self.parsed(setting, period::parse)
    }

    /// One of the words in `options`, in any case, as the value that stands beside it.
    pub fn choice<T: Copy>(&mut self, setting: &Setting, options: &[(&str, T)]) -> Option<T> {
        self.parsed(setting, |text| {
            let chosen = options
                .iter()
                .find(|(word, _)| text.eq_ignore_ascii_case(word));
            chosen.map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<&str> = options.iter().map(|(word, _)| *word).collect();
                format!("is not known here; write {}", words.join(", "))
            })
        })
    }

    /// The proxies that the environment names.
    pub(super) fn proxies(&self) -> Proxies {
        self.values.proxies.clone()
    }

    /// Certificates from a path or from the text itself.
    pub fn certificates(&mut self, setting: &Setting) -> Option<Pem> {
        self.parsed(setting, pem::certificates)
    }

    /// A private key from a path or from the text itself.
    pub fn private_key(&mut self, setting: &Setting) -> Option<Pem> {
        self.parsed(setting, pem::private_key)
    }

    /// Whom to trust: true, false, or certificates from a path or from the text itself.
    pub fn trust(&mut self, setting: &Setting) -> Option<TlsTrust> {
        let trust = self.parsed(setting, |text| match boolean(text) {
            Some(true) => Ok(TlsTrust::System),
            Some(false) => Ok(TlsTrust::Anyone),
            None => pem::certificates(text)
                .map(TlsTrust::SystemAnd)
                .map_err(|reason| format!("is neither true nor false, and {reason}")),
        });
        if trust == Some(TlsTrust::Anyone) {
            self.notice(format!(
                "{setting}: is false, so the platform's certificate is not checked, and whoever stands between can read the token; an authority of your own can be named instead"
            ));
        }
        trust
    }

    /// Anything that is written as one text. `parse` gets it without the blanks around it and
    /// answers what is wrong as the rest of a sentence that begins with the value.
    pub fn parsed<T>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.written(setting)?;
        let text = text.trim();
        match parse(text) {
            Ok(value) => Some(value),
            Err(reason) => {
                let subject = match self.values.secret_file(setting) {
                    Some(file) => file.subject(),
                    None if setting.secret => "the value".to_owned(),
                    None => shown(text),
                };
                self.problem(setting, &format!("{subject} {reason}"));
                None
            }
        }
    }

    /// The text that was given, otherwise that of the default.
    fn written(&mut self, setting: &Setting) -> Option<String> {
        match self.values.get(setting) {
            Given::Nothing => self.fallback(setting, false),
            Given::Placeholder => self.fallback(setting, true),
            Given::Refused => None,
            Given::Text(text) => Some(text),
            Given::Unquoted(text) if !setting.secret => Some(text),
            Given::Unquoted(_) => {
                self.problem(
                    setting,
                    "is a number or boolean to YAML, which may change it; put it in quotes",
                );
                None
            }
            Given::List(_) | Given::Nested => {
                self.problem(
                    setting,
                    "is a list or has keys of its own in the YAML file; write one value",
                );
                None
            }
        }
    }

    fn fallback(&mut self, setting: &Setting, placeholder: bool) -> Option<String> {
        match setting.default {
            Fallback::Required => {
                self.report_missing(setting, placeholder);
                None
            }
            Fallback::Value(_) | Fallback::Unset if placeholder => {
                let Placeholder { subject, still } = self.values.placeholder(setting);
                self.notice(format!("{subject}: {still}, taken as not set"));
                self.fallback(setting, false)
            }
            Fallback::Value(text) => Some(text.to_owned()),
            Fallback::Unset => None,
        }
    }

    fn report_missing(&mut self, setting: &Setting, placeholder: bool) {
        // What a file that cannot be understood would have set is not known to be missing; the
        // file itself is already a problem.
        if self.values.file == FileState::Broken {
            return;
        }
        self.missing = true;
        let (subject, still) = if placeholder {
            let Placeholder { subject, still } = self.values.placeholder(setting);
            (subject, format!(" ({still})"))
        } else {
            let unread = self.values.file_variable(setting);
            let still = unread.map(|name| {
                format!(" ({name} has no effect: only secrets are read from files of their own)")
            });
            (setting.to_string(), still.unwrap_or_default())
        };
        let text = format!("missing{still}; put the {} there", setting.doc);
        self.problems.push(Problem::new(subject, text));
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect()
}

fn short_name(text: impl Into<String>) -> Result<ShortName, String> {
    ShortName::new(text).map_err(|error| error.to_string())
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}
