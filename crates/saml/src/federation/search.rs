//! Finds what people type among the names of thousands of organisations: without regard to case, accents and order, from the middle
//! of words too, since many languages write several in one.

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// As much of what was typed as is looked at, in characters.
const MAX_TYPED: usize = 100;
/// Words of it.
const MAX_WORDS: usize = 8;

/// What somebody typed.
#[derive(Debug)]
pub(super) struct Query {
    words: Vec<String>,
    whole: String,
}

/// How well an entry fits, the best first.
const RANKS: usize = 3;

impl Query {
    pub(super) fn new(typed: &str) -> Self {
        let typed: String = typed.chars().take(MAX_TYPED).collect();
        let folded = folded(&typed);
        let words: Vec<_> =
            folded.split(' ').filter(|word| !word.is_empty()).take(MAX_WORDS).map(str::to_owned).collect();
        Self { whole: words.join(" "), words }
    }

    /// The positions of the `limit` best among `parts`, and how many fit at all. Equals stay in their order. `None` fits nothing.
    pub(super) fn best<'a>(
        &self,
        parts: impl Iterator<Item = Option<&'a str>>,
        limit: usize,
    ) -> (Vec<usize>, usize) {
        let (mut ranks, mut total): ([Vec<usize>; RANKS], usize) = Default::default();
        for (position, part) in parts.enumerate() {
            let Some(rank) = part.and_then(|part| self.rank(part)) else { continue };
            total += 1;
            if ranks[rank].len() < limit {
                ranks[rank].push(position);
            }
        }
        let mut best = ranks.concat();
        best.truncate(limit);
        (best, total)
    }

    /// `None` if a word is missing.
    fn rank(&self, part: &str) -> Option<usize> {
        if !self.words.iter().all(|word| part.contains(word.as_str())) {
            return None;
        }
        let begins = |text: &str, word: &str| text.starts_with(word) || text.contains(&format!(" {word}"));
        if part.split('\n').any(|line| line.starts_with(&self.whole)) {
            return Some(0);
        }
        let are_beginnings = self.words.iter().all(|word| part.split('\n').any(|line| begins(line, word)));
        Some(if are_beginnings { 1 } else { 2 })
    }
}

/// What is searched of an entry: its names, then other words, each on a line of its own.
pub(super) fn words<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for text in texts {
        let line = folded(text);
        if !line.is_empty() && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}

/// Letters and digits alone, small and without accents, words divided by one blank.
pub(super) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        if c.is_alphanumeric() {
            // What has no other form in Unicode, and is typed without its stroke.
            match c {
                'ø' | 'Ø' => folded.push('o'),
                'ł' | 'Ł' => folded.push('l'),
                'đ' | 'Đ' => folded.push('d'),
                'ß' => folded.push_str("ss"),
                'æ' | 'Æ' => folded.push_str("ae"),
                'œ' | 'Œ' => folded.push_str("oe"),
                'ı' => folded.push('i'),
                _ => folded.extend(c.to_lowercase().filter(|c| !is_combining_mark(*c))),
            }
        } else if !folded.is_empty() && !folded.ends_with(' ') {
            folded.push(' ');
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_and_what_is_searched_are_folded_alike() {
        for (text, expected) in [
            ("Collège  du Port", "college du port"),
            ("ŁÓDŹ", "lodz"),
            ("Københavns", "kobenhavns"),
            ("Straße", "strasse"),
            ("uni-heidelberg.de", "uni heidelberg de"),
            ("İstanbul ıI", "istanbul ii"),
            ("東京大学", "東京大学"),
            ("ﬁne", "fine"),
            ("<b>&", "b"),
            (" \u{202E}!", ""),
        ] {
            assert_eq!(folded(text), expected, "{text}");
        }
    }

    #[test]
    fn the_best_come_first_and_all_are_counted() {
        let entries = ["Abbey of the harbour", "Harbour College", "Old Harbour", "Oldharbour", "Hill"];
        let entries = entries.map(|name| words([name].into_iter()));
        let best = |typed: &str, limit: usize| {
            Query::new(typed).best(entries.iter().map(|entry| Some(entry.as_str())), limit)
        };
        for (name, typed, limit, expected) in [
            ("the beginning of a name, of a word, the middle", "harbour", 9, (vec![1, 0, 2, 3], 4)),
            ("fewer than there are", "harbour", 2, (vec![1, 0], 4)),
            ("words in any order", "HARBOUR ó́ld", 9, (vec![2, 3], 2)),
            ("nothing typed", " ", 2, (vec![0, 1], 5)),
            ("a word that is not there", "harbour sea", 9, (vec![], 0)),
            ("across two names", "hill h", 9, (vec![4], 1)),
        ] {
            assert_eq!(best(typed, limit), expected, "{name}");
        }
        let hidden = Query::new("hill").best([None, Some("hill\n")].into_iter(), 9);
        assert_eq!(hidden, (vec![1], 1));
    }

    #[test]
    fn no_more_is_looked_at_than_somebody_types() {
        let long = Query::new(&"a ".repeat(10_000));
        assert_eq!(long.words.len(), MAX_WORDS);
        assert!(Query::new(&"\u{FDFA}".repeat(10_000)).whole.len() < 100 * MAX_TYPED);
    }
}
