package api

import (
	"strings"
	"testing"
)

// megabytes are texts of 1 MB and more that cost much to normalize.
var megabytes = map[string]string{
	"combining marks": "e" + strings.Repeat("\u0301", 500_000), "ligatures": strings.Repeat("\ufb03", 350_000),
	"not text": strings.Repeat("\xff", 1<<20), "letters": strings.Repeat("a", 1<<20),
}

// A response repeats only the beginning of a name that the request has.
func TestALongNameIsNotRepeatedWhole(t *testing.T) {
	for text, long := range megabytes {
		if err := checkBody([]byte(`{"`+long+`":1}`), nil); err == nil || len(err.Error()) > 4096 {
			t.Errorf("1 MB of %s is taken for the name of a member", text)
		}
	}
}
