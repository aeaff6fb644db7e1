package factor

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
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

// A code, a challenge and a name have their length looked at before anything is made of them.
func TestEveryTypedValueIsMeasuredFirst(t *testing.T) {
	for text, long := range megabytes {
		for what, refused := range map[string]func() bool{
			"code of an app":   func() bool { _, ok := digits(long); return !ok },
			"code in spaces":   func() bool { _, ok := digits(long[:1] + " 123456"); return !ok },
			"recovery code":    func() bool { _, ok := normal(long); return !ok },
			"name of a factor": func() bool { return len([]rune(clean(long))) <= maxName },
			"challenge's bytes": func() bool {
				_, err := challenges{now: time.Now}.take(long, "x", secret.HashOf("b"), uuid.Nil)
				return err != nil
			},
		} {
			var ok bool
			if got := memoryOf(func() { ok = refused() }); !ok || got > 64<<10 {
				t.Errorf("%s of 1 MB of %s: %d bytes of memory, want at most 64 KiB; refused: %t", what, text, got, ok)
			}
		}
	}
}
