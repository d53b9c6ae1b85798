//! What is read of an answer, what is refused, and what a hostile one may cost.

use super::*;

/// An answer with `inner` in the root, in the CAS namespace under the prefix `cas`.
fn answer(inner: &str) -> String {
    format!("<cas:serviceResponse xmlns:cas='{CAS}'>{inner}</cas:serviceResponse>")
}

fn success(inner: &str) -> String {
    answer(&format!("<cas:authenticationSuccess>{inner}</cas:authenticationSuccess>"))
}

/// The user, the attributes or the reason, short enough for a table.
fn user(text: &str) -> Result<String, ResponseError> {
    match read(text.as_bytes())? {
        Verdict::Success(success) => Ok(success.user),
        Verdict::Failure(code) => Ok(format!("{code:?}")),
    }
}

fn attributes(inner: &str) -> Vec<(String, Vec<String>)> {
    let text = success(&format!("<cas:user>alice</cas:user>{inner}"));
    match read(text.as_bytes()) {
        Ok(Verdict::Success(success)) => success.attributes.into_iter().collect(),
        Ok(Verdict::Failure(code)) => panic!("{inner}: {code:?}"),
        Err(error) => panic!("{inner}: {error}"),
    }
}

#[test]
fn a_user_is_read_whole_or_not_at_all() {
    for (name, inner, expected) in [
        ("plain", "<cas:user>alice</cas:user>", Ok("alice")),
        ("escapes", "<cas:user>a&amp;b&#x3C;</cas:user>", Ok("a&b<")),
        ("CDATA", "<cas:user>al<![CDATA[<i>]]>ce</cas:user>", Ok("al<i>ce")),
        ("outside ASCII", "<cas:user>Åsa</cas:user>", Ok("Åsa")),
        ("on a line of its own", "<cas:user>\n    alice\n  </cas:user>", Ok("alice")),
        ("blanks are the user's", "<cas:user> alice</cas:user>", Ok(" alice")),
        ("another prefix", "<x:user xmlns:x='http://www.yale.edu/tp/cas'>alice</x:user>", Ok("alice")),
        ("none", "", Err(ResponseError::NotOneUser)),
        ("empty", "<cas:user/>", Err(ResponseError::NotOneUser)),
        ("blank lines", "<cas:user>\n \n</cas:user>", Err(ResponseError::NotOneUser)),
        ("two", "<cas:user>alice</cas:user><cas:user>alice</cas:user>", Err(ResponseError::NotOneUser)),
        ("another namespace", "<user xmlns='urn:x'>alice</user>", Err(ResponseError::NotOneUser)),
        ("no namespace", "<user>alice</user>", Err(ResponseError::NotOneUser)),
        ("too deep", "<cas:x><cas:user>alice</cas:user></cas:x>", Err(ResponseError::NotOneUser)),
        ("a comment in it", "<cas:user>admin<!-- -->x</cas:user>", Err(ResponseError::Commented)),
        ("a comment before it", "<cas:user><!-- -->x</cas:user>", Err(ResponseError::Commented)),
        ("an instruction in it", "<cas:user>admin<?x?>x</cas:user>", Err(ResponseError::Commented)),
        ("an element in it", "<cas:user>admin<b/>x</cas:user>", Err(ResponseError::UserNotText)),
        ("an element around it", "<cas:user><b>alice</b></cas:user>", Err(ResponseError::UserNotText)),
    ] {
        assert_eq!(user(&success(inner)), expected.map(str::to_owned), "{name}");
    }
}

