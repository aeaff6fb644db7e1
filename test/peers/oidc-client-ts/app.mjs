// A page with oidc-client-ts, which signs in and then renews its tokens without a word: with a refresh token if SCOPE has
// offline_access, else in an iframe. HOST is its own address.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const { ISSUER, CLIENT_ID, PORT, HOST, SCOPE } = process.env;
const library = await readFile('node_modules/oidc-client-ts/dist/browser/oidc-client-ts.js');
const origin = `http://${HOST}:${PORT}`;

const page = `<!doctype html><title>Peer</title>
<button id="sign-in">Sign in</button>
<script src="/oidc-client-ts.js"></script>
<script>
  const manager = new oidc.UserManager({
    authority: ${JSON.stringify(ISSUER)},
    client_id: ${JSON.stringify(CLIENT_ID)},
    redirect_uri: ${JSON.stringify(origin + '/callback')},
    silent_redirect_uri: ${JSON.stringify(origin + '/callback')},
    scope: ${JSON.stringify(SCOPE)},
    loadUserInfo: true,
    automaticSilentRenew: false,
  });
  document.querySelector('#sign-in').onclick = () => manager.signinRedirect();
  async function arrive() {
    if (window.parent !== window) return manager.signinSilentCallback();
    const user = await manager.signinRedirectCallback();
    let renewed;
    try {
      const fresh = await manager.signinSilent();
      renewed = fresh.access_token !== user.access_token ? 'renewed' : 'the same token';
    } catch (error) {
      renewed = 'not renewed: ' + (error.error ?? error.message);
    }
    const shown = document.createElement('p');
    shown.id = 'user';
    shown.textContent = user.profile.email + ' ' + renewed;
    document.body.append(shown);
  }
  if (location.pathname === '/callback') arrive();
</script>
`;

createServer((request, response) => {
  if (request.url === '/oidc-client-ts.js') {
    response.setHeader('Content-Type', 'text/javascript');
    response.end(library);
    return;
  }
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.end(page);
}).listen(Number(PORT), '127.0.0.1');
