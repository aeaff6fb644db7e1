package campaigns

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// rivals is how many show one proof at the same time.
const rivals = 16

// phrase is a password that nobody refuses.
const phrase = "seven lazy otters swim"

// caller is a program that uses the JSON API of a process.
type caller struct {
	node  *node
	from  string // its address
	token string // of its session, if it has one
}

// reply is an answer in the envelope.
type reply struct {
	Status int
	Raw    json.RawMessage // its data
	Data   struct {
		Token            string   `json:"token"`
		MFARequired      bool     `json:"mfa_required"`
		Secret           string   `json:"secret"`
		RecoveryCodes    []string `json:"recovery_codes"`
		Left             int      `json:"left"`
		Ceremony         string   `json:"ceremony"`
		PasswordRequired bool     `json:"password_required"`
		PasswordToken    string   `json:"password_token"`
	}
}

type object = map[string]any

// call posts a body, or gets without one.
func (c *caller) call(t testing.TB, path string, body any) *reply {
	t.Helper()
	method, text := http.MethodGet, []byte(nil)
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.node.in.issuer+"/api/v1"+path, bytes.NewReader(text))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Forwarded-For", c.from)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := (&http.Client{Transport: c.node.transport, Timeout: time.Minute}).Do(req)
	must(t, err)
	defer resp.Body.Close()
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&envelope); err != nil {
		t.Fatalf("%s answers %d without an envelope: %v", path, resp.StatusCode, err)
	}
	r := &reply{Status: resp.StatusCode, Raw: envelope.Data}
	if len(envelope.Data) > 0 && envelope.Data[0] == '{' {
		must(t, json.Unmarshal(envelope.Data, &r.Data))
	}
	return r
}

// want is call for what must succeed.
func (c *caller) want(t testing.TB, path string, body any) *reply {
	t.Helper()
	r := c.call(t, path, body)
	if r.Status >= 300 {
		t.Fatalf("%s answers %d", path, r.Status)
	}
	return r
}

// login signs in with a password; the caller has a session then, or half of one.
func (c *caller) login(t testing.TB, who harness.Person) *reply {
	t.Helper()
	r := c.want(t, "/auth/login", object{"email": who.Email, "password": who.Password, "token": true})
	c.token = r.Data.Token
	return r
}

// crowd is an installation of two processes behind a proxy, with people.
type crowd struct {
	nodes []*node
	names atomic.Int64
}

// newCrowd starts the processes: the first makes accounts when an address is
// proven, the second at once, as while CONFIRM_EMAIL is being switched on.
func newCrowd(t *testing.T) *crowd {
	t.Helper()
	in := install(t, storage.Postgres)
	in.issuer = strings.Replace(in.issuer, "127.0.0.1", "localhost", 1) // WebAuthn needs a name
	c := &crowd{}
	for _, confirm := range []string{"true", "false"} {
		in.settings = []string{"SALLYPORT_CONFIRM_EMAIL=" + confirm, proxied,
			"SALLYPORT_PASSWORD_HASHER=bcrypt", "SALLYPORT_BCRYPT_LOG_ROUNDS=4"}
		c.nodes = append(c.nodes, in.node(t))
	}
	return c
}

// at is a caller of one of the processes, from an address that nobody had before:
// what is limited for an address is not what is raced for.
func (c *crowd) at(k int) *caller {
	n := c.names.Add(1)
	return &caller{node: c.nodes[k%len(c.nodes)], from: fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)}
}

// address is one that nobody has.
func (c *crowd) address() harness.Person {
	return harness.Person{Email: fmt.Sprintf("rival%d@example.com", c.names.Add(1)), Password: phrase}
}

// person has an account, whose address is proven.
func (c *crowd) person(t testing.TB) harness.Person {
	t.Helper()
	// The command takes one word for a password.
	who := harness.Person{Email: c.address().Email, Password: strings.ReplaceAll(phrase, " ", "-")}
	must(t, c.nodes[0].command("user %s %s", who.Email, who.Password))
	return who
}

// safe is a person with an authenticator app, its key and the recovery codes.
func (c *crowd) safe(t testing.TB) (who harness.Person, key string, codes []string) {
	t.Helper()
	who = c.person(t)
	own := c.at(0)
	own.login(t, who)
	key = own.want(t, "/auth/totp/enroll", object{"name": "Phone"}).Data.Secret
	codes = own.want(t, "/auth/totp/verify-enrollment", object{"code": harness.TOTP(t, key, time.Now())}).Data.RecoveryCodes
	return who, key, codes
}

