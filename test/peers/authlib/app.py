"""Flask with Authlib. SIGN_WITH_KEY chooses private_key_jwt: "" is off, "hour" is Authlib's own lifetime, "short" ours."""

import json
import os

from authlib.integrations.flask_client import OAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from flask import Flask, url_for
from markupsafe import escape


class ShortPrivateKeyJWT(PrivateKeyJWT):
    """An assertion that lives one minute instead of an hour."""

    def sign(self, auth, token_endpoint):
        return private_key_jwt_sign(auth.client_secret, auth.client_id, token_endpoint, alg=self.alg, expires_in=60)


app = Flask(__name__)
app.secret_key = os.urandom(16)
with_key = os.environ.get("SIGN_WITH_KEY", "")
settings = {"client_kwargs": {"scope": "openid profile email"}}
if with_key:
    settings["client_kwargs"]["token_endpoint_auth_method"] = "private_key_jwt"
    settings["client_auth_methods"] = [{"hour": PrivateKeyJWT, "short": ShortPrivateKeyJWT}[with_key]()]
if os.environ.get("PKCE"):
    settings["client_kwargs"]["code_challenge_method"] = "S256"
oauth = OAuth(app)
oauth.register(
    "sallyport",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url=os.environ["ISSUER"] + "/.well-known/openid-configuration",
    **settings,
)


@app.get("/")
def index():
    return "ready"


@app.get("/login")
def login():
    return oauth.sallyport.authorize_redirect(url_for("callback", _external=True))


@app.get("/callback")
def callback():
    token = oauth.sallyport.authorize_access_token()
    # What token["userinfo"] has is the ID token's claims, not the userinfo endpoint's answer.
    claims = token["userinfo"]
    if os.environ.get("ASK_USERINFO", "yes") == "yes":
        claims = oauth.sallyport.userinfo(token=token)
    return f'<pre id="user">{escape(json.dumps(claims))}</pre>'


app.run("127.0.0.1", int(os.environ["PORT"]), threaded=True)
