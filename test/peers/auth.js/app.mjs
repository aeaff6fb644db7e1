// Express with Auth.js, whose provider of type oidc takes what it knows of a person from the ID token. ASK_USERINFO=1 makes
// it ask userinfo.

import { ExpressAuth, getSession } from '@auth/express';
import express from 'express';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT, ASK_USERINFO } = process.env;
const provider = {
  id: 'sallyport',
  name: 'Sallyport',
  type: 'oidc',
  issuer: ISSUER,
  clientId: CLIENT_ID,
  clientSecret: CLIENT_SECRET,
};
if (ASK_USERINFO) provider.idToken = false;
const settings = { providers: [provider], secret: crypto.randomUUID(), trustHost: true };

const app = express();
app.use('/auth', ExpressAuth(settings));
app.get('/', async (request, response) => {
  const session = await getSession(request, settings);
  if (!session) return response.send('ready');
  response.send(`<pre id="user">${JSON.stringify(session.user).replaceAll('<', '&lt;')}</pre>`);
});
app.listen(Number(PORT), '127.0.0.1');
