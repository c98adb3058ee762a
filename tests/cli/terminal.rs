//! What a person sees on a terminal: lines that can be read, and below them how far each list is.

use regex::Regex;
use sandbox::Fault;

use crate::line::{Line, generated};

/// Runs what follows on a terminal of its own, whose screen is the standard output.
const ON_A_TERMINAL: [&str; 4] = [
    "sh",
    "-c",
    "exec script --quiet --flush --return --command \"$*\" /dev/null",
    "sh",
];

/// A person who waits is informed at once, as by a check.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_gives_up_where_the_source_is_not_there() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let ended = crate::process::Start::default()
        .set("OPENCTI_URL", format!("http://127.0.0.1:{port}"))
        .set("OPENCTI_TOKEN", "the-destination-s-token")
        .set("CONNECTOR_ID", uuid::Uuid::new_v4().to_string())
        .set(
            "OPENCTI_NETMANAGEIT_URL",
            format!("http://127.0.0.2:{port}"),
        )
        .set("OPENCTI_NETMANAGEIT_TOKEN", "the-source-s-token")
        .with_words(&["export", "--dry-run"])
        .launched_by(&ON_A_TERMINAL)
        .run()
        .await;
    ended.assert_code(1);
    let screen = &ended.stdout;
    assert!(screen.contains("the export failed"), "{screen}");
    assert!(!screen.contains("trying again"), "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_how_far_each_list_is() {
    let line = Line::with(generated(400, 100)).await;
    // Long enough that a bar is drawn.
    let page = std::time::Duration::from_millis(150);
    line.source.faults().add(Fault::Delay(page));
    let ended = line
        .run_once()
        .set("TERM", "xterm-256color")
        .set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "100")
        .launched_by(&ON_A_TERMINAL)
        .run()
        .await;
    ended.assert_code(0);
    let screen = &ended.stdout;
    assert!(screen.contains(" INFO registered "), "{screen}");
    assert!(!screen.contains("{\"timestamp\""), "{screen}");
    assert!(screen.contains("the source does not show it"), "{screen}");
    let bar =
        Regex::new(r"([a-z]+) +[█░]+ +([\d,]+) of ([\d,]+) +\d+ %  [\d,]+/s, \w+ to go").unwrap();
    let number = |text: &str| text.replace(',', "").parse::<usize>().unwrap();
    let bars: Vec<(&str, usize, usize)> = bar
        .captures_iter(screen)
        .map(|bar| bar.extract::<3>().1)
        .map(|[list, read, all]| (list, number(read), number(all)))
        .collect();
    let data = line.source.data();
    for (list, rows) in [
        ("observables", data.observables.len()),
        ("indicators", data.indicators.len()),
    ] {
        let of_list: Vec<_> = bars.iter().filter(|(name, _, _)| *name == list).collect();
        assert!(!of_list.is_empty(), "{list} in {bars:?}\n{screen}");
        for (_, read, all) in of_list {
            assert!(
                read <= all && *all == rows,
                "{list}: {read} of {all}, not {rows}"
            );
        }
    }
}
