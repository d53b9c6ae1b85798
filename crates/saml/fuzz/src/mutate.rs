//! Changes to a message that know what an element and an attribute are: what stands somewhere moves, doubles or goes, and
//! words of SAML come where others were. libFuzzer's own changes, which know bytes, have their turn too.

mod words;

use std::ops::Range;

use libfuzzer_sys::fuzzer_mutate;

use words::{ATTRIBUTES, ELEMENTS, MARKUP, VALUES};

/// Random enough to choose with, and the same for the same seed.
struct Dice(u64);

/// Where an element stands.
#[derive(Clone, Debug)]
struct Element {
    /// All of it, both tags.
    whole: Range<usize>,
    /// What stands in it.
    inner: Range<usize>,
    /// Its name, in the start tag and, unless it is an empty-element tag, in the end tag.
    names: [Option<Range<usize>>; 2],
    attributes: Vec<Attribute>,
}

/// Where an attribute stands.
#[derive(Clone, Debug)]
struct Attribute {
    whole: Range<usize>,
    value: Range<usize>,
}

/// Changes what is in `data[..size]`, but for its first `kept` bytes; the new size.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32, kept: usize) -> usize {
    let mut dice = Dice::new(seed);
    if size <= kept || dice.below(4) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut text = data[kept..size].to_vec();
    for _ in 0..=dice.below(3) {
        change(&mut text, &mut dice);
    }
    if text.len() > max_size.saturating_sub(kept) {
        return fuzzer_mutate(data, size, max_size);
    }
    let size = kept + text.len();
    data[kept..size].copy_from_slice(&text);
    if dice.below(8) == 0 { fuzzer_mutate(data, size, max_size) } else { size }
}

/// Puts an element of `other` somewhere into `one`; the size of what is then in `out`, 0 if there is nothing to do.
pub fn cross(one: &[u8], other: &[u8], out: &mut [u8], seed: u32, kept: usize) -> usize {
    let mut dice = Dice::new(seed);
    let (Some(one), Some(other)) = (one.split_at_checked(kept), other.get(kept..)) else { return 0 };
    let theirs = elements(other);
    let Some(element) = dice.pick(&theirs) else { return 0 };
    let mut text = one.1.to_vec();
    put(&mut text, &other[element.whole.clone()], &mut dice);
    let size = kept + text.len();
    if size > out.len() {
        return 0;
    }
    out[..kept].copy_from_slice(one.0);
    out[kept..size].copy_from_slice(&text);
    size
}

fn change(text: &mut Vec<u8>, dice: &mut Dice) {
    let all = elements(text);
    let Some(element) = dice.pick(&all).cloned() else { return };
    match dice.below(12) {
        // It goes.
        0 => replace(text, element.whole, b""),
        // What is in it goes.
        1 => replace(text, element.inner, b""),
        // It stands somewhere else, too.
        2 | 3 => {
            let copy = text[element.whole].to_vec();
            put(text, &copy, dice);
        }
        // It moves.
        4 => {
            let copy = text[element.whole.clone()].to_vec();
            replace(text, element.whole, b"");
            put(text, &copy, dice);
        }
        // Only what is in it is left.
        5 => {
            let inner = text[element.inner].to_vec();
            replace(text, element.whole, &inner);
        }
        // Two change places.
        6 => {
            let Some(other) = dice.pick(&all).cloned() else { return };
            if element.whole.end <= other.whole.start {
                let (first, second) =
                    (text[element.whole.clone()].to_vec(), text[other.whole.clone()].to_vec());
                replace(text, other.whole, &first);
                replace(text, element.whole, &second);
            }
        }
        // It is called something else.
        7 => {
            let name = dice.one_of(&ELEMENTS);
            for place in element.names.into_iter().rev().flatten() {
                replace(text, place, name);
            }
        }
        8 | 9 => change_attribute(text, &element, dice),
        // Another text.
        10 => {
            let value = dice.value(text, &all);
            replace(text, element.inner, &value);
        }
        // Markup of another kind.
        _ => {
            let at = dice.place(&element);
            replace(text, at..at, dice.one_of(&MARKUP));
        }
    }
}

