package identity

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/storage"
)

// FD-02: somebody makes an account with the address of another, and an accomplice a
// member of its organization, to be there when the other one comes. Nor does an
// account that costs nothing send mails to whomever it likes.
func TestAnUnprovenAccountInvitesNobody(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		u, _, err := in.Registrations.Register(t.Context(), Registration{Email: "victim@acme.example", Password: oldPassword})
		if err != nil {
			t.Fatal(err)
		}
		own := in.settled(t, u)
		link := in.verifyLink(t, u)
		me := Actor{UserID: u.ID}
		if _, err := in.Invitations.Create(t.Context(), me, own, "mallory@evil.example", storage.RoleAdmin); !errors.Is(err, ErrForbidden) {
			t.Errorf("unproven: got %v, want ErrForbidden", err)
		}
		if all := in.letters(t); len(all) != 0 {
			t.Errorf("mails: %+v", all)
		}
		if _, err := in.Registrations.Verify(t.Context(), link, VerifyInput{SignedInAs: u.ID}); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Invitations.Create(t.Context(), me, own, "friend@acme.example", storage.RoleAdmin); err != nil {
			t.Errorf("proven: %v", err)
		}
	}, welcoming)
}

// Judging a password takes the longer the longer it is, seconds for one that an
// attacker makes up for that, and whoever registers may make one up: only 64
// characters of it are looked at.
func TestLongPasswordsAreJudgedByTheirEnds(t *testing.T) {
	in := onSQLite(t)
	weak, strong := strings.Repeat("a", 32), "seven lazy otters swim"
	for password, refused := range map[string]bool{
		weak + strong + weak:                 true,
		weak + weak + weak:                   true,
		strings.Repeat("password", 20):       true,
		weak + strong + "quietly by the sea": false,
		strong + " by the quiet sea" + weak:  false,
	} {
		if err := in.Passwords.Check(password, "bob@acme.example"); (err != nil) != refused {
			t.Errorf("%q: got %v, refused: want %v", password, err, refused)
		}
	}
}