#[test]
fn an_answer_is_one_verdict_in_the_cas_root() {
    let yes = "<cas:authenticationSuccess><cas:user>alice</cas:user></cas:authenticationSuccess>";
    let no = "<cas:authenticationFailure code='INVALID_TICKET'>no</cas:authenticationFailure>";
    for (name, text, expected) in [
        ("success", answer(yes), Ok("alice".to_owned())),
        ("a declaration", format!("<?xml version='1.0'?>\n{}", answer(yes)), Ok("alice".to_owned())),
        ("a byte order mark", format!("\u{feff}{}", answer(yes)), Ok("alice".to_owned())),
        ("failure", answer(no), Ok("InvalidTicket".to_owned())),
        ("none", answer(""), Err(ResponseError::NotOneVerdict)),
        ("two", answer(&format!("{yes}{yes}")), Err(ResponseError::NotOneVerdict)),
        ("yes and no", answer(&format!("{yes}{no}")), Err(ResponseError::NotOneVerdict)),
        ("no and yes", answer(&format!("{no}{yes}")), Err(ResponseError::NotOneVerdict)),
        ("another verdict", answer("<cas:proxySuccess/>"), Err(ResponseError::NotOneVerdict)),
        (
            "a verdict of no namespace",
            answer("<authenticationSuccess><cas:user xmlns:cas='urn:x'>a</cas:user></authenticationSuccess>"),
            Err(ResponseError::NotOneVerdict),
        ),
        ("a verdict too deep", answer(&format!("<cas:x>{yes}</cas:x>")), Err(ResponseError::NotOneVerdict)),
        ("another root", answer(yes).replace("serviceResponse", "response"), Err(ResponseError::NotCas)),
        (
            "another namespace",
            answer(yes).replace("www.yale.edu", "www.yale.example"),
            Err(ResponseError::NotCas),
        ),
        ("a page", "<html><body>Sorry</body></html>".to_owned(), Err(ResponseError::NotCas)),
        ("an HTML 5 page", "<!DOCTYPE html><html><br></html>".to_owned(), Err(ResponseError::HasDtd)),
        (
            "entities",
            format!("<!DOCTYPE x [<!ENTITY a 'admin'>]>{}", answer(yes)),
            Err(ResponseError::HasDtd),
        ),
        ("nothing", String::new(), Err(ResponseError::NotXml)),
        ("cut", answer(yes)[..90].to_owned(), Err(ResponseError::NotXml)),
        ("more after the root", format!("{}x", answer(yes)), Err(ResponseError::NotXml)),
        ("CAS 1", "yes\nalice\n".to_owned(), Err(ResponseError::NotXml)),
    ] {
        assert_eq!(user(&text), expected, "{name}");
    }
    assert_eq!(read(b"\xff\xfe").err(), Some(ResponseError::NotUtf8));
}

#[test]
fn attributes_keep_every_value_in_order_and_say_none_twice() {
    let values = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
    let one = |name: &str, of: &[&str]| vec![(name.to_owned(), values(of))];
    for (name, inner, expected) in [
        ("none", "", vec![]),
        ("an empty list", "<cas:attributes/>", vec![]),
        ("one", "<cas:attributes><cas:m>1</cas:m></cas:attributes>", one("m", &["1"])),
        (
            "several, apart",
            "<cas:attributes><cas:m>b</cas:m><cas:n>x</cas:n><cas:m>a</cas:m><cas:m>b</cas:m></cas:attributes>",
            vec![("m".to_owned(), values(&["b", "a", "b"])), ("n".to_owned(), values(&["x"]))],
        ),
        ("an empty value", "<cas:attributes><cas:m/><cas:m>1</cas:m></cas:attributes>", one("m", &["1"])),
        ("empty values alone", "<cas:attributes><cas:m/></cas:attributes>", vec![]),
        (
            "another namespace",
            "<cas:attributes><m>1</m><x:m xmlns:x='urn:x'>2</x:m></cas:attributes>",
            vec![],
        ),
        ("outside the list", "<cas:m>1</cas:m>", vec![]),
        (
            "pairs beside",
            "<cas:attribute name='m' value='b'/><cas:attribute name='m' value='a'/>",
            one("m", &["b", "a"]),
        ),
        (
            "pairs in the list",
            "<cas:attributes><cas:attribute name='m' value='1'/></cas:attributes>",
            one("m", &["1"]),
        ),
        (
            "both forms",
            "<cas:attributes><cas:m>1</cas:m><cas:m>2</cas:m></cas:attributes>\
             <cas:attribute name='m' value='1'/><cas:attribute name='m' value='2'/>\
             <cas:attribute name='n' value='3'/>",
            vec![("m".to_owned(), values(&["1", "2"])), ("n".to_owned(), values(&["3"]))],
        ),
        (
            "an attribute called attribute",
            "<cas:attributes><cas:attribute>1</cas:attribute></cas:attributes>",
            one("attribute", &["1"]),
        ),
        (
            "a structured value takes its neighbours with it",
            "<cas:attributes><cas:m>1</cas:m><cas:m><b>2</b></cas:m><cas:n>3</cas:n></cas:attributes>",
            one("n", &["3"]),
        ),
        (
            "and its twins of the other form",
            "<cas:attributes><cas:m>1<b/></cas:m></cas:attributes><cas:attribute name='m' value='1'/>",
            vec![],
        ),
    ] {
        assert_eq!(attributes(inner), expected, "{name}");
    }
}

#[test]
fn attributes_that_could_be_cut_refuse_the_answer() {
    for (name, inner, expected) in [
        (
            "a comment in a value",
            "<cas:attributes><cas:m>a<!-- -->b</cas:m></cas:attributes>",
            ResponseError::Commented,
        ),
        ("two lists", "<cas:attributes/><cas:attributes/>", ResponseError::SeveralAttributeLists),
    ] {
        let text = success(&format!("<cas:user>alice</cas:user>{inner}"));
        assert_eq!(user(&text), Err(expected), "{name}");
    }
}

