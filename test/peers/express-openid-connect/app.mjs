// Express with express-openid-connect. CODE=1 chooses the code flow, ASK_USERINFO=1 the userinfo endpoint.

import express from 'express';
import openid from 'express-openid-connect';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT, CODE, ASK_USERINFO } = process.env;
const settings = {
  issuerBaseURL: ISSUER,
  baseURL: `http://localhost:${PORT}`,
  clientID: CLIENT_ID,
  secret: crypto.randomUUID(),
  authRequired: false,
};
if (CODE) {
  settings.clientSecret = CLIENT_SECRET;
  settings.authorizationParams = { response_type: 'code' };
}

const app = express();
app.use(openid.auth(settings));
app.get('/', async (request, response) => {
  if (!request.oidc.isAuthenticated()) return response.send('ready');
  const claims = ASK_USERINFO ? await request.oidc.fetchUserInfo() : request.oidc.user;
  response.send(`<pre id="user">${JSON.stringify(claims).replaceAll('<', '&lt;')}</pre>`);
});
app.listen(Number(PORT), '127.0.0.1');
