//! What each address answers.

use axum::http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH, LOCATION, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, Uri};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::answer::Reply;
use super::archive::{Shape, pack};
use super::fault::GitFault;
use super::objects::{TreeEntry, written};
use super::{BRANCH, Counted, GitPort, Shared, State};
use crate::lock;

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
/// The most entries of a folder's contents.
const CONTENTS: usize = 1000;
/// The number of the repository, by which it is known whatever it is called.
const NUMBER: &str = "1000001";
/// What the address of an archive shows.
const SIGNATURE: &str = "token=AAAAB3NzaC1yc2E";

/// What is asked for.
#[derive(Debug)]
pub(super) enum Asked {
    Head(String),
    Commit(String),
    Tree {
        named: String,
        is_deep: bool,
    },
    Blob(String),
    Contents {
        path: String,
        at: String,
    },
    Tarball(String),
    Raw {
        commit: String,
        path: String,
    },
    Archive {
        commit: String,
        is_signed: bool,
    },
    /// By a name that it had before: what stands behind that.
    Former(String),
    Unknown,
}

impl Asked {
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Head(_) => "Head",
            Self::Commit(_) => "Commit",
            Self::Tree { .. } => "Tree",
            Self::Blob(_) => "Blob",
            Self::Contents { .. } => "Contents",
            Self::Tarball(_) => "Tarball",
            Self::Raw { .. } => "Raw",
            Self::Archive { .. } => "Archive",
            Self::Former(_) => "Former",
            Self::Unknown => "",
        }
    }
}

/// Reads an address.
pub(super) fn read(port: GitPort, shared: &Shared, uri: &Uri) -> Asked {
    let options = &shared.options;
    let path = match port {
        GitPort::Api => match uri.path().strip_prefix(options.prefix.as_str()) {
            Some(path) => path,
            None => return Asked::Unknown,
        },
        GitPort::Raw | GitPort::Archive => uri.path(),
    };
    let parts: Vec<String> = path.split('/').skip(1).map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let query = uri.query().unwrap_or_default();
    let is_its = |owner: &str, name: &str| owner == options.owner && name == options.name;
    let is_former = |owner: &str, name: &str| {
        let former = options.former.as_ref();
        former.is_some_and(|former| (owner, name) == (former.0.as_str(), former.1.as_str()))
    };
    match (port, parts.as_slice()) {
        (GitPort::Api, ["repos", owner, name, rest @ ..]) if is_its(owner, name) => {
            read_api(rest, query)
        }
        (GitPort::Api, ["repositories", NUMBER, rest @ ..]) => read_api(rest, query),
        (GitPort::Api, ["repos", owner, name, ..]) if is_former(owner, name) => {
            // As it was written, behind the two names.
            let rest = path.splitn(5, '/').nth(4).unwrap_or_default();
            let query = uri.query().map(|query| format!("?{query}"));
            Asked::Former(format!("{rest}{}", query.unwrap_or_default()))
        }
        (GitPort::Raw, [owner, name, commit, path @ ..])
            if is_its(owner, name) || is_former(owner, name) =>
        {
            Asked::Raw {
                commit: (*commit).to_owned(),
                path: path.join("/"),
            }
        }
        (GitPort::Archive, [owner, name, "legacy.tar.gz", commit]) if is_its(owner, name) => {
            Asked::Archive {
                commit: (*commit).to_owned(),
                is_signed: query == SIGNATURE,
            }
        }
        _ => Asked::Unknown,
    }
}