// keyed is a person with a passkey.
func (c *crowd) keyed(t testing.TB) (harness.Person, *harness.Authenticator) {
	t.Helper()
	who, own := c.person(t), c.at(0)
	own.login(t, who)
	a := harness.NewAuthenticator(t, own.node.in.issuer)
	options := own.want(t, "/auth/webauthn/register/begin", object{})
	own.want(t, "/auth/webauthn/register/complete", object{"name": "Key", "credential": json.RawMessage(a.Create(t, options.Raw))})
	return who, a
}

// halves are callers who have typed a person's password: each in a session of its
// own, or all in the same.
func (c *crowd) halves(t testing.TB, who harness.Person, shared bool) []*caller {
	t.Helper()
	all := make([]*caller, rivals)
	for k := range all {
		all[k] = c.at(k)
		if shared && k > 0 {
			all[k].from, all[k].token = all[0].from, all[0].token
		} else if r := all[k].login(t, who); !r.Data.MFARequired {
			t.Fatal("the password alone signs in")
		}
	}
	return all
}

// mailed waits for a mail to an address and returns the token of its link.
func (c *crowd) mailed(t testing.TB, email, path string) string {
	t.Helper()
	link := c.nodes[0].in.issuer + path + "?token="
	for end := time.Now().Add(time.Minute); ; <-time.After(5 * time.Millisecond) {
		_, body := c.nodes[0].get("/dev/mail?format=json")
		var letters []struct{ To, Text string }
		must(t, json.Unmarshal([]byte(body), &letters))
		for _, l := range letters {
			for line := range strings.Lines(l.Text) {
				if token, ok := strings.CutPrefix(strings.TrimSpace(line), link); ok && l.To == email {
					return token
				}
			}
		}
		if time.Now().After(end) {
			t.Fatalf("there is no mail to %s with a link to %s", email, path)
		}
	}
}

// single is the place of the one that succeeds. The others are told no, not that
// something broke.
func single(t testing.TB, got []*reply) int {
	t.Helper()
	var won []int
	for k, r := range got {
		switch r.Status {
		case http.StatusOK:
			won = append(won, k)
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusConflict, http.StatusTooManyRequests:
		default:
			t.Errorf("a loser gets %d", r.Status)
		}
	}
	if len(won) != 1 {
		t.Fatalf("%d of %d succeed, want exactly 1", len(won), rivals)
	}
	return won[0]
}

// wantSignedIn checks that the one success is a whole session, at both processes.
func (c *crowd) wantSignedIn(t testing.TB, from string, r *reply) {
	t.Helper()
	for k := range c.nodes {
		in := c.at(k)
		in.from, in.token = from, r.Data.Token
		if got := in.call(t, "/users/me", nil); got.Status != http.StatusOK {
			t.Errorf("the one who has signed in gets %d", got.Status)
		}
	}
}

// MF-01, WA-01: of sixteen who show one proof at once to two processes, one
// succeeds.
func TestOneOfManyWithTheSameProofSucceeds(t *testing.T) {
	c := newCrowd(t)
	for _, kind := range []struct {
		name  string
		round func(t testing.TB, c *crowd, i int)
	}{
		{"code of an app", raceTOTP}, {"recovery code", raceRecoveryCode}, {"passkey", racePasskey}, {"security key", raceSecurityKey},
		{"reset link", raceReset}, {"verification link", raceVerification}, {"registration link", raceRegistration},
	} {
		t.Run(kind.name, func(t *testing.T) {
			begin, n := time.Now(), size(4, 100)
			for i := range n {
				kind.round(t, c, i)
			}
			t.Logf("%d × %d at once on 2 processes: 1 success each, in %v", n, rivals, time.Since(begin).Round(time.Millisecond))
		})
	}
}

// The code is shown in sixteen sessions of those who know the password, or sixteen
// times in one.
func raceTOTP(t testing.TB, c *crowd, i int) {
	who, key, _ := c.safe(t)
	all := c.halves(t, who, i%2 == 1)
	// The step of now was used up for enrolling: the next is good already.
	code := harness.TOTP(t, key, time.Now().Add(30*time.Second))
	got := race(t, rivals, func(t testing.TB, k int) *reply { return all[k].call(t, "/auth/totp/verify", object{"code": code}) })
	won := single(t, got)
	c.wantSignedIn(t, all[won].from, got[won])
}

