// Command figures measures the Go code of a checkout, so that two commits can be compared by the same rules:
//
//	go run -C tools ./figures                     this checkout
//	go run -C tools ./figures -C /tmp/before      another one, such as an unpacked git archive
//
// It reads the main module's files: not testdata, hidden folders, or modules of their own (tools). Product means all
// packages but internal/harness, internal/samplerp, test/... and the samples of templates, which no server needs.
//
//	lines        physical lines, blank ones included
//	statements   nodes of go/ast that are statements, function literals included; blocks, case and communication
//	             clauses, labels and empty statements are not counted, their contents are
//	one-stmt     functions and methods that contain exactly one statement
//	cyclomatic   1, and 1 for each if, for, case, communication clause, && and ||
//	long lines   characters without the text of string literals; a tab is one
//	documented   exported functions and methods, and all exported names, that have a doc comment
//	misnamed     doc comments of functions that begin with another word than the function's name
//	interfaces   named interface types with at least one method, and their methods
//	clones       pairs of places in function bodies of non-test files whose tokens agree for at least 70 tokens, any
//	             identifier standing for any other and any literal for any other; a place is counted with its longest
//	             partner only
//
// The walk of a password is what a reader passes who follows the handler of POST /login until argon2 is called. A
// function of the module that leads to argon2 is read whole, in the order of its source and with its function literals;
// the others that it calls are looked at, and what they call in turn is not. The second walk goes into those, too, each
// function once. A branch that ends in a return is passed over unless it alone leads to argon2: it is a refusal, or
// another case. A call of an interface's method goes to its implementation where there is only one. Deferred calls,
// libraries and values of function type are not followed.
//
// A station is a function that was read or looked at; files are those that the stations lie in; a return is a coming
// back from a function of another package, after which the reader goes on to a further station.
//
// The bounds are what the code keeps to: see bounds.go. With -strict the command fails if one is exceeded. The page
// docs/decisions/0040-renames.md has the names that the code had before; a name counts as declared again if its package
// declares a top-level name, a method (package.Type.method) or a field (package.Type.Field) of that name.
package main
