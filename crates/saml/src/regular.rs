//! Reads files in whose place somebody may have put something else: nothing but a regular file is read, and nobody waits for the
//! other end of a pipe (`open(2)`, `O_NONBLOCK`; `fifo(7)`).

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    process::geteuid,
};

/// May be written by the group or by everybody.
const OTHERS_WRITE: u32 = 0o022;

/// Of the operator's file, at most `longest` bytes, and one more, so that a longer one is refused and not cut. It may be reached by
/// links, as mounted secrets are.
pub(crate) fn read(path: &Path, longest: usize) -> io::Result<Vec<u8>> {
    read_whole(open(path, OFlags::empty())?, longest)
}

/// The same of a file that Usher has made. It is never a link; without `is_signed`, it is believed because nobody else can have
/// written it.
pub(crate) fn read_own(path: &Path, longest: usize, is_signed: bool) -> io::Result<Vec<u8>> {
    let file = open(path, OFlags::NOFOLLOW).map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => io::Error::other("it is a link"),
        _ => error,
    })?;
    if !is_signed && !is_ours_alone(&file.metadata()?) {
        return Err(io::Error::other("others may have written it, and nobody has signed it"));
    }
    read_whole(file, longest)
}

fn open(path: &Path, more: OFlags) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags | more, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

fn read_whole(file: File, longest: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(longest as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// Whether nobody but this user, and who may do anything, writes to it.
fn is_ours_alone(found: &Metadata) -> bool {
    let is_ours = found.uid() == geteuid().as_raw() || found.uid() == 0;
    is_ours && found.permissions().mode() & OTHERS_WRITE == 0
}

/// Whether everybody on this machine can read the file at `path`.
pub(crate) fn is_for_all_to_read(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

/// Why others may put files of their own into a directory; `None` if they may not, as far as this can be seen.
pub(crate) fn who_else_writes(directory: &Path) -> Option<&'static str> {
    let found = std::fs::metadata(directory).ok()?;
    let us = geteuid();
    if found.permissions().mode() & 0o002 != 0 {
        Some("can be written to by everybody on this machine")
    } else if found.uid() != us.as_raw() && found.uid() != 0 && !us.is_root() {
        // Of root nothing is told by being another: it may look on behalf of who will serve.
        Some("belongs to another user")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::symlink,
        path::PathBuf,
        sync::mpsc::{RecvTimeoutError, channel},
        thread,
        time::Duration,
    };

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    /// What `read` says within a time that no reading takes; waiting for a pipe would be for ever.
    fn told(read: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static) -> String {
        let (tell, hear) = channel();
        thread::spawn(move || tell.send(read()));
        match hear.recv_timeout(Duration::from_secs(20)) {
            Ok(Ok(content)) => String::from_utf8(content).expect("text"),
            Ok(Err(error)) => error.to_string(),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => "it waits".to_owned(),
        }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }

    #[test]
    fn nothing_but_a_regular_file_is_read_and_nobody_waits() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let (file, open) = (at("file"), at("open"));
        for path in [&file, &open] {
            fs::write(path, "content").expect("a file");
        }
        mode(&file, 0o600);
        mode(&open, 0o660);
        symlink(&file, at("link")).expect("a link");
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        symlink(at("pipe"), at("link to a pipe")).expect("a link");
        let others = "others may have written it, and nobody has signed it";
        for (name, path, operators, signed, unsigned) in [
            ("a file", file, "content", "content", "content"),
            ("one that others may write", open, "content", "content", others),
            ("a link", at("link"), "content", "it is a link", "it is a link"),
            ("a pipe", at("pipe"), "it is no regular file", "it is no regular file", "it is no regular file"),
            ("a link to one", at("link to a pipe"), "it is no regular file", "it is a link", "it is a link"),
            (
                "a directory",
                directory.path().to_owned(),
                "it is no regular file",
                "it is no regular file",
                "it is no regular file",
            ),
            (
                "a device",
                PathBuf::from("/dev/zero"),
                "it is no regular file",
                "it is no regular file",
                "it is no regular file",
            ),
        ] {
            let paths = [path.clone(), path.clone(), path];
            let [first, second, third] = paths;
            assert_eq!(told(move || read(&first, 7)), operators, "{name}: the operator's");
            assert_eq!(told(move || read_own(&second, 7, true)), signed, "{name}: signed");
            assert_eq!(told(move || read_own(&third, 7, false)), unsigned, "{name}: not signed");
        }
        fs::write(at("long"), "more content").expect("a file");
        assert_eq!(read(&at("long"), 7).expect("a file").len(), 8, "cut, and seen to be");
    }

    #[test]
    fn a_directory_says_who_else_writes_there() {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, bits, expected) in [
            ("ours", 0o700, None),
            ("for others to read", 0o755, None),
            ("a group's", 0o770, None),
            ("everybody's", 0o777, Some("can be written to by everybody on this machine")),
            (
                "everybody's, as for temporary files",
                0o1777,
                Some("can be written to by everybody on this machine"),
            ),
        ] {
            mode(directory.path(), bits);
            assert_eq!(who_else_writes(directory.path()), expected, "{name}");
        }
        assert_eq!(who_else_writes(&directory.path().join("gone")), None);
    }
}
