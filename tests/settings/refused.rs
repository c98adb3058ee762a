//! Settings that cannot be used, as a program says it.

use crate::process::{Ended, Start};

/// The lines of what it wrote in which this stands.
pub(crate) fn lines<'e>(ended: &'e Ended, text: &str) -> Vec<&'e str> {
    let lines = ended.stderr.lines();
    lines.filter(|line| line.contains(text)).collect()
}

/// With these settings – variable, key and a value that cannot be used – the program ends, and says a line of each.
pub(crate) async fn assert_a_line_each(start: Start, bad: &[(&str, &str, &str)]) {
    let variables = bad.iter();
    let start = variables.fold(start, |start, (variable, _, value)| {
        start.set(variable, *value)
    });
    let ended = start.run().await;
    ended.assert_code(2);
    for (variable, key, _) in bad {
        let said = lines(&ended, variable);
        assert_eq!(said.len(), 1, "{variable}: {ended:#?}");
        assert!(said[0].contains(key), "{}", said[0]);
    }
}
