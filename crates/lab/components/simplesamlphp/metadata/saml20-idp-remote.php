<?php

/* Those whom its discovery service lets people choose from: itself, and one that nobody else knows. */

foreach ([getenv('LAB_SAML_BASE_URL') => 'Harbour College', 'https://unknown.example/' => 'Unknown College'] as $base => $name) {
    $metadata[$base . 'saml2/idp/metadata.php'] = [
        'name' => ['en' => $name],
        'SingleSignOnService' => $base . 'saml2/idp/SSOService.php',
    ];
}
