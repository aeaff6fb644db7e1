// Package campaigns holds the promises that only show under fire: true processes
// that share a database, are killed with SIGKILL, lose their database connections
// or their Redis, and race each other for one code. Its tests start the server by
// running their own binary again (main_test.go), so that killing it kills what an
// operator runs and nothing of the test.
//
// `make test` runs each campaign small; `make campaign`, which sets
// SALLYPORT_TEST_FULL=1, runs it with the numbers below.
//
//	campaign                                        make test    make campaign
//	codes × 8 redeemers on two processes                  150             1000
//	refresh families × 8 refreshers on two processes        30              200
//	kill -9 under load, for each engine                       3               20
//	seconds of load while connections are terminated          3               10
package campaigns
