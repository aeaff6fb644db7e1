package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// These are internals that tests of the package need.
const (
	MaxLine   = maxImportLine
	MaxFaults = maxImportFaults
	Batch     = importBatch
)

// A person who registers while a batch is written keeps their account unchanged, and the rest of the batch is imported.
func TestARegistrationDuringAnImport(t *testing.T) {
	store, err := storage.Open(t.Context(), storage.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	im := &run{Importer: New(Config{Store: store, Now: time.Now}), a: identity.Operator(), slugs: map[string]uuid.UUID{}}
	var batch []imported
	for n := range 3 {
		p, _, err := im.person(t.Context(), &importLine{Email: fmt.Sprintf("user%d@example.com", n)})
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, imported{n + 1, p})
	}
	if err := store.CreateUsers(t.Context(), batch[1].NewUser); err != nil {
		t.Fatal(err)
	}
	if err := im.oneByOne(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if im.done.Created != 2 || im.done.Skipped != 1 || im.done.Exists[0].Line != 2 {
		t.Errorf("got %+v", im.done)
	}
}

// No file makes the reader panic, loop or hear of a line beyond its end.
func FuzzReadImport(f *testing.F) {
	f.Add([]byte(`{"email":"x@example.com","organizations":{"a":"b"}}` + "\n\n{}"))
	f.Add([]byte("\ufeffemail,name\nx@example.com,\"X\nY\"\n,\n"))
	f.Add([]byte("["))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte("\r")) + 1
		last := 0
		err := readImport(bytes.NewReader(text), func(n int, l *importLine, faults identity.FieldErrors, at int64) error {
			if n < last || n > lines || (l == nil) != (len(faults) > 0) || at > int64(len(text)) {
				t.Errorf("line %d after %d of %d at %d: %+v, %v", n, last, lines, at, l, faults)
			}
			last = n
			return nil
		})
		if err != nil && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}
