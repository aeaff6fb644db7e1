# JupyterHub with the generic authenticator of oauthenticator. PKCE=off switches PKCE off. GROUPS asks for the scope groups;
# then its members may use the hub and ADMINS administer it.

import os

c = get_config()  # noqa: F821
issuer = os.environ["ISSUER"]
here = os.path.dirname(os.path.abspath(__file__))

c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['PORT']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{os.environ['HUB_PORT']}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['PROXY_PORT']}"
c.ConfigurableHTTPProxy.command = ["node", here + "/node_modules/configurable-http-proxy/bin/configurable-http-proxy"]
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.cookie_secret = os.urandom(32)
c.JupyterHub.spawner_class = "simple"

c.JupyterHub.authenticator_class = "generic-oauth"
c.GenericOAuthenticator.client_id = os.environ["CLIENT_ID"]
c.GenericOAuthenticator.client_secret = os.environ["CLIENT_SECRET"]
c.GenericOAuthenticator.oauth_callback_url = f"http://localhost:{os.environ['PORT']}/hub/oauth_callback"
c.GenericOAuthenticator.authorize_url = issuer + "/oauth2/authorize"
c.GenericOAuthenticator.token_url = issuer + "/oauth2/token"
c.GenericOAuthenticator.userdata_url = issuer + "/oauth2/userinfo"
c.GenericOAuthenticator.scope = ["openid", "profile", "email"]
c.GenericOAuthenticator.username_claim = "email"
if os.environ.get("PKCE") == "off":
    c.GenericOAuthenticator.enable_pkce = False
if os.environ.get("GROUPS"):
    c.GenericOAuthenticator.scope = ["openid", "profile", "email", "groups"]
    c.GenericOAuthenticator.manage_groups = True
    c.GenericOAuthenticator.auth_state_groups_key = "oauth_user.groups"
    c.GenericOAuthenticator.allowed_groups = {os.environ["GROUPS"]}
    c.GenericOAuthenticator.admin_groups = {os.environ["ADMINS"]}
else:
    c.GenericOAuthenticator.allow_all = True
