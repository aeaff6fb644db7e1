// Package importer creates people from a file of another system: JSON Lines or CSV, with the password hashes and the
// authenticator apps they have there.
//
// Importer.Import reads a file twice: first it checks every line, and changes nothing if one is wrong; then it creates
// people in batches. file.go reads the lines, importer.go applies the rules of package identity to each.
package importer
