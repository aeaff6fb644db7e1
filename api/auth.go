package api

import (
	"net/http"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// registerInput is the body of auth/register. With Token the response holds a session token if the account exists at
// once; without it a cookie is set.
type registerInput struct {
	Email      string `json:"email"`
	Password   string `json:"password"`
	Name       string `json:"name"`
	Invitation string `json:"invitation"`
	Token      bool   `json:"token"`
}

// register creates an account, or says that a mail is on its way. It says the same for every address.
func (a *API) register(c *call, in *registerInput) (response, error) {
	r := identity.Registration{Email: in.Email, Name: in.Name, Password: in.Password, Browser: c.browser(),
		Invitation: in.Invitation}
	c.token = c.token || in.Token
	out, err := a.signIn.Register(c.r.Context(), a.source(c), r)
	if err != nil {
		return response{}, err
	}
	if out == nil {
		return response{status: http.StatusAccepted, message: "Check your mail: the link in it makes the account."}, nil
	}
	data, err := a.adoptSession(c, out)
	return response{status: http.StatusCreated, message: "The account is made.", data: data}, err
}

// source is where the call comes from and which kind of session its caller gets.
func (a *API) source(c *call) session.Source {
	if c.token {
		return a.sessions.SourceByToken(c.r)
	}
	return a.sessions.Source(c.r)
}

// loginInput is the body of auth/login.
type loginInput struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	Token    bool   `json:"token"` // respond with a session token instead of setting a cookie
}

// login checks an email and a password. In the response, mfa_required says that the session has yet to verify a second
// factor, and methods says which factors can be used.
func (a *API) login(c *call, in *loginInput) (response, error) {
	c.token = c.token || in.Token
	out, err := a.signIn.Password(c.r.Context(), a.source(c), in.Email, in.Password)
	if err != nil {
		return response{}, err
	}
	return a.answerSignIn(c, out)
}

// answerSignIn responds after a password or a passkey was accepted.
func (a *API) answerSignIn(c *call, out *signin.Result) (response, error) {
	data, err := a.adoptSession(c, out)
	message := "Signed in."
	if data.MFARequired {
		message = "The password is right. Prove your second step now."
	}
	return response{message: message, data: data}, err
}

// adoptSession makes the session of out the caller's for the rest of this call, and describes it.
func (a *API) adoptSession(c *call, out *signin.Result) (data sessionView, err error) {
	c.bind, c.personal = secret.HashOf(out.Token), nil // from here on the new session acts, not a token that was sent
	cookie := out.Token
	if c.token {
		cookie = ""
	}
	a.sessions.SetCookies(c.w, c.r, cookie, out.Device)
	if c.current, err = a.sessions.Lookup(c.r, storage.SessionQuery{Browser: c.bind}); err == nil && c.current == nil {
		err = storage.ErrNotFound
	}
	if err == nil {
		err = a.loadRequired(c)
	}
	if err != nil {
		return data, err
	}
	data = describe(c)
	if c.token {
		data.Token = out.Token
	} else {
		data.CSRFToken = a.sessions.CSRFToken(c.bind, csrfPurpose)
	}
	return data, nil
}

func (a *API) logout(c *call) (response, error) {
	if c.token {
		return response{message: "Signed out."}, a.sessions.SignOutToken(c.r)
	}
	return response{message: "Signed out."}, a.sessions.SignOut(c.w, c.r)
}

// session describes the caller's session and what it still needs.
func (a *API) session(c *call) (response, error) {
	if err := a.loadRequired(c); err != nil {
		return response{}, err
	}
	data := describe(c)
	if !c.token {
		data.CSRFToken = a.sessions.CSRFToken(c.bind, csrfPurpose)
	}
	return response{message: "You are signed in.", data: data}, nil
}

// emailInput is the body of auth/forgot-password.
type emailInput struct {
	Email string `json:"email"`
}

func (a *API) forgotPassword(c *call, in *emailInput) (response, error) {
	return response{status: http.StatusAccepted,
			message: "If the address has an account, a mail with a link is on its way."},
		a.signIn.RequestRecovery(c.r.Context(), a.source(c), in.Email, identity.ReturnTo{})
}

// resetInput is the body of auth/reset-password.
type resetInput struct {
	Token    string `json:"token"`
	Password string `json:"password"`
}

func (a *API) resetPassword(c *call, in *resetInput) (response, error) {
	err := a.identity.Registrations.Reset(c.r.Context(), in.Token, in.Password, a.origin(c),
		web.RequestID(c.r.Context()))
	return response{message: "The password is set. Sign in with it; a second step is asked for as before."}, err
}

// verifyInput is the body of auth/verify-email.
type verifyInput struct {
	Token       string `json:"token"`
	Password    string `json:"password"`
	NewPassword string `json:"new_password"`
}

// verifyEmail confirms an address. A caller that is neither the browser that registered nor knows the password has to
// choose a new one: in new_password, or with password_token at auth/reset-password.
func (a *API) verifyEmail(c *call, in *verifyInput) (response, error) {
	by := identity.VerifyInput{Browser: c.browser(), Password: in.Password, NewPassword: in.NewPassword}
	if c.current != nil && c.personal == nil {
		by.SignedInAs = c.current.User.ID
	}
	proven, mark, err := a.signIn.VerifyEmail(c.r.Context(), a.source(c), in.Token, by)
	if err != nil {
		return response{}, renameFields(err, map[string]string{"password": "new_password"})
	}
	a.sessions.SetCookies(c.w, c.r, "", mark)
	data := struct {
		PasswordRequired bool   `json:"password_required"`
		PasswordToken    string `json:"password_token,omitempty"`
	}{proven.PasswordToken != "", proven.PasswordToken}
	return response{message: "The address is yours.", data: data}, nil
}

func (a *API) sendVerification(c *call) (response, error) {
	return response{status: http.StatusAccepted,
			message: "A mail with a link is on its way, unless the address is proven already."},
		a.identity.Registrations.RequestVerification(c.r.Context(), c.actor(), a.origin(c))
}
