// A relying party on openid-client. It reads its settings as JSON from standard
// input, prints its own URL as JSON, and serves until it is ended:
//
//   GET /NAME/login     pushes an authorization request and sends the browser on
//   GET /NAME/callback  redeems the code and shows what it found in #result
//   GET /NAME/logout    signs out at the provider too
//
// Each NAME is a client of its own in settings.clients: {id, secret} or {id, jwk}.
import { createPrivateKey } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import * as client from 'openid-client';

const settings = JSON.parse(await text(process.stdin));
const configurations = new Map();
const attempts = new Map(); // by state
const idTokens = new Map(); // by NAME, to sign out with

const escape = (s) => s.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);

async function configuration(name) {
  if (!configurations.has(name)) {
    const { id, secret, jwk } = settings.clients[name];
    const authentication = jwk
      ? client.PrivateKeyJwt({ key: await signingKey(jwk), kid: jwk.kid })
      : client.ClientSecretBasic(secret);
    const found = await client.discovery(new URL(settings.issuer), id, {}, authentication, {
      execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
    });
    configurations.set(name, found);
  }
  return configurations.get(name);
}

function signingKey(jwk) {
  const der = createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'der' });
  return crypto.subtle.importKey('pkcs8', der, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
}

async function login(name, own) {
  const config = await configuration(name);
  const state = client.randomState();
  const attempt = { nonce: client.randomNonce(), verifier: client.randomPKCECodeVerifier() };
  attempts.set(state, attempt);
  return client.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: `${own}/${name}/callback`,
    scope: settings.scope,
    state,
    nonce: attempt.nonce,
    code_challenge: await client.calculatePKCECodeChallenge(attempt.verifier),
    code_challenge_method: 'S256',
  });
}

async function callback(name, url) {
  const config = await configuration(name);
  const state = url.searchParams.get('state');
  const { nonce, verifier } = attempts.get(state);
  attempts.delete(state);
  const tokens = await client.authorizationCodeGrant(config, url, {
    expectedState: state,
    expectedNonce: nonce,
    pkceCodeVerifier: verifier,
    idTokenExpected: true,
  });
  const idToken = tokens.claims();
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, idToken.sub);
  const fresh = await client.refreshTokenGrant(config, tokens.refresh_token);
  const introspected = await client.tokenIntrospection(config, fresh.access_token);
  await client.tokenRevocation(config, fresh.refresh_token, { token_type_hint: 'refresh_token' });
  const ended = await client.tokenIntrospection(config, fresh.access_token);
  idTokens.set(name, fresh.id_token);
  return { nonce, id_token: idToken, userinfo, refreshed: fresh.claims(), introspected, ended };
}

async function logout(name, own) {
  return client.buildEndSessionUrl(await configuration(name), {
    id_token_hint: idTokens.get(name),
    post_logout_redirect_uri: `${own}/${name}/signed-out`,
    state: 'bye',
  });
}

const server = createServer(async (request, response) => {
  const own = `http://${request.headers.host}`;
  const url = new URL(request.url, own);
  const [, name, action] = url.pathname.split('/');
  const page = (html) => response.setHeader('Content-Type', 'text/html; charset=utf-8').end(`<!doctype html>${html}`);
  const redirect = (to) => response.writeHead(303, { Location: to.href }).end();
  try {
    switch (settings.clients[name] ? action : '') {
      case 'login':
        return redirect(await login(name, own));
      case 'callback':
        return page(`<pre id="result">${escape(JSON.stringify(await callback(name, url)))}</pre>`);
      case 'logout':
        return redirect(await logout(name, own));
      case 'signed-out':
        return page(`<p id="bye">${escape(url.searchParams.get('state') ?? '')}</p>`);
      default:
        return response.writeHead(404).end();
    }
  } catch (error) {
    const cause = error.cause ? `\n${error.cause.message ?? ''} ${JSON.stringify(error.cause)}` : '';
    return page(`<pre id="failure">${escape(error.stack + cause)}</pre>`);
  }
});
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ url: `http://localhost:${server.address().port}` }));
});
