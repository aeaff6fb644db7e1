// Express with passport-openidconnect. NONCE=1 switches the nonce on, ASK_USERINFO=1 the userinfo endpoint.

import express from 'express';
import session from 'express-session';
import passport from 'passport';
import OpenIDConnectStrategy from 'passport-openidconnect';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT, NONCE, ASK_USERINFO } = process.env;
const settings = {
  issuer: ISSUER,
  authorizationURL: `${ISSUER}/oauth2/authorize`,
  tokenURL: `${ISSUER}/oauth2/token`,
  userInfoURL: `${ISSUER}/oauth2/userinfo`,
  clientID: CLIENT_ID,
  clientSecret: CLIENT_SECRET,
  callbackURL: `http://localhost:${PORT}/callback`,
  scope: ['profile', 'email'],
};
if (NONCE) settings.nonce = true;
if (ASK_USERINFO) settings.skipUserProfile = false;

passport.use(new OpenIDConnectStrategy(settings, (issuer, profile, done) => done(null, profile)));
passport.serializeUser((user, done) => done(null, user));
passport.deserializeUser((user, done) => done(null, user));

const app = express();
app.use(session({ secret: crypto.randomUUID(), resave: false, saveUninitialized: false }));
app.use(passport.session());
app.get('/', (request, response) => response.send('ready'));
app.get('/login', passport.authenticate('openidconnect'));
app.get('/callback', passport.authenticate('openidconnect', { successRedirect: '/me', failWithError: true }));
app.get('/me', (request, response) => {
  const shown = JSON.stringify(request.user ?? {}).replaceAll('<', '&lt;');
  response.send(`<pre id="user">${shown}</pre>`);
});
app.listen(Number(PORT), '127.0.0.1');
