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

// registerInput is the body of auth/register. With token the answer holds a
// session token where the account is there at once; else a cookie is set.
type registerInput struct {
	Email      string `json:"email"`
	Password   string `json:"password"`
	Name       string `json:"name"`
	Invitation string `json:"invitation"`
	Token      bool   `json:"token"`
}

// register makes an account, or says that a mail is on its way, whatever the address.
func (a *API) register(c *call) (answer, error) {
	var in registerInput
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	r := identity.Registration{Email: in.Email, Name: in.Name, Password: in.Password, Browser: c.browser(),
		Invitation: in.Invitation}
	c.token = c.token || in.Token
	out, err := a.signIn.Register(c.r.Context(), a.source(c), r)
	if err != nil {
		return answer{}, err
	}
	if out == nil {
		return answer{status: http.StatusAccepted, message: "Check your mail: the link in it makes the account."}, nil
	}
	data, err := a.enter(c, out)
	return answer{status: http.StatusCreated, message: "The account is made.", data: data}, err
}

// source is where the call comes from, and what kind of session its caller takes.
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
	Token    bool   `json:"token"` // answer with a session token instead of setting a cookie
}

// login compares an address and a password. data.mfa_required tells that the
// session has yet to prove a second factor, and data.methods with what.
func (a *API) login(c *call) (answer, error) {
	var in loginInput
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	c.token = c.token || in.Token
	out, err := a.signIn.Password(c.r.Context(), a.source(c), in.Email, in.Password)
	if err != nil {
		return answer{}, err
	}
	return a.signedIn(c, out)
}

// signedIn answers a first factor.
func (a *API) signedIn(c *call, out *signin.Result) (answer, error) {
	data, err := a.enter(c, out)
	message := "Signed in."
	if data.MFARequired {
		message = "The password is right. Prove your second step now."
	}
	return answer{message: message, data: data}, err
}

// enter makes the session that a sign-in has made the caller's, and describes it.
func (a *API) enter(c *call, out *signin.Result) (data sessionView, err error) {
	c.bind, c.personal = secret.HashOf(out.Token), nil // a token that came along is not who acts from here on
	if c.token {
		data.Token = out.Token
		a.sessions.SetCookies(c.w, c.r, "", out.Device)
	} else {
		data.CSRFToken = a.sessions.CSRFToken(c.bind, csrfPurpose)
		a.sessions.SetCookies(c.w, c.r, out.Token, out.Device)
	}
	if c.current, err = a.sessions.Lookup(c.r, storage.SessionQuery{Browser: c.bind}); err != nil {
		return data, err
	}
	if c.current == nil {
		return data, storage.ErrNotFound
	}
	if err := a.assess(c); err != nil {
		return data, err
	}
	data.describe(c)
	return data, nil
}

func (a *API) logout(c *call) (answer, error) {
	if c.token {
		return answer{message: "Signed out."}, a.sessions.SignOutToken(c.r)
	}
	return answer{message: "Signed out."}, a.sessions.SignOut(c.w, c.r)
}

// session tells who is signed in, and what the session still owes.
func (a *API) session(c *call) (answer, error) {
	if err := a.assess(c); err != nil {
		return answer{}, err
	}
	data := sessionView{}
	if !c.token {
		data.CSRFToken = a.sessions.CSRFToken(c.bind, csrfPurpose)
	}
	data.describe(c)
	return answer{message: "You are signed in.", data: data}, nil
}

func (a *API) forgotPassword(c *call) (answer, error) {
	var in struct {
		Email string `json:"email"`
	}
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	if err := a.signIn.RequestRecovery(c.r.Context(), a.source(c), in.Email, identity.ReturnTo{}); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, message: "If the address has an account, a mail with a link is on its way."}, nil
}

func (a *API) resetPassword(c *call) (answer, error) {
	var in struct {
		Token    string `json:"token"`
		Password string `json:"password"`
	}
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	err := a.identity.Registrations.Reset(c.r.Context(), in.Token, in.Password, a.origin(c), web.RequestID(c.r.Context()))
	return answer{message: "The password is set. Sign in with it; a second step is asked for as before."}, err
}

// verifyEmail proves an address. Whoever does it from somewhere else than they
// registered, and without the password, has to choose a new one: new_password, or
// password_token is for auth/reset-password.
func (a *API) verifyEmail(c *call) (answer, error) {
	var in struct {
		Token       string `json:"token"`
		Password    string `json:"password"`
		NewPassword string `json:"new_password"`
	}
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	by := identity.VerifyInput{Browser: c.browser(), Password: in.Password, NewPassword: in.NewPassword}
	if c.current != nil && c.personal == nil {
		by.SignedInAs = c.current.User.ID
	}
	proven, mark, err := a.signIn.VerifyEmail(c.r.Context(), a.source(c), in.Token, by)
	if err != nil {
		return answer{}, renamed(err, map[string]string{"password": "new_password"})
	}
	a.sessions.SetCookies(c.w, c.r, "", mark)
	data := struct {
		PasswordRequired bool   `json:"password_required"`
		PasswordToken    string `json:"password_token,omitempty"`
	}{proven.PasswordToken != "", proven.PasswordToken}
	return answer{message: "The address is yours.", data: data}, nil
}

func (a *API) sendVerification(c *call) (answer, error) {
	if err := empty(c); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, message: "A mail with a link is on its way, unless the address is proven already."},
		a.identity.Registrations.RequestVerification(c.r.Context(), c.actor(), a.origin(c))
}
