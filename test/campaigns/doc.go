// Package campaigns holds the promises that only show under fire: true processes
// that share a database, are killed with SIGKILL, lose their database connections
// or their Redis, and race each other for one code. Its tests start the server by
// running their own binary again (main_test.go), so that killing it kills what an
// operator runs and nothing of the test.
//
// `make test` runs each campaign small; `make campaign`, which sets
// SALLYPORT_TEST_FULL=1, runs it with the numbers below.
//
//	campaign                                            make test   make campaign
//	codes × 8 redeemers on two processes                      150            1000
//	codes × 1 right and 2 wrong verifiers                      60             300
//	refresh families × 8 refreshers on two processes           30             200
//	rounds of refreshing each family                            3               5
//	rounds of 16 tabs of one browser                           10              50
//	proofs of each kind × 16 rivals on two processes            4             100
//	kill -9 under load, for each engine                         3              20
//	seconds of load while connections are cut                   3              10
//	tables that are locked, one after the other                 1               3
//	locks of 5 s under the load of two nodes                    1               6
//	rounds of silent, and of read-only connections              1               3
//	families refreshed behind PgBouncer                        16              64
//	rounds of requests whose writes lose                       40             200
//	starts of three nodes on an empty database                  1              10
//	restarts of two nodes behind a proxy under load             4              50
package campaigns
