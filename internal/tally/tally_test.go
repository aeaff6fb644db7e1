package tally

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// Failures are written once, one event a person, client or nobody, and wait for a
// database that is away.
func TestFailuresAreWrittenOnce(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	store, err := storage.Open(t.Context(), storage.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "test.db"), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := New(store, clock)
	from := netip.MustParseAddr("192.0.2.7")
	person, client, nobody := Subject{Event: "sign_in.failed", User: uuid.Must(uuid.NewV7())}, Subject{Event: "client.authentication_failed", Client: "app"}, Subject{Event: "sign_in.failed"}
	for range 10 {
		all.Failed(person, from)
	}
	for range 2 {
		all.Throttled(nobody, from)
	}
	all.Throttled(client, netip.Addr{})
	f := all.all[person]
	if f == nil || f.failed != 10 || len(f.addresses) != 1 || all.all[nobody].throttled != 2 || all.all[client].throttled != 1 {
		t.Fatalf("got %+v", all.all)
	}
	e := f.event(person)
	if e.User != person.User || e.Facts["failed"] != 10 || e.Personal["addresses"] != "192.0.2.7" || !e.At.Equal(now) {
		t.Errorf("event: %+v", e)
	}
	if err := all.Flush(t.Context()); err != nil || len(all.all) != 0 {
		t.Errorf("Flush: %v; %d would be written twice", err, len(all.all))
	}
	all.Failed(person, from)
	store.Close()
	if err := all.Flush(t.Context()); err == nil || all.all[person] == nil {
		t.Errorf("what could not be written is lost; error %v", err)
	}
}
