//! The scripted mail server takes letters as RFC 5321 has them handed in.

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use usher_lab::scripted::mail::{Letter, ScriptedMail};

/// Says each line and returns the code of the answer to each that has one; the first is the greeting's.
async fn converse(mail: &ScriptedMail, lines: &[(&str, Option<&str>)]) -> anyhow::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", mail.port())).await?);
    let mut expected = vec![("", Some("220"))];
    expected.extend(lines);
    for (line, code) in expected {
        if !line.is_empty() || code.is_none() {
            stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        }
        if let Some(code) = code {
            let mut answer = String::new();
            stream.read_line(&mut answer).await?;
            assert!(answer.starts_with(code) && answer.ends_with("\r\n"), "{line}: {answer:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn letters_are_kept_as_they_were_written() -> anyhow::Result<()> {
    let mail = ScriptedMail::start().await?;
    let lines = [
        ("EHLO eng.localhost", Some("250")),
        ("STARTTLS", Some("502")),
        ("MAIL FROM:<lost@eng.localhost>", Some("250")),
        ("RSET", Some("250")),
        ("mail from:<synapse@eng.localhost> SIZE=1", Some("250")),
        ("RCPT TO:<alice@elsewhere.example>", Some("250")),
        ("RCPT TO:<bob@elsewhere.example>", Some("250")),
        ("DATA", Some("354")),
        ("Content-Type: text/plain; charset=utf-8", None),
        ("Content-Transfer-Encoding: base64", None),
        ("", None),
        ("..", None),
        ("bGl0dGxlIPCfjqk=", None),
        (".", Some("250")),
        ("NOOP", Some("250")),
        ("QUIT", Some("221")),
    ];
    converse(&mail, &lines).await?;
    let letter = mail.letter_to("bob@elsewhere.example").await?;
    let head = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let expected = Letter {
        sender: "synapse@eng.localhost".to_owned(),
        recipients: vec!["alice@elsewhere.example".to_owned(), "bob@elsewhere.example".to_owned()],
        message: format!("{head}.\r\nbGl0dGxlIPCfjqk=\r\n"),
    };
    assert_eq!(letter, expected);
    assert_eq!(mail.letters(), [expected]);
    Ok(())
}

#[test]
fn the_plain_text_of_a_letter_is_decoded() {
    let html = "--x\r\nContent-Type: text/html\r\n\r\n<p>no</p>\r\n";
    let text = "--x\r\nContent-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: base64\r\n\r\n\
                bGl0dGxlIPCf\r\njqk=\r\n";
    let head = "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"x\"\r\n\r\n";
    for (name, message, expected) in [
        ("one of two", format!("{head}{html}{text}--x--\r\n"), Some("little \u{1f3a9}")),
        ("no plain one", format!("{head}{html}--x--\r\n"), None),
        ("nothing else", "Subject: x\r\n\r\nhello".to_owned(), Some("hello")),
    ] {
        let letter = Letter { message, ..Letter::default() };
        assert_eq!(letter.plain_text().ok().as_deref(), expected, "{name}");
    }
}
