"""Flask with requests-oauthlib, which leaves ID tokens alone and asks userinfo. PKCE=S256 switches PKCE on."""

import json
import os

# The library refuses http unless it is told that this is a test.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from flask import Flask, redirect, request, session
from markupsafe import escape
from requests_oauthlib import OAuth2Session

app = Flask(__name__)
app.secret_key = os.urandom(16)
config = requests.get(os.environ["ISSUER"] + "/.well-known/openid-configuration", timeout=10).json()
callback_url = f"http://localhost:{os.environ['PORT']}/callback"
pkce = os.environ.get("PKCE") or None


def new_session(**arguments):
    return OAuth2Session(
        os.environ["CLIENT_ID"],
        redirect_uri=callback_url,
        scope=["openid", "profile", "email"],
        pkce=pkce,
        **arguments,
    )


@app.get("/")
def index():
    return "ready"


@app.get("/login")
def login():
    oauth = new_session()
    url, session["state"] = oauth.authorization_url(config["authorization_endpoint"])
    session["verifier"] = oauth._code_verifier if pkce else None
    return redirect(url)


@app.get("/callback")
def callback():
    oauth = new_session(state=session["state"])
    if pkce:
        oauth._code_verifier = session["verifier"]
    oauth.fetch_token(
        config["token_endpoint"],
        client_secret=os.environ["CLIENT_SECRET"],
        authorization_response=request.url,
    )
    claims = oauth.get(config["userinfo_endpoint"]).json()
    return f'<pre id="user">{escape(json.dumps(claims))}</pre>'


app.run("127.0.0.1", int(os.environ["PORT"]), threaded=True)
