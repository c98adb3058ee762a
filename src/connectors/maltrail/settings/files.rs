//! Which files are taken.

use crate::settings::Globs;

/// Which files are taken. Paths are those below the folder with the lists, such as `malware/asyncrat.txt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// Files that are taken.
    pub include: Globs,
    /// Those of them that are left out.
    pub exclude: Globs,
    /// Files of services, not of attackers: their values are observables with labels, and nothing else.
    pub observables_only: Globs,
}

impl FileSettings {
    /// Whether the file is read: a list (`*.txt`) that is included and not excluded.
    pub fn takes(&self, path: &str) -> bool {
        // A list's name has this ending as it is written, as the whole path is compared.
        let is_list = path.as_bytes().ends_with(b".txt");
        is_list && self.include.matches(path) && !self.exclude.matches(path)
    }

    /// Whether what the file lists becomes observables and nothing else.
    pub fn is_observables_only(&self, path: &str) -> bool {
        self.observables_only.matches(path)
    }

    /// Whether no file can be taken, as far as the patterns show by themselves.
    pub(super) fn takes_nothing(&self) -> bool {
        let excluded = self.exclude.patterns();
        let leaves_out_all = excluded.iter().any(|glob| is_every_list(glob));
        let mut included = self.include.patterns().iter();
        leaves_out_all || included.all(|glob| excluded.contains(glob))
    }
}

fn is_every_list(glob: &str) -> bool {
    glob.starts_with('*') && matches!(glob.trim_matches('*'), "" | ".txt")
}
