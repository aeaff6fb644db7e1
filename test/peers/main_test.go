package peers

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// TestMain runs nothing unless `make peers` asks for it, because the tests install libraries from public registries.
func TestMain(m *testing.M) {
	if os.Getenv("SALLYPORT_TEST_PEERS") == "" {
		return
	}
	code := m.Run()
	harness.StopChromium()
	fmt.Print(results.table())
	os.Exit(code)
}

// results collects one line for each attempt.
var results outcome

type outcome struct {
	mu   sync.Mutex
	rows []string
}

func (o *outcome) add(library, settings, result string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rows = append(o.rows, fmt.Sprintf("%-30s %-50s %s\n", library, settings, result))
}

func (o *outcome) table() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.rows, "")
}
