<?php

/* Who can sign in: the JSON file that the lab writes, so that people are named in one place only. */

$people = json_decode(file_get_contents(getenv('LAB_SAML_DATA') . '/people.json'), true, 8, JSON_THROW_ON_ERROR);

$config = [
    'admin' => ['core:AdminPassword'],
    'lab' => ['exampleauth:UserPass'],
];
foreach ($people as $username => $person) {
    $config['lab'][$username . ':' . $person['password']] = $person['attributes'];
}
