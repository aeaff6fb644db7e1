"""Django with mozilla-django-oidc. SIGN_ALGO is the one setting that every provider with RS256 needs."""

import os
import tempfile

import django
from django.conf import settings
from django.core.management import call_command
from django.http import HttpResponse
from django.urls import include, path
from django.utils.html import escape

issuer = os.environ["ISSUER"]
optional = {}
if os.environ.get("SIGN_ALGO"):
    optional["OIDC_RP_SIGN_ALGO"] = os.environ["SIGN_ALGO"]
settings.configure(
    SECRET_KEY=os.urandom(16).hex(),
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "mozilla_django_oidc",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    AUTHENTICATION_BACKENDS=["mozilla_django_oidc.auth.OIDCAuthenticationBackend"],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": tempfile.mkdtemp() + "/db"}
    },
    LOGIN_REDIRECT_URL="/me",
    LOGIN_REDIRECT_URL_FAILURE="/failed",
    LOGGING={
        "version": 1,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"], "level": "INFO"},
    },
    OIDC_RP_CLIENT_ID=os.environ["CLIENT_ID"],
    OIDC_RP_CLIENT_SECRET=os.environ["CLIENT_SECRET"],
    OIDC_OP_AUTHORIZATION_ENDPOINT=issuer + "/oauth2/authorize",
    OIDC_OP_TOKEN_ENDPOINT=issuer + "/oauth2/token",
    OIDC_OP_USER_ENDPOINT=issuer + "/oauth2/userinfo",
    OIDC_OP_JWKS_ENDPOINT=issuer + "/.well-known/jwks.json",
    **optional,
)
django.setup()


def me(request):
    if not request.user.is_authenticated:
        return HttpResponse("nobody")
    return HttpResponse(f'<p id="user">{escape(request.user.email)}</p>')


urlpatterns = [
    path("", lambda request: HttpResponse("ready")),
    path("oidc/", include("mozilla_django_oidc.urls")),
    path("me", me),
    path("failed", lambda request: HttpResponse("the sign-in failed")),
]

call_command("migrate", verbosity=0)
call_command("runserver", "127.0.0.1:" + os.environ["PORT"], use_reloader=False)
