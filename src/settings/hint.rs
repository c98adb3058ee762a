//! Finds what somebody meant who mistyped a name.
//!
//! **Invariant:** a hint is one of the known names; without a near one there is none.

/// A part of a name this short says nothing about the whole.
const SHORTEST_PART_CHARS: usize = 4;
/// So many letters are lost, added, exchanged or mistaken where a name is meant.
const SLIP_LETTERS: usize = 2;
/// What is longer is no mistyped name. To compare it would take its length times that of each name.
const LONGEST_NAME_BYTES: usize = 256;

/// The end of a message about an unknown name: what was meant, or nothing when nothing is near.
pub(super) fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

/// The known name that `name` most likely stands for.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME_BYTES {
        return None;
    }
    let name = name.to_lowercase();
    known
        .map(|candidate| {
            let lower = candidate.to_lowercase();
            (strsim::damerau_levenshtein(&name, &lower), lower, candidate)
        })
        .filter(|(distance, lower, _)| is_near(&name, lower, *distance))
        .min_by_key(|(distance, _, _)| *distance)
        .map(|(_, _, candidate)| candidate)
}

/// The known name that `name` is but for a slip of the hand: at most two letters, and no more than a third of them.
/// It takes less for granted than [`nearest`], for names that may well be somebody else's.
pub(super) fn slip_of<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME_BYTES {
        return None;
    }
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= SLIP_LETTERS && distance * 3 <= name.len().max(candidate.len())
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// At most a third of the letters differ, or the name is a part of the right one.
fn is_near(name: &str, candidate: &str, distance: usize) -> bool {
    let length = name.chars().count().max(candidate.chars().count());
    let is_part = name.chars().count() >= SHORTEST_PART_CHARS && candidate.contains(name);
    distance * 3 <= length || is_part
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[rstest::rstest]
    #[case("pagesize", Some("page_size"))]
    #[case("PAGE_SIZE", Some("page_size"))]
    #[case("batchsize", Some("batch_size"))]
    #[case("cool", Some("cooldown"))]
    #[case("colour", None)]
    fn names_only_what_is_near(#[case] name: &str, #[case] near: Option<&str>) {
        let known = ["page_size", "batch_size", "cooldown"];
        assert_eq!(nearest(name, known.into_iter()), near);
    }
}
