//! Takes out of xmlsec and libxml2, for this whole process and once, what no SAML message needs and a stranger could
//! have them do. The gate ([`crate::gate`]) refuses such messages before; this is for the case that it, or its
//! understanding of a message, is wrong.
//!
//! - xmlsec fetches nothing: without input callbacks, a `Reference` or `RetrievalMethod` to a URI cannot be opened.
//! - libxml2 fetches nothing: its loader of external entities loads none.
//! - xmlsec knows the transforms and algorithms of [`crate::gate`] alone. XSLT, XPath, XPointer, base64, HMAC, MD5, SHA-1
//!   and the rest are unknown to it by name, wherever one is named.
//! - Neither prints anything: their errors would quote what strangers sent.
//!
//! These are the only functions of the workspace's code that call C directly, and the reason for its only exception to
//! the rule against `unsafe` in this crate: samael offers no safe way to do any of it. The declarations are those of
//! xmlsec 1.2 and 1.3 (`xmlsec/list.h`, `transforms.h`, `io.h`, `errors.h`) and of libxml2 (`parser.h`, `xmlerror.h`, `globals.h`). `xmlSecSize` is
//! declared as the wider of the two types it may have: on the platforms that Usher is built for, a small number is passed
//! the same way in both.
#![expect(
    unsafe_code,
    reason = "xmlsec and libxml2 are configured through global C functions, and samael wraps none"
)]

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    ptr,
    sync::OnceLock,
};

use samael::crypto::{CertificateDer, Crypto, CryptoProvider as _};

/// An `xmlSecTransformId`: a pointer to a constant description, which is only ever compared.
type TransformId = *const c_void;
/// An `xmlSecPtrListPtr`.
type List = *mut c_void;
/// An `xmlStructuredErrorFunc`.
type ErrorHandler = unsafe extern "C" fn(*mut c_void, *mut c_void);
type EntityLoader = unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void) -> *mut c_void;

#[link(name = "xmlsec1")]
unsafe extern "C" {
    fn xmlSecIOCleanupCallbacks();
    fn xmlSecErrorsDefaultCallbackEnableOutput(is_enabled: c_int);
    fn xmlSecTransformIdsGet() -> List;
    fn xmlSecTransformIdListFindByHref(list: List, href: *const c_char, usage: u32) -> TransformId;
    fn xmlSecTransformExclC14NGetKlass() -> TransformId;
    fn xmlSecPtrListGetItem(list: List, position: usize) -> TransformId;
    fn xmlSecPtrListSet(list: List, item: TransformId, position: usize) -> c_int;
}

#[link(name = "xml2")]
unsafe extern "C" {
    fn xmlSetExternalEntityLoader(loader: EntityLoader);
    fn xmlSetStructuredErrorFunc(context: *mut c_void, handler: ErrorHandler);
    fn xmlThrDefSetStructuredErrorFunc(context: *mut c_void, handler: ErrorHandler);
}

/// `xmlSecTransformUsageAny`.
const ANY_USAGE: u32 = 0xFFFF;
/// Far more than xmlsec has.
const MAX_TRANSFORMS: usize = 1000;

/// What xmlsec goes on knowing: the transforms, digests and signatures that the gate lets pass.
const KEPT: [&CStr; 12] = [
    c"http://www.w3.org/2001/10/xml-exc-c14n#",
    c"http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    c"http://www.w3.org/2000/09/xmldsig#enveloped-signature",
    c"http://www.w3.org/2001/04/xmlenc#sha256",
    c"http://www.w3.org/2001/04/xmldsig-more#sha384",
    c"http://www.w3.org/2001/04/xmlenc#sha512",
    c"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    c"http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    c"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    c"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    c"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    c"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
];

/// xmlsec cannot be used safely on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HardeningError {
    #[error("xmlsec could not be started")]
    NotStarted,
    #[error("xmlsec lacks the algorithms that SAML needs")]
    Lacking,
    #[error("xmlsec could not be restricted")]
    NotRestricted,
}

/// Done by the first call, and told by every other. Nothing of samael is used before it.
pub(crate) fn harden() -> Result<(), HardeningError> {
    static DONE: OnceLock<Result<(), HardeningError>> = OnceLock::new();
    *DONE.get_or_init(|| {
        silence();
        start()?;
        fetch_nothing();
        restrict()
    })
}

