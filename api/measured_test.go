package api

import (
	"runtime"
	"strings"
	"testing"
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

// What an answer repeats of a request is cut without the work of taking all of it apart.
func TestALongNameIsClippedCheaply(t *testing.T) {
	for text, long := range megabytes {
		var short string
		if got := memoryOf(func() { short = clipped(long) }); got > 64<<10 || len([]rune(short)) != maxEchoed+1 {
			t.Errorf("1 MB of %s: %d bytes of memory, want at most 64 KiB; %d characters", text, got, len([]rune(short)))
		}
		if err := checkShape([]byte(`{"`+long+`":1}`), nil); err == nil || len(err.Error()) > 4096 {
			t.Errorf("1 MB of %s is taken for the name of a member", text)
		}
	}
}
