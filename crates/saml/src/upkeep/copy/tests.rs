//! What stands in the directory of copies.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// Long after whatever this test makes is made: 2100-01-01.
const LATE: u64 = 4_102_444_800;

fn copy_in(directory: &TempDir) -> LastCopy {
    let url = Url::parse("https://metadata.federation.cdl/all.xml").expect("a URL");
    LastCopy::new(directory.path(), &ProviderId::parse("corp").expect("an id"), &url)
}

/// Has `path` be last written to so long before [`LATE`].
fn age(path: &Path, age: Duration) {
    let file = File::options().write(true).open(path).expect("a file");
    let written = UNIX_EPOCH + Duration::from_secs(LATE) - age;
    file.set_modified(written).expect("a time");
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_a_killed_process_has_left_is_removed_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let copy = copy_in(&directory);
    let moment = Duration::from_millis(1);
    // As a process leaves it that is killed: of this copy, and of a provider that is not configured any more.
    let left = |of: &Path, since: Duration| {
        let (_, path) = unfinished(of).expect("a file").keep().expect("kept");
        age(&path, since);
        path
    };
    let other = directory.path().join(format!("{NAME}0123456789abcdef01234567.xml"));
    let old = [left(copy.path(), ABANDONED + moment), left(&other, 2 * ABANDONED)];
    let young = left(copy.path(), ABANDONED);
    let (kept, foreign) = (other, directory.path().join("backup.part"));
    for path in [copy.path(), &kept, &foreign] {
        fs::write(path, "old").expect("a file");
        age(path, 100 * ABANDONED);
    }
    fs::create_dir(directory.path().join(format!("{NAME}directory{UNFINISHED}"))).expect("a directory");
    symlink(&foreign, directory.path().join(format!("{NAME}link{UNFINISHED}"))).expect("a link");
    let before = names(&directory);
    let late = Timestamp::from_secs(0).plus(Duration::from_secs(LATE));
    copy.sweep(late).await;
    let after = names(&directory);
    let removed: Vec<_> = before.into_iter().filter(|name| !after.contains(name)).collect();
    let mut expected: Vec<_> = old.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    expected.sort_unstable();
    assert_eq!(removed, expected);
    copy.sweep(late.plus(moment)).await;
    assert!(!young.exists(), "nobody is writing there any more");
}
