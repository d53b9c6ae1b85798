//! What a form sends.

use url::Url;

use super::{Form, forms};

fn form(inside: &str) -> Form {
    let page = Url::parse("http://portal.localhost:8080/login/pick?x=1").expect("the page is a URL");
    let html = format!("<!DOCTYPE html><body><form method=post>{inside}</form></body>");
    forms(&page, &html, false).expect("the form is well").remove(0)
}

fn sent(form: &Form) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish()
}

#[test]
fn untouched_fields_are_sent_as_the_page_has_them() {
    let cases = [
        ("hidden", r#"<input type="hidden" name="lt" value="LT-1">"#, "lt=LT-1"),
        ("no type", "<input name=user>", "user="),
        ("decoded", r#"<input name="q" value="a&amp;b &quot;&#x27;">"#, "q=a%26b+%22%27"),
        ("single quotes", "<input name='q' value='x > y'/>", "q=x+%3E+y"),
        ("no name", r#"<input value="x">"#, ""),
        ("disabled", r#"<input name="a" value="x" disabled>"#, ""),
        ("unticked", r#"<input type="checkbox" name="warn">"#, ""),
        ("ticked", r#"<input type="checkbox" name="warn" checked>"#, "warn=on"),
        ("radio", "<input type=radio name=r value=1><input type=radio name=r value=2 checked>", "r=2"),
        ("select, first", "<select name=s><option>One<option value=2>Two</select>", "s=One"),
        ("select, chosen", "<select name=s><option>One<option value=2 selected>Two</select>", "s=2"),
        ("text area", "<textarea name=t>a &lt; b</textarea>", "t=a+%3C+b"),
        ("buttons are not fields", "<button name=go value=1>Go</button><input type=submit name=x>", ""),
        ("order", "<input name=b><input name=a><input name=b value=2>", "b=&a=&b=2"),
    ];
    for (name, inside, expected) in cases {
        assert_eq!(sent(&form(inside)), expected, "{name}");
    }
}

#[test]
fn a_person_fills_in_what_is_there_and_nothing_else() {
    let inside = "<input name=user><input type=radio name=r value=1><input type=checkbox name=c>\
        <select name=s><option>One<option>Two</select><button name=go value=1>Go</button>";
    // (name, value, mistake?)
    let cases = [
        ("user", "alice", false),
        ("r", "1", false),
        ("r", "2", true),
        ("c", "on", false),
        ("s", "Two", false),
        ("s", "Three", true),
        ("go", "1", true),
        ("absent", "x", true),
    ];
    for (name, value, is_mistake) in cases {
        let filled = form(inside).fill(name, value);
        assert_eq!(!filled.mistakes.is_empty(), is_mistake, "{name}={value}");
        assert_eq!(filled.value(name), Some(value), "{name}={value}");
    }
    assert!(form(inside).press("go", "1").mistakes.is_empty());
    assert!(!form(inside).press("go", "2").mistakes.is_empty());
    assert!(form(inside).has("go") && !form(inside).has("absent"));
}

#[test]
fn actions_are_resolved_against_the_page() {
    let page = Url::parse("http://portal.localhost:8080/login/pick?x=1").expect("the page is a URL");
    let cases = [
        ("<form>", "http://portal.localhost:8080/login/pick?x=1", false),
        (r#"<form action="">"#, "http://portal.localhost:8080/login/pick?x=1", false),
        (r#"<form action="choose" method="POST">"#, "http://portal.localhost:8080/login/choose", true),
        (r#"<FORM ACTION="/a?b=1&amp;c=2" METHOD=post>"#, "http://portal.localhost:8080/a?b=1&c=2", true),
        (r#"<form action="http://sso.localhost/acs">"#, "http://sso.localhost/acs", false),
    ];
    for (html, action, is_post) in cases {
        let form = forms(&page, html, false).expect("the action is a URL").remove(0);
        assert_eq!((form.action.as_str(), form.is_post), (action, is_post), "{html}");
    }
    assert!(forms(&page, "<form action='http://['>", false).is_err());
    assert_eq!(
        forms(&page, "<form></form><input name=x><form></form>", false).map(|forms| forms.len()).ok(),
        Some(2)
    );
}
