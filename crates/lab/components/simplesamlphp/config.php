<?php

/*
 * The lab's SimpleSAMLphp: one identity provider on loopback, its sessions and keys in the directory LAB_SAML_DATA.
 *
 * Not an example of how to run SimpleSAMLphp in production: it is served by PHP itself, over plain http.
 */

$data = getenv('LAB_SAML_DATA');

$config = [
    'baseurlpath' => getenv('LAB_SAML_BASE_URL'),
    'certdir' => "$data/keys/",
    'loggingdir' => "$data/log/",
    'datadir' => "$data/data/",
    'tempdir' => "$data/tmp",
    'metadatadir' => __DIR__ . '/metadata/',
    'attributenamemapdir' => '/etc/simplesamlphp/attributemap/',

    'secretsalt' => file_get_contents("$data/keys/salt"),
    'auth.adminpassword' => file_get_contents("$data/keys/admin"),
    'admin.protectindexpage' => true,
    'admin.protectmetadata' => false,
    'admin.checkforupdates' => false,
    'technicalcontact_name' => 'Lab',
    'technicalcontact_email' => 'lab@ac.localhost',
    'timezone' => 'UTC',

    'enable.saml20-idp' => true,
    // Its discovery service sends people back to whoever asks: ports change.
    'trusted.url.domains' => null,
    'module.enable' => ['core' => true, 'saml' => true, 'exampleauth' => true],

    // To PHP's log, which is the server's standard error.
    'logging.level' => SimpleSAML\Logger::INFO,
    'logging.handler' => 'errorlog',
    'debug' => ['saml' => false, 'backtraces' => true, 'validatexml' => false],
    'showerrors' => true,
    'errorreporting' => false,

    'store.type' => 'phpsession',
    'session.duration' => 8 * 60 * 60,
    'session.cookie.name' => 'SimpleSAMLSessionID',
    'session.cookie.secure' => false,
    'session.cookie.samesite' => null,
    'session.phpsession.cookiename' => 'SimpleSAML',
    'session.phpsession.savepath' => "$data/sessions",
    'session.phpsession.httponly' => true,
    'session.authtoken.cookiename' => 'SimpleSAMLAuthToken',
    'language.available' => ['en'],
    'language.default' => 'en',
    'language.cookie.secure' => false,
    'language.cookie.samesite' => null,
    'theme.use' => 'default',
    'production' => true,

    'authproc.idp' => [
        // Persistent and opaque, another one for every service; needs `uid` by that name.
        10 => ['class' => 'saml:PersistentNameID', 'attribute' => 'uid'],
        20 => ['class' => 'core:AttributeMap', 'name2oid'],
    ],
    'metadata.sources' => [['type' => 'flatfile']],
];