fn silence() {
    /// Without one, canonicalization tells standard error what it could not do.
    unsafe extern "C" fn say_nothing(_: *mut c_void, _: *mut c_void) {}
    // SAFETY: the first sets a flag, which initialisation leaves alone. The others store, for this thread and for all that
    // come after it, a pointer to a function of exactly libxml2's type, which lives as long as the program.
    unsafe {
        xmlSecErrorsDefaultCallbackEnableOutput(0);
        xmlSetStructuredErrorFunc(ptr::null_mut(), say_nothing);
        xmlThrDefSetStructuredErrorFunc(ptr::null_mut(), say_nothing);
    }
}

/// Has samael initialise xmlsec, which registers everything that is then taken away. There is no function for it: it
/// happens when the first key is loaded, which fails here, as it should.
fn start() -> Result<(), HardeningError> {
    let no_key = CertificateDer::from(Vec::new());
    let verified = Crypto::verify_signed_xml("<nothing/>", &no_key, None);
    // SAFETY: a plain getter of a pointer to a static list.
    let is_started = unsafe { !xmlSecPtrListGetItem(xmlSecTransformIdsGet(), 0).is_null() };
    if verified.is_err() && is_started { Ok(()) } else { Err(HardeningError::NotStarted) }
}

fn fetch_nothing() {
    /// `xmlExternalEntityLoader`: null is "it could not be loaded".
    unsafe extern "C" fn load_nothing(_: *const c_char, _: *const c_char, _: *mut c_void) -> *mut c_void {
        ptr::null_mut()
    }
    // SAFETY: xmlsec is initialised; the first call empties a list that only this thread can know so far, the second
    // stores a pointer to a function of exactly libxml2's type, which lives as long as the program.
    unsafe {
        xmlSecIOCleanupCallbacks();
        xmlSetExternalEntityLoader(load_nothing);
    }
}

/// Puts exclusive canonicalization, which has a name of its own already, in the place of every transform that is not
/// kept. Removing them instead would leave holes that xmlsec stumbles over.
fn restrict() -> Result<(), HardeningError> {
    // SAFETY: xmlsec is initialised, so that the list is there and stays; items are pointers to constants, never freed.
    // `xmlSecPtrListGetItem` gives null beyond the end. Nobody else reads the list yet.
    unsafe {
        let (list, replacement) = (xmlSecTransformIdsGet(), xmlSecTransformExclC14NGetKlass());
        let kept = KEPT.map(|href| xmlSecTransformIdListFindByHref(list, href.as_ptr(), ANY_USAGE));
        if kept.iter().any(|id| id.is_null()) || replacement.is_null() {
            return Err(HardeningError::Lacking);
        }
        for position in 0..MAX_TRANSFORMS {
            let id = xmlSecPtrListGetItem(list, position);
            if id.is_null() {
                return Ok(());
            }
            if !kept.contains(&id) && xmlSecPtrListSet(list, replacement, position) < 0 {
                return Err(HardeningError::NotRestricted);
            }
        }
    }
    Err(HardeningError::NotRestricted)
}

/// Whether xmlsec knows an algorithm by that name.
#[cfg(test)]
pub(crate) fn knows(href: &CStr) -> bool {
    // SAFETY: as above; a lookup changes nothing.
    unsafe { !xmlSecTransformIdListFindByHref(xmlSecTransformIdsGet(), href.as_ptr(), ANY_USAGE).is_null() }
}

/// Whether libxml2 reads the document there, which its loader of external entities would have to open.
#[cfg(test)]
fn loads(place: &CStr) -> bool {
    #[link(name = "xml2")]
    unsafe extern "C" {
        fn xmlReadFile(url: *const c_char, encoding: *const c_char, options: c_int) -> *mut c_void;
        fn xmlFreeDoc(document: *mut c_void);
    }
    // SAFETY: the declarations are those of libxml2's `parser.h` and `tree.h`; the document is the caller's, to be freed once.
    unsafe {
        let document = xmlReadFile(place.as_ptr(), ptr::null(), 0);
        if !document.is_null() {
            xmlFreeDoc(document);
        }
        !document.is_null()
    }
}

#[cfg(test)]
mod tests;