fn read_api(parts: &[&str], query: &str) -> Asked {
    let parameter = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|pair| pair.0 == name).map(|pair| decode(pair.1))
    };
    match parts {
        ["commits", reference @ ..] if !reference.is_empty() => Asked::Head(reference.join("/")),
        ["git", "commits", sha] => Asked::Commit((*sha).to_owned()),
        ["git", "trees", named @ ..] if !named.is_empty() => Asked::Tree {
            named: named.join("/"),
            is_deep: parameter("recursive").is_some(),
        },
        ["git", "blobs", sha] => Asked::Blob((*sha).to_owned()),
        ["tarball", reference @ ..] if !reference.is_empty() => Asked::Tarball(reference.join("/")),
        ["contents", path @ ..] => Asked::Contents {
            path: path.join("/"),
            at: parameter("ref").unwrap_or_else(|| "HEAD".to_owned()),
        },
        _ => Asked::Unknown,
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Answers; the fault may change an archive.
pub(super) fn carry_out(
    shared: &Shared,
    port: GitPort,
    asked: &Asked,
    headers: &HeaderMap,
    fault: Option<&GitFault>,
) -> Reply {
    match port {
        GitPort::Api => of_api(shared, asked, headers),
        GitPort::Raw => of_raw(shared, asked),
        GitPort::Archive => of_archive(shared, asked, fault),
    }
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

fn refuse(status: u16, message: &str) -> Reply {
    let body = json!({
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.to_string(),
    });
    Reply::new(status, JSON, body.to_string())
}

fn not_found() -> Reply {
    refuse(404, "Not Found")
}

fn of_api(shared: &Shared, asked: &Asked, headers: &HeaderMap) -> Reply {
    if header(headers, &USER_AGENT).is_none_or(|agent| agent.is_empty()) {
        let words = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.";
        return Reply::new(403, TEXT, words);
    }
    let token = header(headers, &AUTHORIZATION);
    let known = shared.options.tokens.iter();
    let is_known = known
        .map(|known| format!("Bearer {known}"))
        .any(|known| token.as_ref() == Some(&known));
    if token.is_some() && !is_known {
        return refuse(401, "Bad credentials");
    }
    let mut state = lock(&shared.state);
    let reply = if shared.options.is_private && !is_known {
        not_found()
    } else {
        of_repository(shared, &mut state, asked, headers)
    };
    let is_free = is_known && reply.status == 304;
    let counted = state.rate.count(is_known, is_free);
    if !counted.is_over {
        return with_rate(reply, counted);
    }
    let limit = state.rate.limit;
    let refusal = refuse(limit.status, "API rate limit exceeded for 127.0.0.1.");
    let refusal = with_rate(refusal, counted);
    if limit.has_retry_after {
        return refusal.with(RETRY_AFTER.as_str(), counted.wait.to_string());
    }
    refusal
}

fn with_rate(reply: Reply, counted: Counted) -> Reply {
    reply
        .with("x-ratelimit-limit", counted.limit.to_string())
        .with("x-ratelimit-remaining", counted.remaining.to_string())
        .with("x-ratelimit-used", counted.used.to_string())
        .with("x-ratelimit-reset", counted.reset.to_string())
        .with("x-ratelimit-resource", "core")
}

fn of_repository(shared: &Shared, state: &mut State, asked: &Asked, headers: &HeaderMap) -> Reply {
    match asked {
        Asked::Former(rest) => {
            let url = format!("{}/repositories/{NUMBER}/{rest}", shared.url(GitPort::Api));
            let body = json!({ "message": "Moved Permanently", "url": url });
            Reply::new(301, JSON, body.to_string()).with(LOCATION.as_str(), url)
        }
        Asked::Unknown | Asked::Raw { .. } | Asked::Archive { .. } => not_found(),
        _ if state.branches.is_empty() => refuse(409, "Git Repository is empty."),
        Asked::Head(reference) => head(state, reference, headers),
        Asked::Commit(sha) => commit(state, sha),
        Asked::Tree { named, is_deep } => tree(state, named, *is_deep),
        Asked::Blob(sha) => blob(state, sha, headers),
        Asked::Contents { path, at } => contents(state, path, at),
        Asked::Tarball(reference) => match state.resolve(reference) {
            Some(sha) => {
                let options = &shared.options;
                let url = format!(
                    "{}/{}/{}/legacy.tar.gz/{sha}?{SIGNATURE}",
                    shared.url(GitPort::Archive),
                    options.owner,
                    options.name
                );
                Reply::new(302, TEXT, "").with(LOCATION.as_str(), url)
            }
            None => not_found(),
        },
    }
}

impl State {
    /// The commit that a branch, `HEAD` or its own name means.
    fn resolve(&self, reference: &str) -> Option<String> {
        let branch = match reference {
            "HEAD" => BRANCH,
            other => other.strip_prefix("heads/").unwrap_or(other),
        };
        let sha = self.branches.get(branch).map_or(reference, String::as_str);
        self.objects.commit(sha).map(|_| sha.to_owned())
    }
}

fn head(state: &State, reference: &str, headers: &HeaderMap) -> Reply {
    let Some(sha) = state.resolve(reference) else {
        return refuse(422, &format!("No commit found for SHA: {reference}"));
    };
    let etag = format!("W/\"{sha}\"");
    if header(headers, &IF_NONE_MATCH).as_ref() == Some(&etag) {
        return Reply::new(304, JSON, "").with(ETAG.as_str(), etag);
    }
    let accept = headers
        .get("accept")
        .and_then(|accept| accept.to_str().ok());
    let reply = if accept.is_some_and(|accept| accept.contains("vnd.github.sha")) {
        Reply::new(200, "application/vnd.github.sha; charset=utf-8", sha)
    } else {
        Reply::new(200, JSON, json!({ "sha": sha }).to_string())
    };
    reply.with(ETAG.as_str(), etag)
}

fn commit(state: &State, sha: &str) -> Reply {
    let Some(commit) = state.objects.commit(sha) else {
        return not_found();
    };
    let date = written(commit.date);
    let person = json!({ "name": "A Person", "email": "person@example.org", "date": date });
    let parents: Vec<Value> = commit
        .parent
        .iter()
        .map(|parent| json!({ "sha": parent }))
        .collect();
    let body = json!({
        "sha": sha,
        "author": person,
        "committer": person,
        "message": "A change",
        "tree": { "sha": commit.tree },
        "parents": parents,
    });
    Reply::new(200, JSON, body.to_string())
}

fn tree(state: &State, named: &str, is_deep: bool) -> Reply {
    let (reference, path) = named.split_once(':').unwrap_or((named, ""));
    let commit = state.resolve(reference);
    let root = state
        .objects
        .tree_of(commit.as_deref().unwrap_or(reference));
    let found = root.and_then(|root| state.objects.folder(&root, path));
    let Some(sha) = found else {
        return not_found();
    };
    let mut listed = state.objects.listing(&sha, is_deep);
    let is_cut = (is_deep || state.is_every_tree_cut) && listed.len() > state.tree_limit;
    if is_cut {
        listed.truncate(state.tree_limit);
    }
    let entries: Vec<Value> = listed.iter().map(entry).collect();
    let body = json!({ "sha": sha, "tree": entries, "truncated": is_cut });
    Reply::new(200, JSON, body.to_string())
}

fn entry((path, entry): &(String, TreeEntry)) -> Value {
    let mut written = json!({
        "path": path,
        "mode": entry.mode,
        "type": entry.kind(),
        "sha": entry.sha,
    });
    if let (Some(size), Some(written)) = (entry.size, written.as_object_mut()) {
        written.insert("size".to_owned(), size.into());
    }
    written
}

fn blob(state: &State, sha: &str, headers: &HeaderMap) -> Reply {
    let Some(content) = state.objects.blob(sha) else {
        return not_found();
    };
    let accept = headers
        .get("accept")
        .and_then(|accept| accept.to_str().ok());
    if accept.is_some_and(|accept| accept.contains(".raw")) {
        let media_type = "application/vnd.github.raw+json; charset=utf-8";
        return Reply::new(200, media_type, content.clone());
    }
    let body = json!({ "sha": sha, "size": content.len(), "encoding": "none", "content": "" });
    Reply::new(200, JSON, body.to_string())
}

fn contents(state: &State, path: &str, at: &str) -> Reply {
    let commit = state.resolve(at);
    let root = commit.and_then(|commit| state.objects.tree_of(&commit));
    let Some(folder) = root.and_then(|root| state.objects.folder(&root, path)) else {
        return not_found();
    };
    let listed = state.objects.listing(&folder, false);
    let entries = listed.iter().take(CONTENTS).map(|(name, entry)| {
        let kind = if entry.kind() == "tree" {
            "dir"
        } else {
            "file"
        };
        let whole = format!("{path}/{name}");
        json!({
            "name": name,
            "path": whole.trim_start_matches('/'),
            "sha": entry.sha,
            "size": entry.size.unwrap_or_default(),
            "type": kind,
        })
    });
    let entries: Vec<Value> = entries.collect();
    Reply::new(200, JSON, Value::from(entries).to_string())
}

fn of_raw(shared: &Shared, asked: &Asked) -> Reply {
    let missing = || Reply::new(404, TEXT, "404: Not Found");
    let Asked::Raw { commit, path } = asked else {
        return missing();
    };
    if shared.options.is_private {
        return missing();
    }
    let state = lock(&shared.state);
    let commit = state.resolve(commit);
    let commit = commit.and_then(|commit| state.objects.commit(&commit));
    match commit.and_then(|commit| commit.files.get(path)) {
        Some(file) => Reply::new(200, TEXT, file.content.clone()),
        None => missing(),
    }
}

fn of_archive(shared: &Shared, asked: &Asked, fault: Option<&GitFault>) -> Reply {
    let missing = || Reply::new(404, TEXT, "404: Not Found");
    let Asked::Archive {
        commit: sha,
        is_signed: true,
    } = asked
    else {
        return missing();
    };
    let mut shape = Shape::default();
    let mut is_usual = true;
    if let Some(fault) = fault {
        fault.shape(&mut shape);
        is_usual = false;
    }
    let (known, commit) = {
        let state = lock(&shared.state);
        let known = state.archives.get(sha).filter(|_| is_usual).cloned();
        (known, state.objects.commit(sha).cloned())
    };
    let Some(commit) = commit else {
        return missing();
    };
    let packed = known.unwrap_or_else(|| {
        let options = &shared.options;
        let short = sha.get(..7).unwrap_or_default();
        let top = format!("{}-{}-{short}", options.owner, options.name);
        let packed = pack(sha, &commit, &top, &shape);
        if is_usual {
            let mut state = lock(&shared.state);
            state.archives.insert(sha.clone(), packed.clone());
        }
        packed
    });
    let mut reply = Reply::new(200, "application/x-gzip", packed);
    // It is packed while it is sent.
    reply.has_length = false;
    reply
}
