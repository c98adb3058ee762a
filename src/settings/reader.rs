//! Reads settings one by one and remembers what is wrong with them.
//!
//! **Invariant:** when a method answers `None` for a setting that is required, has a default or
//! was given, a problem has been recorded. So callers need not report anything a second time.

mod lists;

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use super::given::Given;
use super::kind::Kind;
use super::load::{FileState, GivenValues, Placeholder};
use super::problem::{Problem, shown};
use super::table::{Fallback, Setting};
use super::{
    Pem, Proxies, ShortName, Since, TlpLevel, TlsTrust, address, bytes, pem, period, since,
    tlp_level,
};

/// The most of a password, in bytes: before it knows who is there, RabbitMQ reads a frame of so much (older
/// releases half of it), unless it is configured otherwise.
const PASSWORD_BYTES: usize = 8192;

/// Reads settings one by one and remembers what is wrong with them. Not `Debug`, for it holds
/// everything that was given, secrets included.
pub struct Reader<'a> {
    values: &'a GivenValues,
    opencti_url: Option<Url>,
    problems: Vec<Problem>,
    notices: Vec<String>,
    /// Whether a required setting was missing.
    missing: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(values: &'a GivenValues) -> Self {
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
        self.problems
            .push(Problem::new(self.subject(setting), text));
    }

    /// The setting, and the name under which it was given unless that is a main one.
    fn subject(&self, setting: &Setting) -> String {
        let source = self.values.source(setting);
        source.map_or_else(|| setting.to_string(), |source| source.subject(setting))
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
        self.reachable(setting, url)
    }

    /// The address of an API, without slashes at its end; the path of a bare host is `/`.
    pub fn http_address(&mut self, setting: &Setting) -> Option<Url> {
        let takes_query = matches!(setting.kind, Kind::HttpAddress { query: true });
        let url = self.parsed(setting, |text| address::api(text, takes_query))?;
        self.reachable(setting, url)
    }

    /// The address, unless it would be asked through a proxy of a kind that is not supported.
    fn reachable(&mut self, setting: &Setting, url: Url) -> Option<Url> {
        if let Some(text) = self.values.proxies.refusal(&url) {
            self.problem(setting, &text);
            return None;
        }
        Some(url)
    }

    /// A token, without the blanks around it.
    pub fn token(&mut self, setting: &Setting) -> Option<SecretString> {
        self.parsed(setting, |text| {
            refuse_quotes(text)?;
            if text.chars().all(|c| c.is_ascii_graphic()) {
                return Ok(SecretString::from(text));
            }
            Err(
                "contains blanks, line breaks or other characters no token has; copy it anew"
                    .to_owned(),
            )
        })
    }

    /// The whole value of a header, without the blanks around it.
    pub fn header_value(&mut self, setting: &Setting) -> Option<SecretString> {
        self.parsed(setting, |text| {
            refuse_quotes(text)?;
            if text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
                return Ok(SecretString::from(text));
            }
            Err("contains line breaks or other characters no header has; copy it anew".to_owned())
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

    /// A text, without the blanks around it. The fewest characters are in the table.
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
        self.parsed(setting, ShortName::host)
    }

    /// A name that a broker takes, without the blanks around it.
    pub fn short_name(&mut self, setting: &Setting) -> Option<ShortName> {
        self.parsed(setting, |text| short_name(text))
    }

    /// A UUID.
    pub fn uuid(&mut self, setting: &Setting) -> Option<Uuid> {
        self.parsed(setting, |text| {
            Uuid::parse_str(text)
                .map_err(|_| "is not a UUID; generate one, for example with uuidgen".to_owned())
        })
    }

    /// A UUID, with or without what the table puts in front of it.
    pub fn prefixed_uuid(&mut self, setting: &Setting) -> Option<Uuid> {
        let prefix = match setting.kind {
            Kind::PrefixedUuid(prefix) => prefix,
            _ => "",
        };
        self.parsed(setting, |text| {
            let bare = text.strip_prefix(prefix).unwrap_or(text);
            plain_uuid(bare)
                .ok_or_else(|| format!("is not a UUID; write it with {prefix} in front, or alone"))
        })
    }

    /// A UUID in lower case, or one of the words in the table, as it stands there.
    pub fn uuid_or_word(&mut self, setting: &Setting) -> Option<String> {
        let words = match setting.kind {
            Kind::UuidOrWord(words) => words,
            _ => &[],
        };
        self.parsed(setting, |text| {
            if let Some(word) = words.iter().find(|word| text.eq_ignore_ascii_case(word)) {
                return Ok((*word).to_owned());
            }
            plain_uuid(text)
                .map(|uuid| uuid.to_string())
                .ok_or_else(|| format!("is not a UUID; write one, or {}", words.join(" or ")))
        })
    }

    /// A yes or no.
    pub fn boolean(&mut self, setting: &Setting) -> Option<bool> {
        self.parsed(setting, |text| {
            boolean(text).ok_or_else(|| "is not a boolean; write true or false".to_owned())
        })
    }

    /// A whole number. The bounds are in the table.
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
                .ok_or_else(|| match max {
                    u64::MAX => format!("must be a whole number of at least {min}"),
                    _ => format!("must be a whole number from {min} to {max}"),
                })
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

    /// A size in bytes. The bounds are in the table.
    pub fn bytes(&mut self, setting: &Setting) -> Option<u64> {
        let bounds = match setting.kind {
            Kind::Bytes { min, max } => min..=max,
            _ => 0..=u64::MAX,
        };
        self.parsed(setting, |text| bytes::parse(text, &bounds))
    }

    /// A date, or a period back from now, which is resolved with the clock's time.
    pub fn since(&mut self, setting: &Setting) -> Option<Since> {
        self.parsed(setting, since::parse)
    }

    /// As [`Self::since`]; the inner none is one of the words in the table that stand for no date.
    pub fn since_or_none(&mut self, setting: &Setting) -> Option<Option<Since>> {
        let words = match setting.kind {
            Kind::Since { none } => none,
            _ => &[],
        };
        self.parsed(setting, |text| {
            if words.iter().any(|word| text.eq_ignore_ascii_case(word)) {
                return Ok(None);
            }
            since::parse(text)
                .map(Some)
                .map_err(|reason| format!("{reason}, or {}", words.join(", ")))
        })
    }

    /// A date in milliseconds since 1970-01-01T00:00Z; seconds are refused.
    pub fn epoch_millis(&mut self, setting: &Setting) -> Option<DateTime<Utc>> {
        self.parsed(setting, since::parse_epoch_millis)
    }

    /// A level of the Traffic Light Protocol.
    pub fn tlp(&mut self, setting: &Setting) -> Option<TlpLevel> {
        self.parsed(setting, tlp_level::parse)
    }

    /// As [`Self::tlp`]; the inner none is the word `none`.
    pub fn tlp_or_none(&mut self, setting: &Setting) -> Option<Option<TlpLevel>> {
        self.parsed(setting, |text| {
            if text.eq_ignore_ascii_case(tlp_level::NONE) {
                return Ok(None);
            }
            tlp_level::parse(text)
                .map(Some)
                .map_err(|reason| format!("{reason}, or {}", tlp_level::NONE))
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
        self.trust_of(setting, "the platform", "read the token")
    }

    /// As [`Self::trust`], of another API than a platform's: whose it is, and what whoever stands between can do,
    /// as parts of the notice that its certificate is not checked.
    pub fn trust_of(&mut self, setting: &Setting, whose: &str, risk: &str) -> Option<TlsTrust> {
        let trust = self.parsed(setting, |text| match boolean(text) {
            Some(true) => Ok(TlsTrust::System),
            Some(false) => Ok(TlsTrust::Anyone),
            None => pem::certificates(text)
                .map(TlsTrust::SystemAnd)
                .map_err(|reason| format!("is neither true nor false, and {reason}")),
        });
        if trust == Some(TlsTrust::Anyone) {
            self.notice(format!(
                "{setting}: is false, so {whose}'s certificate is not checked, and whoever stands between can {risk}; an authority of your own can be named instead"
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
                self.report_missing(setting, placeholder, "");
                None
            }
            Fallback::RequiredIf { setting: other, is } if self.is_set_to(other, is) => {
                let because = format!(", as {other} is {is}");
                self.report_missing(setting, placeholder, &because);
                None
            }
            _ if placeholder => {
                let Placeholder { subject, still } = self.values.placeholder(setting);
                if setting.refuses_placeholder {
                    let text = format!("{still}; set it, or remove it: {}", setting.doc);
                    self.problems.push(Problem::new(subject, text));
                    return None;
                }
                self.notice(format!("{subject}: {still}, taken as not set"));
                self.fallback(setting, false)
            }
            Fallback::Value(text) => Some(text.to_owned()),
            Fallback::RequiredIf { .. } | Fallback::Unset => None,
        }
    }

    /// Whether the setting has this value in the end, however it is written.
    fn is_set_to(&self, setting: &Setting, value: &str) -> bool {
        let default = match setting.default {
            Fallback::Value(text) => Some(text.to_owned()),
            _ => None,
        };
        let given = self.values.get(setting).text().or(default);
        given.is_some_and(|given| setting.kind.means_the_same(&given, value))
    }

    fn report_missing(&mut self, setting: &Setting, placeholder: bool, because: &str) {
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
        let text = format!("missing{still}{because}; set it: {}", setting.doc);
        self.problems.push(Problem::new(subject, text));
    }
}

/// The entries of a list that is one text.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Quotes around a token are no part of it: files of variables (`docker run --env-file`) keep them.
fn refuse_quotes(token: &str) -> Result<(), String> {
    let quotes = ['"', '\'', '`'];
    let is_quoted =
        |quote: char| token.len() > 1 && token.starts_with(quote) && token.ends_with(quote);
    if quotes.into_iter().any(is_quoted) {
        return Err("stands in quotes that would be sent along; write it without them".to_owned());
    }
    Ok(())
}

/// A UUID as platforms write one, not in braces or as a URN.
fn plain_uuid(text: &str) -> Option<Uuid> {
    const CHARS: usize = 36;
    let is_plain = text.len() == CHARS;
    Uuid::parse_str(text).ok().filter(|_| is_plain)
}

fn short_name(text: impl Into<String>) -> Result<ShortName, String> {
    ShortName::new(text).map_err(|error| error.to_string())
}

/// What a person means by a yes or no.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}
