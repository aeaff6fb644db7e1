"""Django with social-auth-app-django and the generic OpenID Connect backend of social-auth-core."""

import os
import tempfile

import django
from django.conf import settings
from django.core.management import call_command
from django.http import HttpResponse
from django.urls import include, path
from django.utils.html import escape

settings.configure(
    SECRET_KEY=os.urandom(16).hex(),
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    DEBUG=True,
    ROOT_URLCONF=__name__,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "social_django",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    AUTHENTICATION_BACKENDS=["social_core.backends.open_id_connect.OpenIdConnectAuth"],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": tempfile.mkdtemp() + "/db"}
    },
    LOGIN_REDIRECT_URL="/me",
    SOCIAL_AUTH_OIDC_OIDC_ENDPOINT=os.environ["ISSUER"],
    SOCIAL_AUTH_OIDC_KEY=os.environ["CLIENT_ID"],
    SOCIAL_AUTH_OIDC_SECRET=os.environ["CLIENT_SECRET"],
)
django.setup()


def me(request):
    if not request.user.is_authenticated:
        # The library begins a sign-in by POST only.
        return HttpResponse('<form method="post" action="/login/oidc/"><button id="sign-in">Sign in</button></form>')
    user = request.user
    return HttpResponse(f'<p id="user">{escape(user.email)} {escape(user.username)}</p>')


urlpatterns = [
    path("", lambda request: HttpResponse("ready")),
    path("", include("social_django.urls", namespace="social")),
    path("me", me),
]

call_command("migrate", verbosity=0)
call_command("runserver", "127.0.0.1:" + os.environ["PORT"], use_reloader=False)
