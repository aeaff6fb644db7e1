// Package archtest holds the import table: which package of this module may
// import which, and which package alone opens the door to a library. Its test
// reads every Go file and fails on a line the table does not allow, so that the
// rooms of which CONTRIBUTING.md speaks stay apart.
package archtest
