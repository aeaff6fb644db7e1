// Package manifest reads a clients.yaml, compares it with the registry of clients and resources, and makes the registry
// what the file says.
//
// The way of a file: Read makes a File, with every fault at its line (manifest.go, yaml.go). Planner.Plan compares it
// with one version of the registry (plan.go, planclient.go, planresource.go): each difference becomes a Change that
// knows how to make itself. Planner.Apply makes the changes in one transaction that fails if the registry has another
// version by then, and compares again. Planner.Export is the way back (export.go).
//
// The rules for a registration are identity's: CheckMetadata, CheckScopes, CheckResource. What the file owns is marked
// in the registry, so that a client it names no more is disabled and not deleted.
package manifest
