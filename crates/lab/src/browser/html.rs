//! A small reader of HTML: tags, attributes and text, enough for the pages of Usher and of identity providers.
//! It is no HTML5 parser: it builds no tree and repairs nothing.

/// One piece of a document, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A start tag: lower-case name, attributes with lower-case names and decoded values.
    Open(String, Vec<(String, String)>),
    /// An end tag's lower-case name.
    Close(String),
    /// Decoded text.
    Text(String),
}

/// The pieces of `html`; comments, declarations, scripts and styles are left out.
pub(super) fn pieces(html: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        push_text(&mut pieces, &rest[..start]);
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let Some(tag) = tag(rest) else {
            // A lone `<` is text.
            pieces.push(Piece::Text("<".to_owned()));
            rest = &rest[1..];
            continue;
        };
        rest = &rest[tag.len()..];
        let inner = tag.trim_start_matches('<').trim_end_matches('>').trim_end_matches('/');
        if let Some(name) = inner.strip_prefix('/') {
            pieces.push(Piece::Close(name.trim().to_ascii_lowercase()));
        } else if !inner.starts_with('!') {
            let (name, attributes) = open_tag(inner);
            if name == "script" || name == "style" {
                rest = after_raw_text(rest, &name);
            } else {
                pieces.push(Piece::Open(name, attributes));
            }
        }
    }
    push_text(&mut pieces, rest);
    pieces
}

/// What a person reads on the page, one space between words.
pub(super) fn visible_text(html: &str) -> String {
    let mut text = String::new();
    for piece in pieces(html) {
        match piece {
            Piece::Text(part) => text.push_str(&part),
            // Inline elements do not part words; it is enough to know the common ones.
            Piece::Open(name, _) | Piece::Close(name) => {
                if !matches!(name.as_str(), "a" | "b" | "em" | "strong" | "span" | "code" | "i" | "bdi") {
                    text.push(' ');
                }
            }
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same without the window's title, a line for each heading, paragraph, item, button, and each term with what is said
/// of it.
pub(super) fn visible_lines(html: &str) -> Vec<String> {
    let (mut text, mut is_in_title) = (String::new(), false);
    for piece in pieces(html) {
        match piece {
            Piece::Text(part) if !is_in_title => {
                text.extend(part.chars().map(|c| if c.is_whitespace() { ' ' } else { c }));
            }
            Piece::Text(_) => {}
            Piece::Open(name, _) if name == "title" => is_in_title = true,
            Piece::Close(name) if name == "title" => is_in_title = false,
            Piece::Close(name) if name == "dt" => text.push(' '),
            Piece::Open(name, _) | Piece::Close(name) => match name.as_str() {
                "h1" | "h2" | "p" | "li" | "dt" | "div" | "button" | "header" | "main" | "footer" | "br" => {
                    text.push('\n');
                }
                "dd" | "small" => text.push(' '),
                _ => {}
            },
        }
    }
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect()
}

/// The tag `text` begins with, from `<` to `>`; a `>` inside quotes does not end it.
fn tag(text: &str) -> Option<&str> {
    let begins = text[1..].chars().next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
    if !begins {
        return None;
    }
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '>' => return Some(&text[..=at]),
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(_) | None => {}
        }
    }
    None
}

fn open_tag(inner: &str) -> (String, Vec<(String, String)>) {
    let (name, mut rest) = inner.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((inner, ""));
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return (name.to_ascii_lowercase(), attributes);
        }
        let end = rest.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let key = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            (value, rest) = attribute_value(after.trim_start());
        }
        if !key.is_empty() {
            attributes.push((key, unescape(value)));
        }
    }
}

fn attribute_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    text.split_at(text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len()))
}

/// What follows the end tag of a script or style.
fn after_raw_text<'a>(text: &'a str, name: &str) -> &'a str {
    let end = text.to_ascii_lowercase().find(&format!("</{name}"));
    end.and_then(|end| text[end..].split_once('>')).map_or("", |(_, after)| after)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(unescape(text)));
    }
}

/// Decodes the character references that templates write; an unknown one stays as it is.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = rest[1..].split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        if let Some((character, after)) = reference {
            out.push(character);
            rest = after;
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out + rest
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let code = hex.map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok());
        return char::from_u32(code?);
    }
    let known = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", '\u{a0}'),
        ("hellip", '…'),
        ("times", '×'),
        ("ndash", '–'),
        ("mdash", '—'),
        ("rsquo", '’'),
        ("laquo", '«'),
        ("raquo", '»'),
    ];
    known.iter().find(|(known, _)| *known == name).map(|(_, character)| *character)
}

#[cfg(test)]
mod tests {
    use super::{unescape, visible_lines, visible_text};

    #[test]
    fn character_references_are_decoded_once() {
        let cases = [
            ("a &amp; b", "a & b"),
            ("&lt;b&gt; &quot;&#39;&#x27;&apos;", "<b> \"'''"),
            ("&amp;lt;", "&lt;"),
            ("a & b; &unknown; &", "a & b; &unknown; &"),
            ("&#xZZ; &#1114112;", "&#xZZ; &#1114112;"),
        ];
        for (html, expected) in cases {
            assert_eq!(unescape(html), expected, "{html}");
        }
    }

    #[test]
    fn the_visible_text_is_what_a_person_reads() {
        let cases = [
            ("<p>Hello,\n  <b>Al</b>ice</p><p>1 &lt; 2</p>", "Hello, Alice 1 < 2"),
            ("a<script>if (1 < 2) { '</p>' }</script>b", "ab"),
            ("<!-- <p>no</p> -->yes<STYLE>p{}</STYLE>", "yes"),
            ("<!DOCTYPE html><p title=\"a > b\">x</p>", "x"),
            ("1 < 2 and <br/> more", "1 < 2 and more"),
        ];
        for (html, expected) in cases {
            assert_eq!(visible_text(html), expected, "{html}");
        }
    }
    #[test]
    fn the_visible_lines_are_paragraphs_and_terms() {
        let html = "<title>Window</title><h1>A\n page</h1><p>Two <b>wo</b>rds</p>\
            <dl><div><dt>Device</dt><dd><bdi>Phone</bdi> <small>P1</small></dd><dd>P2</dd></div></dl><button>Go</button>";
        assert_eq!(visible_lines(html), ["A page", "Two words", "Device Phone P1 P2", "Go"]);
    }
}
