package identity

import (
	"runtime"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/storage"
)

// memoryOf is how many bytes of memory do takes.
func memoryOf(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// megabytes are texts of 1 MB and more that cost much to normalize.
var megabytes = map[string]string{
	"combining marks": "e" + strings.Repeat("\u0301", 500_000), "ligatures": strings.Repeat("\ufb03", 350_000),
	"not text": strings.Repeat("\xff", 1<<20), "letters": strings.Repeat("a", 1<<20),
}

// Half a million scopes are refused for their length, with one fault and none for each.
func TestALongScopeIsOneFault(t *testing.T) {
	for _, scopes := range []string{strings.Repeat("a ", 500_000), "openid " + strings.Repeat("api:read ", 100_000), strings.Repeat("\u00e9 ", 2000), strings.Repeat("a", maxScopeBytes+1)} {
		m, faults := storage.Metadata{Scope: scopes, RedirectURIs: []string{"https://a.example/cb"}}, FieldErrors{}
		check := func() {
			faults = CheckMetadata("app", &m, true)
			CheckScopes(&faults, &m, func(string) bool { return true })
		}
		if got := memoryOf(check); got > 64<<10 || len(faults) != 1 || faults[0].Field != "scope" {
			t.Errorf("%.20s…: %d bytes of memory and %d faults, want one", scopes, got, len(faults))
		}
	}
}

// Whatever is typed has its length looked at before anything is made of it.
func TestEveryTypedValueIsMeasuredFirst(t *testing.T) {
	for text, long := range megabytes {
		patch := func(set func(p *ProfilePatch)) func() error {
			return func() error {
				p := &ProfilePatch{}
				set(p)
				_, err := p.Check()
				return err
			}
		}
		for what, check := range map[string]func() error{
			"email":     func() error { _, err := EmailKey(long); return err },
			"slug":      func() error { return CheckSlug(long) },
			"password":  func() error { return (&Passwords{}).Check(long, "bob@example.com") },
			"name":      patch(func(p *ProfilePatch) { p.Name = &long }),
			"website":   patch(func(p *ProfilePatch) { s := "https://a.example/" + long; p.Website = &s }),
			"birthdate": patch(func(p *ProfilePatch) { p.Birthdate = &long }),
			"zoneinfo":  patch(func(p *ProfilePatch) { p.Zoneinfo = &long }),
			"locale":    patch(func(p *ProfilePatch) { p.Locale = &long }),
			"phone":     patch(func(p *ProfilePatch) { p.PhoneNumber = &long }),
			"street":    patch(func(p *ProfilePatch) { p.Address = &storage.Address{StreetAddress: long} }),
			"client_id": func() error { f := CheckMetadata(long, &storage.Metadata{}, false); return f.err() },
			"column":    func() error { f := FieldErrors{}; f.Add("x", Clip(long), ""); return f.err() },
		} {
			var err error
			limit := uint64(64 << 10)
			if what == "website" {
				limit += 3 << 20 // the test's own text
			}
			if got := memoryOf(func() { err = check() }); err == nil || got > limit {
				t.Errorf("%s of 1 MB of %s: %d bytes of memory, want at most %d; refused: %t", what, text, got, limit, err != nil)
			}
		}
	}
}
