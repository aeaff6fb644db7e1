package limit

import (
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// maxFlows is how many unfinished flows one network, device or person may have.
const maxFlows = 2000

var (
	flowsMinute  = window{"flows, minute", 300, time.Minute}
	publicPushes = window{"pushed requests of public clients, minute", 300, time.Minute}
	clientPushes = window{"pushed requests of a client, minute", 6000, time.Minute}
)

// FlowBudget is the budget for a flow that is about to be stored. It is that of the person
// who is signed in, uuid.Nil for nobody, or of a browser that has signed in before;
// those are never refused for what others do. Else it is that of the network.
func (g *Guard) FlowBudget(person uuid.UUID, from Source) storage.FlowBudget {
	switch {
	case person != uuid.Nil:
		return storage.FlowBudget{CountedFor: g.name(flowsMinute, "person", person.String()), Unfinished: maxFlows}
	case g.Devices.IsKnown(from.Device):
		return storage.FlowBudget{CountedFor: g.name(flowsMinute, "device", from.Device.Token), Unfinished: maxFlows}
	}
	made := g.rows(flowsMinute, prefix(from.Address))
	return storage.FlowBudget{CountedFor: made.Hash, Unfinished: maxFlows, New: made}
}

// PushBudget is the budget for a request that a client pushes: its own if it has shown who
// it is, else that of the network for all public clients.
func (g *Guard) PushBudget(c *storage.Client, address netip.Addr) storage.Budget {
	if c.Public() {
		return g.rows(publicPushes, prefix(address))
	}
	return g.rows(clientPushes, c.ID)
}

// rows is a window that is counted by the statement that writes the rows, always in the
// database: a round trip less than asking Redis first.
func (g *Guard) rows(w window, of string) storage.Budget {
	return storage.Budget{Hash: g.name(w, of), Limit: int(w.limit), Length: w.length}
}
