// Package harness starts the true server for tests: app.Open and app.NewServer on
// a real database behind a real listener, with an injected clock, and a browser
// and a relying party to speak to it by HTTP. Nothing of ours is faked.
//
//	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
//		rp := s.Portal()
//		tokens := rp.SignIn(t, s.Browser(t), harness.Bob, nil)
//		…
//	})
//
// PostgreSQL and Redis come from SALLYPORT_TEST_POSTGRES_URL and
// SALLYPORT_TEST_REDIS_URL, which `make test` sets; a test that needs one that is
// not set fails and says so.
package harness
