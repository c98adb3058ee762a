//! Tests of lines.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// The lines of pieces, too long ones with `!` in front.
fn lines(pieces: &[&[u8]]) -> Vec<(u32, String)> {
    let mut lines = Vec::new();
    let mut each = |number, line: Line<'_>| {
        lines.push((
            number,
            match line {
                Line::Text(text) => text.into_owned(),
                Line::TooLong(begin) => format!("!{begin}"),
            },
        ));
    };
    let mut reader = Lines::default();
    for piece in pieces {
        reader.feed(piece, &mut each);
    }
    reader.end(&mut each);
    lines
}

#[rstest]
#[case(b"", &[])]
#[case(b"\n\n \r\n\t\n", &[])]
#[case(b"a\nb\n", &[(1, "a"), (2, "b")])]
#[case(b"a\n\n\nb", &[(1, "a"), (4, "b")])]
#[case(b" a b\t \r\n", &[(1, "a b")])]
#[case(b"a\rb\n", &[(1, "a\rb")])]
#[case("\u{feff}a\n\u{feff}b\n".as_bytes(), &[(1, "a"), (2, "\u{feff}b")])]
#[case("\u{a0}a\u{3000}\n".as_bytes(), &[(1, "a")])]
#[case(b"a\xffb\nc\xc3", &[(1, "a\u{fffd}b"), (2, "c\u{fffd}")])]
#[case(b"a\x0b\n\0\n", &[(1, "a\u{b}"), (2, "\0")])]
fn lines_end_at_line_feeds_and_have_no_blanks_around_them(
    #[case] bytes: &[u8],
    #[case] expected: &[(u32, &str)],
) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(n, text)| (*n, (*text).to_owned()))
        .collect();
    assert_eq!(lines(&[bytes]), expected);
}

#[rstest]
#[case(MOST_LINE_BYTES, false)]
#[case(MOST_LINE_BYTES + 1, true)]
#[case(MOST_LINE_BYTES * 5, true)]
fn a_line_that_is_too_long_is_told_by_its_beginning(#[case] bytes: usize, #[case] is_long: bool) {
    let mut file = "x".repeat(bytes);
    file.push_str("\nafter\n");
    let (whole, pieces): (_, Vec<&[u8]>) = (file.as_bytes(), file.as_bytes().chunks(999).collect());
    for lines in [lines(&[whole]), lines(&pieces)] {
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].1.starts_with('!'), is_long);
        assert_eq!(
            lines[0].1.len(),
            if is_long { 1 + SHOWN_BYTES } else { bytes }
        );
        assert_eq!(lines[1], (2, "after".to_owned()));
    }
}

#[test]
fn a_line_without_end_takes_no_more_memory_than_a_line() {
    let mut reader = Lines::default();
    for _ in 0..1000 {
        reader.feed(&[b'x'; 1000], |_, _| panic!("no line ends"));
    }
    assert!(reader.begun.capacity() <= 2 * MOST_LINE_BYTES + 2);
}

proptest! {
    #[test]
    fn it_does_not_matter_where_pieces_are_cut(
        bytes in prop::collection::vec(prop::sample::select(b"ab #\n\n\r\t\xc3\xbc\xef\xbb\xbf\xff".to_vec()), 0..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        prop_assert_eq!(lines(&pieces), lines(&[&bytes]));
    }
}
