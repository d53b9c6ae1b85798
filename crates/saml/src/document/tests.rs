//! Our metadata, read as an identity provider would.

use roxmltree::Document as Xml;
use usher_core::provider::Document;

use super::*;
use crate::{
    names::{FORMAT_PERSISTENT, MD},
    testing::{ACS, OURS, SLO, SP, our_keys},
};

fn text(document: &Document) -> &str {
    std::str::from_utf8(&document.body).expect("UTF-8")
}

#[test]
fn our_metadata_has_our_name_our_address_and_our_certificates() {
    let keys = our_keys();
    let odd = "https://sp.example/?a=b&c=<d>\"";
    for (entity_id, keys, signs, wants) in [(SP, &keys[..], true, true), (odd, &[][..], false, false)] {
        let us = ServiceProvider {
            entity_id,
            acs: ACS,
            disco: None,
            slo: signs.then_some(SLO),
            keys,
            signs_requests: signs,
            wants_signed_assertions: wants,
            name_id_format: signs.then_some(FORMAT_PERSISTENT),
        };
        let document = us.metadata();
        assert_eq!(document.content_type, "application/samlmetadata+xml");
        let xml = Xml::parse(text(&document)).expect("XML");
        let root = xml.root_element();
        assert!(root.has_tag_name((MD, "EntityDescriptor")));
        assert_eq!(root.attribute("entityID"), Some(entity_id));
        let role = root.first_element_child().expect("a role");
        assert_eq!(role.attribute("AuthnRequestsSigned"), Some(if signs { "true" } else { "false" }));
        assert_eq!(role.attribute("WantAssertionsSigned"), Some(if wants { "true" } else { "false" }));
        assert_eq!(role.attribute("protocolSupportEnumeration"), Some(PROTOCOL));
        let uses: Vec<_> = role.children().filter_map(|child| child.attribute("use")).collect();
        assert_eq!(uses, if signs { vec!["signing", "encryption"] } else { Vec::new() });
        let certificates: Vec<_> =
            xml.descendants().filter(|node| node.has_tag_name((DS, "X509Certificate"))).collect();
        let ours = OURS.certificate_base64().expect("a certificate");
        assert!(certificates.iter().all(|certificate| certificate.text() == Some(&*ours)));
        let order: Vec<_> = role
            .children()
            .filter(roxmltree::Node::is_element)
            .map(|child| child.tag_name().name())
            .collect();
        let expected = if signs {
            vec![
                "KeyDescriptor",
                "KeyDescriptor",
                "SingleLogoutService",
                "SingleLogoutService",
                "NameIDFormat",
                "AssertionConsumerService",
            ]
        } else {
            vec!["AssertionConsumerService"]
        };
        assert_eq!(order, expected, "the order of the schema");
        let services = role.children().filter(|node| node.has_tag_name((MD, "SingleLogoutService")));
        let services: Vec<_> =
            services.map(|node| (node.attribute("Binding"), node.attribute("Location"))).collect();
        let both = [BINDING_REDIRECT, BINDING_POST].map(|binding| (Some(binding), Some(SLO)));
        assert_eq!(services, if signs { both.to_vec() } else { Vec::new() }, "who signs can answer");
        let acs = role.last_element_child().expect("an address");
        assert_eq!(acs.attribute("Location"), Some(ACS));
        assert_eq!(acs.attribute("Binding"), Some(BINDING_POST));
    }
}

#[test]
fn all_our_keys_are_there_while_one_takes_over_from_the_other() {
    let next = usher_lab::scripted::saml::SamlKey::rsa(2048).expect("a key");
    let pem = (next.private_pem().expect("a key"), next.certificate_pem().expect("a certificate"));
    let mut keys = our_keys();
    keys.push(OwnKey::read(pem.0.as_bytes(), pem.1.as_bytes()).expect("a pair"));
    let us = ServiceProvider {
        entity_id: SP,
        acs: ACS,
        disco: None,
        slo: None,
        keys: &keys,
        signs_requests: true,
        wants_signed_assertions: false,
        name_id_format: None,
    };
    let document = us.metadata();
    let xml = Xml::parse(text(&document)).expect("XML");
    let descriptors = xml.descendants().filter(|node| node.has_tag_name((MD, "KeyDescriptor")));
    let shown: Vec<_> = descriptors
        .map(|node| {
            let certificate = node.descendants().find(|node| node.has_tag_name((DS, "X509Certificate")));
            (node.attribute("use"), certificate.and_then(|node| node.text()).map(str::to_owned))
        })
        .collect();
    let certificates = [&*OURS, &next].map(|key| Some(key.certificate_base64().expect("a certificate")));
    let expected: Vec<_> = ["signing", "encryption"]
        .into_iter()
        .flat_map(|usage| certificates.clone().map(|certificate| (Some(usage), certificate)))
        .collect();
    assert_eq!(shown, expected);
}
