package api

import (
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
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
	ctx := c.r.Context()
	if err := a.limits.Take(ctx, limit.Registration, identity.AccountOf(in.Email), a.source(c)); err != nil {
		return answer{}, err
	}
	r := identity.Registration{Email: in.Email, Name: in.Name, Password: in.Password, Browser: c.browser(), Invitation: in.Invitation,
		From: a.origin(c), RequestID: web.RequestID(ctx)}
	if in.Invitation == "" && a.identity.ConfirmsEmail() {
		if err := a.identity.RequestRegistration(ctx, r); err != nil {
			return answer{}, err
		}
		return answer{status: http.StatusAccepted, message: "Check your mail: the link in it makes the account."}, nil
	}
	u, hash, err := a.identity.Register(ctx, r)
	if err != nil {
		return answer{}, err
	}
	out, err := a.start(c, u, session.SignIn{User: u.ID, PasswordHash: hash, ACR: identity.ACRPassword, AMR: []string{identity.AMRPassword}}, in.Token)
	if err != nil {
		return answer{}, err
	}
	a.limits.Devices.Remember(c.w, a.source(c).Device, u.EmailKey, device.ByPassword)
	out.status, out.message = http.StatusCreated, "The account is made."
	return out, nil
}

// source is where a request came from, for what limits guessing.
func (a *API) source(c *call) limit.Source { return a.limits.Source(c.r, web.ClientIP(c.r)) }

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
	ctx := c.r.Context()
	account := identity.AccountOf(in.Email)
	attempt, err := a.limits.Begin(account, a.source(c))
	if err != nil {
		return answer{}, err
	}
	defer attempt.End(ctx)
	found, err := a.identity.CheckCredentials(ctx, in.Email, in.Password, attempt)
	if errors.Is(err, identity.ErrCredentials) {
		if err := attempt.Failed(ctx, found.User.ID); err != nil {
			return answer{}, err
		}
	}
	if err != nil {
		return answer{}, err
	}
	u := found.User
	signIn := session.SignIn{User: u.ID, PasswordHash: found.PasswordHash, ACR: identity.ACRPassword, AMR: []string{identity.AMRPassword}}
	signIn.Half = identity.Half(u.Factors, signIn.ACR)
	switch {
	case signIn.Half && a.limits.Devices.KnownSince(a.source(c).Device, u.EmailKey, device.ByFactor).IsZero():
		signIn.Owed, err = a.identity.WatchSecondStep()
	case !signIn.Half && !attempt.Known():
		signIn.Notice, err = a.identity.NoticeOfSignIn(ctx, u, a.origin(c))
	}
	if err != nil {
		return answer{}, err
	}
	out, err := a.start(c, u, signIn, in.Token)
	if errors.Is(err, storage.ErrConflict) { // the password was changed, or the person disabled, since it was read
		if err := attempt.Failed(ctx, u.ID); err != nil {
			return answer{}, err
		}
		return answer{}, identity.ErrCredentials
	} else if err != nil {
		return answer{}, err
	}
	attempt.Succeeded(ctx, c.w)
	return out, nil
}

// start signs in and describes the session that began.
func (a *API) start(c *call, u *storage.User, in session.SignIn, token bool) (answer, error) {
	ctx := c.r.Context()
	c.token = token || c.token
	data := sessionView{}
	if c.token {
		var err error
		if data.Token, err = a.sessions.SignInToken(c.r, in); err != nil {
			return answer{}, err
		}
		c.bind = secret.HashOf(data.Token)
	} else {
		if err := a.sessions.SignIn(c.w, c.r, in); err != nil {
			return answer{}, err
		}
		c.bind = a.sessions.Browser(c.r)
		data.CSRFToken = a.sessions.CSRFToken(c.bind, csrfPurpose)
	}
	if u.FirstSignInAt.IsZero() {
		// The person is in. What is left undone is done at the next sign-in.
		if err := a.identity.Welcome(ctx, u); err != nil {
			web.Annotate(ctx, "welcome", err.Error())
		}
	}
	v, err := a.store.Visit(ctx, storage.VisitQuery{Browser: c.bind})
	if err != nil {
		return answer{}, err
	}
	c.visit, c.personal = v, nil // a token that came along is not who acts from here on
	if err := a.assess(c); err != nil {
		return answer{}, err
	}
	data.describe(c)
	message := "Signed in."
	if data.MFARequired {
		message = "The password is right. Prove your second step now."
	}
	return answer{message: message, data: data}, nil
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
	ctx := c.r.Context()
	if err := a.limits.Take(ctx, limit.Recovery, identity.AccountOf(in.Email), a.source(c)); err != nil {
		return answer{}, err
	}
	if err := a.identity.RequestRecovery(ctx, in.Email, identity.Way{}, a.origin(c), web.RequestID(ctx)); err != nil {
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
	err := a.identity.Reset(c.r.Context(), in.Token, in.Password, a.origin(c), web.RequestID(c.r.Context()))
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
	by := identity.VerifyBy{Browser: c.browser(), Password: in.Password, NewPassword: in.NewPassword, From: a.origin(c), RequestID: web.RequestID(c.r.Context())}
	if c.visit != nil && c.personal == nil {
		by.SignedInAs = c.visit.User.ID
	}
	proven, err := a.verifyGuarded(c, in.Token, by)
	if err != nil {
		return answer{}, renamed(err, map[string]string{"password": "new_password"})
	}
	data := struct {
		PasswordRequired bool   `json:"password_required"`
		PasswordToken    string `json:"password_token,omitempty"`
	}{proven.PasswordToken != "", proven.PasswordToken}
	return answer{message: "The address is yours.", data: data}, nil
}

// verifyGuarded counts a wrong password as a failed sign-in to the account.
func (a *API) verifyGuarded(c *call, token string, by identity.VerifyBy) (*identity.Proven, error) {
	ctx := c.r.Context()
	if by.Password == "" {
		return a.identity.Verify(ctx, token, by)
	}
	about, err := a.identity.OpenVerification(ctx, token)
	if err != nil {
		return nil, err
	}
	attempt, err := a.limits.Begin(identity.AccountOf(about.Email), a.source(c))
	if err != nil {
		return nil, err
	}
	defer attempt.End(ctx)
	by.Attempt = attempt
	proven, err := a.identity.Verify(ctx, token, by)
	if errors.Is(err, identity.ErrWrongPassword) {
		return nil, errors.Join(err, attempt.Failed(ctx, about.User))
	}
	if err == nil && proven.Typed {
		attempt.Succeeded(ctx, c.w)
	}
	return proven, err
}

func (a *API) sendVerification(c *call) (answer, error) {
	if err := empty(c); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, message: "A mail with a link is on its way, unless the address is proven already."},
		a.identity.RequestVerification(c.r.Context(), c.actor(), a.origin(c))
}
