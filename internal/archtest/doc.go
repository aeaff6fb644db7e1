// Package archtest holds the import table: which package of this module may import which others, and which libraries
// only few packages may import. Its tests read every Go file of the module and fail on an import that the table does not
// allow, on files that are too long, on functions that run before main, and on paths in CONTRIBUTING.md that do not
// exist.
package archtest
