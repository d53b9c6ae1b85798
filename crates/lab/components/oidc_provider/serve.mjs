// An OpenID Provider for the lab: oidc-provider with a sign-in page that asks for a name and a password, and a way to
// register clients while it runs. It serves until it is killed.
//
// Usage: node serve.mjs PACKAGE PORT PEOPLE.json
//   PACKAGE       where oidc-provider lies
//   PEOPLE.json   {username: {password, claims: {name: value}}}

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const [packageDirectory, port, peopleFile] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(`${packageDirectory}/lib/index.js`));
const people = JSON.parse(readFileSync(peopleFile, 'utf8'));
const issuer = `http://127.0.0.1:${port}`;

/** Everything in memory, clients included: a client is registered by whoever runs the lab. */
const stored = new Map();
const grants = new Map();
class Memory {
  constructor(model) {
    this.model = model;
  }
  key(id) {
    return `${this.model}:${id}`;
  }
  async upsert(id, payload, expiresIn) {
    stored.set(this.key(id), payload);
    if (payload.grantId) {
      grants.set(payload.grantId, [...(grants.get(payload.grantId) ?? []), this.key(id)]);
    }
    if (payload.uid) stored.set(`uid:${payload.uid}`, this.key(id));
    if (expiresIn) setTimeout(() => stored.delete(this.key(id)), expiresIn * 1000).unref();
  }
  async find(id) {
    return stored.get(this.key(id));
  }
  async findByUid(uid) {
    return stored.get(stored.get(`uid:${uid}`));
  }
  async findByUserCode() {
    return undefined;
  }
  async consume(id) {
    stored.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) {
    stored.delete(this.key(id));
  }
  async revokeByGrantId(grantId) {
    for (const key of grants.get(grantId) ?? []) stored.delete(key);
    grants.delete(grantId);
  }
}

const jwk = (kind, options, more) => ({
  ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }),
  use: 'sig',
  ...more,
});
const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];
const provider = new Provider(issuer, {
  adapter: Memory,
  jwks: {
    keys: [
      jwk('rsa', { modulusLength: 2048 }, { kid: 'rsa' }),
      jwk('ec', { namedCurve: 'P-256' }, { kid: 'p256' }),
      jwk('ed25519', {}, { kid: 'ed25519' }),
    ],
  },
  enabledJWA: {
    idTokenSigningAlgValues: algorithms,
    userinfoSigningAlgValues: algorithms,
    clientAuthSigningAlgValues: [...algorithms, 'HS256'],
  },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none'],
  claims: { openid: ['sub'], profile: ['uid', 'displayName', 'department'], email: ['mail', 'email', 'email_verified'] },
  scopes: ['openid', 'profile', 'email'],
  findAccount: (_, id) => (people[id] ? { accountId: id, claims: () => ({ sub: id, ...people[id].claims }) } : undefined),
  // Nobody is asked what the portal may know: it is their own.
  async loadExistingGrant({ oidc }) {
    const { Grant } = oidc.provider;
    const grant = new Grant({ accountId: oidc.session.accountId, clientId: oidc.client.clientId });
    grant.addOIDCScope(oidc.params.scope);
    await grant.save();
    return grant;
  },
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    claimsParameter: { enabled: true },
    jwtUserinfo: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        const yes = '<input type="hidden" name="logout" value="yes"><button>Sign out</button></form>';
        ctx.body = page('Sign out', form.replace('</form>', yes));
      },
    },
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  cookies: { keys: [randomBytes(16).toString('hex')] },
  ttl: { Session: 3600, Grant: 3600, Interaction: 3600, IdToken: 3600, AccessToken: 3600, AuthorizationCode: 60 },
  renderError: (ctx, out) => {
    ctx.body = page('Something is wrong', `<p>${escape(out.error)}: ${escape(out.error_description ?? '')}</p>`);
  },
  // Everybody is on this machine, and `*.localhost` too (RFC 6761 section 6.3), which Node does not know.
  fetch: (url, { dispatcher, ...options }) => {
    const here = new URL(url);
    if (here.hostname.endsWith('.localhost')) here.hostname = '127.0.0.1';
    return globalThis.fetch(here, options);
  },
});
provider.on('server_error', (_, error) => console.error(error));
provider.on('backchannel.error', (_, error, client) => console.error(`logout at ${client.clientId}:`, error));
provider.on('grant.error', (_, error) => console.error('grant:', error.error, error.error_detail ?? error.error_description));
provider.on('authorization.error', (_, error) => console.error('authorization:', error.error, error.error_description));

const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
const page = (title, content) => `<!DOCTYPE html><html lang="en"><title>${title}</title><h1>${title}</h1>${content}</html>`;
const form = (uid, said) =>
  page(
    'Sign in',
    `<p>${said}</p><form method="post" action="/interaction/${uid}">
     <label>Name <input name="username" autocomplete="username"></label>
     <label>Password <input name="password" type="password" autocomplete="current-password"></label>
     <button>Sign in</button> <button name="cancel" value="yes">Cancel</button></form>`,
  );

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

function html(response, status, content) {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(content);
}

async function interaction(request, response, uid) {
  const details = await provider.interactionDetails(request, response);
  if (details.uid !== uid) return html(response, 400, page('Sign in', '<p>Start again.</p>'));
  if (request.method !== 'POST') return html(response, 200, form(uid, 'Who are you?'));
  const fields = new URLSearchParams(await body(request));
  const username = fields.get('username');
  if (fields.get('cancel') !== null) {
    const result = { error: 'access_denied', error_description: 'The person <b>cancelled</b>' };
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
  if (people[username]?.password !== fields.get('password')) return html(response, 200, form(uid, 'That is not right.'));
  const result = { login: { accountId: username, remember: true } };
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const callback = provider.callback();
const server = createServer(async (request, response) => {
  try {
    const { pathname } = new URL(request.url, issuer);
    const [, first, uid] = pathname.split('/');
    if (pathname === '/up') return response.end('up');
    if (first === 'interaction') return await interaction(request, response, uid);
    if (pathname === '/lab/clients' && request.method === 'POST') {
      const client = JSON.parse(await body(request));
      stored.set(`Client:${client.client_id}`, client);
      return response.writeHead(201).end();
    }
    return callback(request, response);
  } catch (error) {
    console.error(error);
    return html(response, 500, page('Something is wrong', `<p>${escape(String(error.message))}</p>`));
  }
});
server.listen(Number(port), '127.0.0.1', () => console.log(`listening at ${issuer}`));
