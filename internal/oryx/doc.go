// Package oryx stands in for github.com/ory/x in the build of fosite: go.mod
// replaces that module by this one.
//
// fosite needs two helpers of it, and through them the original brings clients of
// three tracing systems, gRPC and an ORM into the program. This one has just those
// helpers, written anew. docs/decisions has the reasons and the figures.
package oryx
