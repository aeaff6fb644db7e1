package peers

import (
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// startJar starts target/app.jar.
func startJar(t *testing.T, dir string, p place) *harness.Log {
	t.Helper()
	return run(t, dir, p, "/", "java", "-jar", "target/app.jar")
}

// springAttempts show an access token to a resource server too, which must know typ at+jwt (RFC 9068 section 2.1). typ is
// what Spring says when it does not.
func springAttempts(typ string) []attempt {
	return []attempt{
		{settings: "as it comes"},
		{settings: "API with JWTs as it comes: refuses them", client: "access_token_format: jwt",
			environ: []string{"CALL_API=1"}, shows: typ},
		{settings: "API with JWTs, createAtJwtValidator", client: "access_token_format: jwt",
			environ: []string{"CALL_API=1", "AT_JWT=1"}, shows: "api 200"},
	}
}

var javaPeers = []peer{
	{
		folder: "spring-boot", lock: "pom.xml", version: `<boot.version>(4[^<]+)`,
		login: "/oauth2/authorization/sallyport", callback: "/login/oauth2/code/sallyport",
		install: func(t *testing.T, folder string) string { return maven(t, folder) }, start: startJar,
		attempts: springAttempts("the given typ value needs to be one of [JWT]"),
	},
	{
		folder: "spring-boot", lock: "pom.xml", version: `<boot.version>(3[^<]+)`,
		login: "/oauth2/authorization/sallyport", callback: "/login/oauth2/code/sallyport",
		install: func(t *testing.T, folder string) string { return maven(t, folder, "-Pboot3") }, start: startJar,
		attempts: springAttempts("JOSE header typ (type) at+jwt not allowed"),
	},
}
