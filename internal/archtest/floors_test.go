package archtest

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// floors are the lowest versions without a known hole of libraries that other libraries bring along. go.mod has them as
// indirect lines, which look as if nothing needed them.
var floors = map[string]string{
	"github.com/go-jose/go-jose/v3": "v3.0.5", // CVE-2025-27144, CVE-2026-34986; fosite asks for v3.0.3
	"github.com/go-jose/go-jose/v4": "v4.1.4", // CVE-2026-34986
}

func TestLibrariesStayAboveTheirKnownHoles(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Version}}", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		path, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		if floor := floors[path]; floor != "" && below(version, floor) {
			t.Errorf("%s is %s, want at least %s", path, version, floor)
		}
	}
}

// below compares vMAJOR.MINOR.PATCH.
func below(version, floor string) bool {
	v, f := strings.Split(strings.TrimPrefix(version, "v"), "."), strings.Split(strings.TrimPrefix(floor, "v"), ".")
	for i := range f {
		if i >= len(v) {
			return true
		}
		a, _ := strconv.Atoi(v[i])
		b, _ := strconv.Atoi(f[i])
		if a != b {
			return a < b
		}
	}
	return false
}
