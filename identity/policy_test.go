package identity

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

func TestWhoSetsPolicies(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		acme, owner := in.organization(t, "acme")
		_, stranger := in.organization(t, "other")
		root := Actor{UserID: in.user(t, "root@sallyport.test", true).ID}
		for name, c := range map[string]struct {
			a                      Actor
			organization, platform error
		}{
			"owner":    {owner, nil, ErrForbidden},
			"admin":    {in.member(t, acme, "admin@acme.example", storage.RoleAdmin), nil, ErrForbidden},
			"member":   {in.member(t, acme, "member@acme.example", storage.RoleMember), ErrForbidden, ErrForbidden},
			"stranger": {stranger, storage.ErrNotFound, ErrForbidden},
			"root":     {root, nil, nil},
			"operator": {Operator(), nil, nil},
			"token":    {(&Bearer{User: storage.User{ID: root.UserID}, Token: storage.PersonalToken{Organization: *acme}}).Actor(""), storage.ErrNotFound, ErrForbidden},
		} {
			p := storage.MFAPolicy{Require: storage.RequirePasskey, GraceDays: 14, Since: in.now.Add(-time.Hour)}
			got, err := in.Policies.SetMFA(t.Context(), c.a, acme.ID, p)
			if !errors.Is(err, c.organization) {
				t.Errorf("%s, organization: got %v, want %v", name, err, c.organization)
			} else if err == nil && !got.Since.Equal(in.now) {
				t.Errorf("%s: the grace began at %v, as the caller said", name, got.Since)
			}
			if read, err := in.Policies.MFA(t.Context(), c.a, acme.ID); !errors.Is(err, c.organization) || err == nil && read != got {
				t.Errorf("%s, organization: read %+v, %v", name, read, err)
			}
			got, err = in.Policies.SetPlatformMFA(t.Context(), c.a, p)
			if !errors.Is(err, c.platform) {
				t.Errorf("%s, platform: got %v, want %v", name, err, c.platform)
			}
			if read, err := in.Policies.PlatformMFA(t.Context(), c.a); !errors.Is(err, c.platform) || err == nil && read != got {
				t.Errorf("%s, platform: read %+v, %v", name, read, err)
			}
		}
		for _, p := range []storage.MFAPolicy{{Require: "sms"}, {Require: storage.RequireAny, GraceDays: -1}, {Require: storage.RequireAny, GraceDays: MaxGraceDays + 1}} {
			var faults FieldErrors
			if _, err := in.Policies.SetMFA(t.Context(), owner, acme.ID, p); !errors.As(err, &faults) {
				t.Errorf("%+v: got %v, want a fault", p, err)
			}
			if _, err := in.Policies.SetPlatformMFA(t.Context(), root, p); !errors.As(err, &faults) {
				t.Errorf("%+v: got %v, want a fault", p, err)
			}
		}
		if _, err := in.Policies.SetMFA(t.Context(), Operator(), uuid.New(), storage.MFAPolicy{}); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("no organization: got %v, want ErrNotFound", err)
		}
	})
}
