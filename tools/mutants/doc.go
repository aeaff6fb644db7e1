// Command mutants takes guards out of the code, one at a time, and runs the test that must notice:
//
//	go run -C tools ./mutants                   all of them
//	go run -C tools ./mutants -list             only look for each guard in the code
//	go run -C tools ./mutants -run 'a code'     those whose name contains that text
//	go run -C tools ./mutants -from 20          those from number 20 on, to go on after an interruption
//	go run -C tools ./mutants -C /tmp/checkout  in another checkout
//
// No file is changed: the compiler reads the mutant through go test -overlay. The tests must be green without mutants;
// they need what all tests of the repository need (make mutants starts it). The outcome of each is
//
//	caught         a test fails without the guard
//	SURVIVED       no test notices: one is missing
//	LOST           the guard's text is not in its file exactly once, or no test ran: update the row in guards.go
//	BROKEN         the code does not compile without the guard: write another replacement
//
// A row of guards.go is to be chosen so that only the guard goes and the code still compiles. Where two guards watch
// over the same thing, such as the read before a change and the statement that makes it, the test is one that reaches
// the mutated one alone.
package main
