package limit

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// Strangers share the budget of their network. A person or a browser that has signed in
// has one of its own, and a cookie that was made up is no such browser.
func TestFlowsAreCountedForWhoIsKnown(t *testing.T) {
	s := newSite(t)
	g := s.node()
	device, err := s.guess(g, "bob", "192.0.2.1", "", true)
	if err != nil {
		t.Fatal(err)
	}
	budget := func(device string, person uuid.UUID, address string) storage.FlowBudget {
		return g.FlowBudget(person, source(g, device, netip.MustParseAddr(address)))
	}
	network := budget("", uuid.Nil, "192.0.2.1")
	if network.Unfinished != 2000 || network.New.Limit != 300 || network.New.Hash != network.CountedFor {
		t.Errorf("a network has %+v, want 2000 unfinished and 300 new ones", network)
	}
	bob := uuid.New()
	for name, known := range map[string]storage.FlowBudget{
		"a device": budget(device, uuid.Nil, "192.0.2.1"), "a person": budget("", bob, "192.0.2.1"),
	} {
		if known.CountedFor == network.CountedFor || !known.New.Hash.IsZero() {
			t.Errorf("%s shares the network's budget: %+v", name, known)
		}
	}
	if budget(device, uuid.Nil, "198.51.100.9").CountedFor != budget(device, uuid.Nil, "192.0.2.1").CountedFor {
		t.Error("a device is another one at another address")
	}
	token, earned, _ := strings.Cut(device, ".")
	parts := strings.Split(earned, ".")
	other := strings.Repeat("A", len(token))
	for name, forged := range map[string]string{
		"the token alone":                token,
		"the part of one account":        token + "." + parts[0],
		"another token":                  other + "." + earned,
		"a part that was changed":        token + "." + parts[1][:len(parts[1])-3] + "AAA",
		"a part of zeros":                token + "." + strings.Repeat("A", len(parts[1])),
		"the part twice, one of another": other + "." + parts[1] + "." + parts[1],
	} {
		if budget(forged, uuid.Nil, "192.0.2.1").CountedFor != network.CountedFor {
			t.Errorf("%s is taken for a device that has signed in", name)
		}
	}
	home := budget("", uuid.Nil, "2001:db8:1:2::3")
	if home != budget("", uuid.Nil, "2001:db8:1:2:ffff::1") || home == budget("", uuid.Nil, "2001:db8:1:3::3") {
		t.Error("the network of an IPv6 address is not its /64")
	}
	if budget("", uuid.Nil, "::ffff:192.0.2.1") != network {
		t.Error("an IPv4 address within IPv6 is another network")
	}
}

// Public clients share the budget of a network, confidential ones have their own.
func TestPushesAreCountedForWhoPushes(t *testing.T) {
	g := newSite(t).node()
	push := func(id, method, address string) storage.Budget {
		c := &storage.Client{ID: id}
		c.Metadata.TokenEndpointAuthMethod = method
		return g.PushBudget(c, netip.MustParseAddr(address))
	}
	public, confidential := push("app", "none", "192.0.2.1"), push("web", "private_key_jwt", "192.0.2.1")
	if public.Limit != 300 || public != push("other", "none", "192.0.2.1") || public == push("app", "none", "192.0.2.2") {
		t.Errorf("public clients have %+v", public)
	}
	if confidential.Limit != 6000 || confidential != push("web", "private_key_jwt", "192.0.2.2") || confidential == push("other", "private_key_jwt", "192.0.2.1") {
		t.Errorf("a confidential client has %+v", confidential)
	}
}
