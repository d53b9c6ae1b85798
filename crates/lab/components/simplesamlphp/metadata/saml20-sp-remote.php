<?php

/*
 * Every service that the lab has registered: NAME.xml is its own metadata, NAME.json what is done differently for it.
 * See https://simplesamlphp.org/docs/1.19/simplesamlphp-reference-sp-remote.html
 */

foreach (glob(getenv('LAB_SAML_DATA') . '/services/*.xml') as $file) {
    $options = json_decode(file_get_contents(substr($file, 0, -3) . 'json'), true, 8, JSON_THROW_ON_ERROR);
    foreach (\SimpleSAML\Metadata\SAMLParser::parseDescriptorsFile($file) as $entity => $parser) {
        $metadata[$entity] = $options + $parser->getMetadata20SP();
    }
}