#[test]
fn proxies_are_a_list_of_plain_texts() {
    let proxies = |inner: &str| {
        let text = success(&format!("<cas:user>alice</cas:user>{inner}"));
        match read(text.as_bytes())? {
            Verdict::Success(success) => Ok(success.proxies),
            Verdict::Failure(_) => Ok(vec!["failure".to_owned()]),
        }
    };
    for (name, inner, expected) in [
        ("none", "", Ok(vec![])),
        ("an empty list", "<cas:proxies/>", Ok(vec![])),
        (
            "in order",
            "<cas:proxies><cas:proxy>b</cas:proxy><cas:proxy>a</cas:proxy></cas:proxies>",
            Ok(vec!["b", "a"]),
        ),
        (
            "another element",
            "<cas:proxies><cas:x>a</cas:x></cas:proxies>",
            Err(ResponseError::ProxiesNotTexts),
        ),
        ("an empty proxy", "<cas:proxies><cas:proxy/></cas:proxies>", Err(ResponseError::ProxiesNotTexts)),
        (
            "a structured proxy",
            "<cas:proxies><cas:proxy>a<b/></cas:proxy></cas:proxies>",
            Err(ResponseError::ProxiesNotTexts),
        ),
    ] {
        let expected = expected.map(|list| list.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(proxies(inner), expected, "{name}");
    }
}

#[test]
fn failures_are_known_by_their_code() {
    for (code, expected) in [
        ("INVALID_REQUEST", FailureCode::InvalidRequest),
        ("INVALID_TICKET_SPEC", FailureCode::InvalidTicketSpec),
        ("UNAUTHORIZED_SERVICE", FailureCode::Unauthorized),
        ("UNAUTHORIZED_SERVICE_PROXY", FailureCode::Unauthorized),
        ("INVALID_PROXY_CALLBACK", FailureCode::InvalidProxyCallback),
        ("INVALID_TICKET", FailureCode::InvalidTicket),
        ("INVALID_SERVICE", FailureCode::InvalidService),
        ("INTERNAL_ERROR", FailureCode::InternalError),
        ("invalid_ticket", FailureCode::Unknown),
        ("SOMETHING_ELSE", FailureCode::Unknown),
    ] {
        let text =
            answer(&format!("<cas:authenticationFailure code='{code}'>ST-1</cas:authenticationFailure>"));
        assert!(matches!(read(text.as_bytes()), Ok(Verdict::Failure(read)) if read == expected), "{code}");
    }
    let text = answer("<cas:authenticationFailure/>");
    assert!(matches!(read(text.as_bytes()), Ok(Verdict::Failure(FailureCode::Unknown))), "no code");
}

/// Each is within the bound on length, and each would make a parser without bounds of its own work hard.
#[test]
fn an_answer_has_bounds_on_everything_that_costs() {
    let nested = |levels: usize| {
        let inner = format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
        success(&format!("<cas:user>alice</cas:user>{inner}"))
    };
    let attributes = |count: usize| {
        let list: String =
            (0..count).flat_map(|index| [" a".to_owned(), index.to_string(), "=''".to_owned()]).collect();
        success(&format!("<cas:user>alice</cas:user><a{list}/>"))
    };
    let namespaces = |count: usize| {
        let list: String = (0..count)
            .flat_map(|index| ["<a xmlns:n".to_owned(), index.to_string(), "='u'/>".to_owned()])
            .collect();
        success(&format!("<cas:user>alice</cas:user>{list}"))
    };
    let elements = |count: usize| success(&format!("<cas:user>alice</cas:user>{}", "<a/>".repeat(count)));
    for (name, text, is_read) in [
        // Root, verdict and the document's own level come on top.
        ("the deepest", nested(14), true),
        ("one level more", nested(15), false),
        ("far too deep", nested(30_000), false),
        ("many attributes", attributes(64), true),
        ("one more", attributes(65), false),
        ("a whole answer of attributes", attributes(25_000), false),
        ("many namespaces", namespaces(31), true),
        ("one more", namespaces(32), false),
        ("many elements", elements(19_900), true),
        ("too many", elements(20_000), false),
        ("too many tags", elements(60_000), false),
    ] {
        let expected = if is_read { Ok("alice".to_owned()) } else { Err(ResponseError::TooComplex) };
        assert_eq!(user(&text), expected, "{name}");
    }
    let hidden = success(&format!("<cas:user>alice</cas:user><a {}/>", "x='>' ".repeat(1000)));
    assert_eq!(user(&hidden), Err(ResponseError::TooComplex), "attributes behind a quoted >");
}