func raceRecoveryCode(t testing.TB, c *crowd, i int) {
	who, _, codes := c.safe(t)
	all := c.halves(t, who, i%2 == 1)
	got := race(t, rivals, func(t testing.TB, k int) *reply {
		return all[k].call(t, "/auth/recovery-codes/verify", object{"code": codes[0]})
	})
	won := single(t, got)
	c.wantSignedIn(t, all[won].from, got[won])
	all[won].token = got[won].Data.Token
	if left := all[won].want(t, "/auth/recovery-codes", nil).Data.Left; left != len(codes)-1 {
		t.Errorf("%d recovery codes are left, want %d", left, len(codes)-1)
	}
}

// An answer to a challenge that names no user signs its user in, once.
func racePasskey(t testing.TB, c *crowd, i int) {
	_, a := c.keyed(t)
	options := c.at(i).want(t, "/auth/webauthn/login/begin", object{})
	answer := object{"ceremony": options.Data.Ceremony, "credential": json.RawMessage(a.Get(t, options.Raw)), "token": true}
	all := make([]*caller, rivals)
	got := race(t, rivals, func(t testing.TB, k int) *reply {
		all[k] = c.at(k)
		return all[k].call(t, "/auth/webauthn/login/complete", answer)
	})
	won := single(t, got)
	c.wantSignedIn(t, all[won].from, got[won])
}

// A challenge as the second step is of one session.
func raceSecurityKey(t testing.TB, c *crowd, _ int) {
	who, a := c.keyed(t)
	all := c.halves(t, who, true)
	options := all[0].want(t, "/auth/webauthn/login/begin", object{})
	answer := object{"credential": json.RawMessage(a.Get(t, options.Raw))}
	got := race(t, rivals, func(t testing.TB, k int) *reply { return all[k].call(t, "/auth/webauthn/login/complete", answer) })
	c.wantSignedIn(t, all[0].from, got[single(t, got)])
}

// Each wants another password; the one who succeeds has it.
func raceReset(t testing.TB, c *crowd, i int) {
	who := c.person(t)
	c.at(i).want(t, "/auth/forgot-password", object{"email": who.Email})
	token := c.mailed(t, who.Email, "/recover/reset")
	got := race(t, rivals, func(t testing.TB, k int) *reply {
		return c.at(k).call(t, "/auth/reset-password", object{"token": token, "password": fmt.Sprint(phrase, " ", k)})
	})
	won := single(t, got)
	for _, k := range []int{won, (won + 1) % rivals} {
		r := c.at(k).call(t, "/auth/login", object{"email": who.Email, "password": fmt.Sprint(phrase, " ", k), "token": true})
		if want := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[k == won]; r.Status != want {
			t.Errorf("the password of rival %d, where %d succeeded, gets %d, want %d", k, won, r.Status, want)
		}
	}
}

// A link that makes the account.
func raceRegistration(t testing.TB, c *crowd, _ int) { raceProof(t, c, 0) }

// A link that proves the address of an account that is there.
func raceVerification(t testing.TB, c *crowd, _ int) { raceProof(t, c, 1) }

// raceProof registers at one process and follows the mailed link from everywhere:
// every other rival knows the password of the registration. Whether it counts is
// decided by the one who succeeds.
func raceProof(t testing.TB, c *crowd, node int) {
	t.Helper()
	who := c.address()
	c.at(node).want(t, "/auth/register", object{"email": who.Email, "password": who.Password, "name": "Rival", "token": true})
	token := c.mailed(t, who.Email, "/verify")
	got := race(t, rivals, func(t testing.TB, k int) *reply {
		return c.at(k).call(t, "/auth/verify-email", object{"token": token, "password": []string{"", who.Password}[k/2%2]})
	})
	won := got[single(t, got)].Data
	r := c.at(0).call(t, "/auth/login", object{"email": who.Email, "password": who.Password, "token": true})
	if (r.Status == http.StatusOK) == won.PasswordRequired {
		t.Errorf("the password gets %d after a proof that says password_required: %v", r.Status, won.PasswordRequired)
	}
	if won.PasswordRequired {
		c.at(1).want(t, "/auth/reset-password", object{"token": won.PasswordToken, "password": "nine quiet badgers dig"})
	}
}