fn change_attribute(text: &mut Vec<u8>, element: &Element, dice: &mut Dice) {
    let all = elements(text);
    let Some(attribute) = dice.pick(&element.attributes).cloned() else {
        if let Some(name) = element.names[0].clone() {
            let value = dice.value(text, &all);
            let added = [b" ", dice.one_of(&ATTRIBUTES), b"=\"", &value, b"\""].concat();
            replace(text, name.end..name.end, &added);
        }
        return;
    };
    match dice.below(4) {
        0 => replace(text, attribute.whole, b""),
        1 => {
            let value = dice.value(text, &all);
            let added = [dice.one_of(&ATTRIBUTES), b"=\"", &value, b"\" "].concat();
            replace(text, attribute.whole.start..attribute.whole.start, &added);
        }
        _ => {
            let value = dice.value(text, &all);
            replace(text, attribute.value, &value);
        }
    }
}

/// Puts `what` before, into or behind some element.
fn put(text: &mut Vec<u8>, what: &[u8], dice: &mut Dice) {
    let all = elements(text);
    let at = dice.pick(&all).cloned().map_or(text.len(), |element| dice.place(&element));
    replace(text, at..at, what);
}

fn replace(text: &mut Vec<u8>, range: Range<usize>, with: &[u8]) {
    if range.start <= range.end && range.end <= text.len() {
        text.splice(range, with.iter().copied());
    }
}

impl Dice {
    fn new(seed: u32) -> Self {
        Self(u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// splitmix64
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        let number = self.next() % u64::try_from(count.max(1)).expect("a count");
        usize::try_from(number).expect("less than a count")
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static [u8] {
        self.pick(words).expect("there are words").as_bytes()
    }

    /// Before it, behind it, or at either end of what is in it.
    fn place(&mut self, element: &Element) -> usize {
        let Element { whole, inner, .. } = element;
        [whole.start, inner.start, inner.end, whole.end][self.below(4)]
    }

    /// A text: a word, or one that stands somewhere in the message.
    fn value(&mut self, text: &[u8], all: &[Element]) -> Vec<u8> {
        let element = self.pick(all).cloned();
        match (self.below(3), element) {
            (0, Some(element)) if element.inner.len() < 200 => text[element.inner].to_vec(),
            (1, Some(element)) => {
                let attribute = self.pick(&element.attributes).cloned();
                attribute.map_or(Vec::new(), |attribute| text[attribute.value].to_vec())
            }
            _ => self.one_of(&VALUES).to_vec(),
        }
    }
}

/// All elements whose tags belong together, as well as can be told of a broken message.
fn elements(text: &[u8]) -> Vec<Element> {
    let (mut all, mut open): (Vec<Element>, Vec<Element>) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(start) = find(text, b'<', at) {
        let Some(end) = find(text, b'>', start) else { break };
        at = end + 1;
        let tag = &text[start + 1..end];
        if let Some(name) = tag.strip_prefix(b"/") {
            let is_its = |own: &Element| own.names[0].clone().is_some_and(|own| &text[own] == name);
            let Some(index) = open.iter().rposition(is_its) else { continue };
            open.truncate(index + 1);
            let mut element = open.pop().expect("it was found");
            element.inner.end = start;
            element.whole.end = at;
            element.names[1] = Some(start + 2..end);
            all.push(element);
        } else if !tag.starts_with(b"!") && !tag.starts_with(b"?") {
            let name_len = tag.iter().position(|byte| b" \t\r\n/".contains(byte)).unwrap_or(tag.len());
            let name = start + 1..start + 1 + name_len;
            let attributes = attributes(text, name.end..end);
            let element = Element { whole: start..at, inner: at..at, names: [Some(name), None], attributes };
            if tag.ends_with(b"/") { all.push(element) } else { open.push(element) }
        }
    }
    all
}

fn attributes(text: &[u8], tag: Range<usize>) -> Vec<Attribute> {
    let mut all = Vec::new();
    let mut at = tag.start;
    while let Some(equals) = find(text, b'=', at).filter(|equals| *equals + 1 < tag.end) {
        let quote = text[equals + 1];
        let Some(end) = find(text, quote, equals + 2).filter(|end| *end < tag.end) else { break };
        let blanks = text[at..equals].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        all.push(Attribute { whole: at + blanks..end + 1, value: equals + 2..end });
        at = end + 1;
    }
    all
}

fn find(text: &[u8], byte: u8, from: usize) -> Option<usize> {
    text.get(from..)?.iter().position(|other| *other == byte).map(|position| from + position)
}
