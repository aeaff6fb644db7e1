package relyingparties

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

const apacheModules = "/usr/lib/apache2/modules"

// apacheConfig protects /private with mod_auth_openidc; its page shows what the
// module tells an application. Arguments: folder, modules, port, issuer.
const apacheConfig = `
ServerRoot "%[1]s"
ServerName localhost
Listen 127.0.0.1:%[3]s
PidFile "%[1]s/pid"
ErrorLog "%[1]s/error.log"
LogLevel warn auth_openidc:info
DefaultRuntimeDir "%[1]s"
Mutex sem
LoadModule mpm_event_module %[2]s/mod_mpm_event.so
LoadModule authn_core_module %[2]s/mod_authn_core.so
LoadModule authz_core_module %[2]s/mod_authz_core.so
LoadModule authz_user_module %[2]s/mod_authz_user.so
LoadModule dir_module %[2]s/mod_dir.so
LoadModule mime_module %[2]s/mod_mime.so
LoadModule filter_module %[2]s/mod_filter.so
LoadModule include_module %[2]s/mod_include.so
LoadModule auth_openidc_module %[2]s/mod_auth_openidc.so
TypesConfig /dev/null
AddType text/html .html
DocumentRoot "%[1]s/site"
<Directory "%[1]s/site">
	Options +Includes
	SetOutputFilter INCLUDES
</Directory>

OIDCProviderMetadataURL %[4]s/.well-known/openid-configuration
OIDCClientID ` + webID + `
OIDCClientSecret ` + webSecret + `
OIDCRedirectURI http://localhost:%[3]s/private/callback
OIDCCryptoPassphrase f1Yk8mQ2sZ
OIDCScope "` + scopes + `"
OIDCPKCEMethod S256
OIDCRemoteUserClaim email
OIDCPassRefreshToken On
OIDCPassIDTokenAs claims payload
<Location "/private">
	AuthType openid-connect
	Require valid-user
</Location>
`

const apachePage = `<!doctype html><title>Private</title><dl id="claims">
<dt>REMOTE_USER</dt><dd><!--#echo encoding="entity" var="REMOTE_USER" --></dd>
<dt>ORG</dt><dd><!--#echo encoding="entity" var="OIDC_CLAIM_org_slug" --></dd>
<dt>ROLES</dt><dd><!--#echo encoding="entity" var="OIDC_CLAIM_org_roles" --></dd>
<dt>ISS</dt><dd><!--#echo encoding="entity" var="OIDC_CLAIM_iss" --></dd>
<dt>AUD</dt><dd><!--#echo encoding="entity" var="OIDC_CLAIM_aud" --></dd>
<dt>NONCE</dt><dd><!--#echo encoding="entity" var="OIDC_CLAIM_nonce" --></dd>
<dt>TOKEN</dt><dd><!--#echo encoding="entity" var="OIDC_access_token" --></dd>
</dl>
`

// startApache starts an Apache of its own for an issuer, as nobody if the test is
// root, and returns its URL. It ends with the test.
func startApache(t *testing.T, issuer string) string {
	t.Helper()
	apache, err := exec.LookPath("apache2")
	if err != nil {
		apache = "/usr/sbin/apache2"
	}
	for _, needed := range []string{apache, filepath.Join(apacheModules, "mod_auth_openidc.so")} {
		if _, err := os.Stat(needed); err != nil {
			t.Fatalf("%v: run `make test`, which installs apache2 and libapache2-mod-auth-openidc on Debian", err)
		}
	}
	// Not t.TempDir: nobody could not enter it.
	dir, err := os.MkdirTemp("", "sallyport-apache-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	port := freePort(t)
	for name, content := range map[string]string{
		"apache.conf":             fmt.Sprintf(apacheConfig, dir, apacheModules, port, issuer),
		"site/private/index.html": apachePage,
		"site/signed-out":         `<!doctype html><title>Signed out</title><p id="bye">bye</p>`,
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// -X: one process, which does not go into the background.
	cmd := exec.Command(apache, "-X", "-d", dir, "-f", filepath.Join(dir, "apache.conf"))
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C"}
	cmd.SysProcAttr = unprivileged(t, dir)
	said := &harness.Log{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("Apache:\n%s%s", said, log)
		}
	})
	awaitPort(t, port, ended)
	return "http://localhost:" + port
}

// unprivileged makes a process nobody's if we are root, which Apache refuses to
// stay, and gives it the folder.
func unprivileged(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// freePort is one that was free a moment ago; Apache opens it itself.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// awaitPort waits until a server answers, at most half a minute while it lives.
func awaitPort(t *testing.T, port string, ended <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-ended:
			t.Fatal("Apache has ended")
		case <-ctx.Done():
			t.Fatalf("Apache does not answer: %v", err)
		case <-tick.C:
		}
	}
}

// A page behind mod_auth_openidc: in, refreshed, out.
func TestModAuthOpenIDC(t *testing.T) {
	s := harness.Start(t, storage.Postgres, harness.Options{})
	app := startApache(t, s.Issuer)
	register(t, s, app, strings.ReplaceAll(webClient, "URL/callback", "URL/private/callback"))
	tab := harness.Chromium(t)
	journey(t, tab, app+"/private/", harness.Bob)
	if got := tab.Location(t); got != app+"/private/" {
		t.Fatalf("signing in ends at %s, want %s/private/\n%s", got, app, tab.Text(t, "body"))
	}
	told := claims(t, tab)
	for name, want := range map[string]string{"REMOTE_USER": harness.Bob.Email, "ORG": "acme-corp", "ROLES": "member", "ISS": s.Issuer, "AUD": webID} {
		if told[name] != want {
			t.Errorf("the application is told %s = %q, want %q", name, told[name], want)
		}
	}
	if len(told["NONCE"]) < 16 {
		t.Errorf("nonce is %q, want the module's", told["NONCE"])
	}

	tab.Open(t, app+"/private/callback?"+url.Values{"refresh": {app + "/private/"}, "access_token": {told["TOKEN"]}}.Encode())
	if fresh := claims(t, tab); fresh["TOKEN"] == told["TOKEN"] || !strings.HasPrefix(fresh["TOKEN"], "sp_at_") || fresh["REMOTE_USER"] != harness.Bob.Email {
		t.Errorf("after a refresh the application is told %v", fresh)
	}

	tab.Open(t, app+"/private/callback?"+url.Values{"logout": {app + "/signed-out"}}.Encode())
	tab.Wait(t, "#bye")
	tab.Open(t, app+"/private/")
	tab.Wait(t, "form#login")
}

// claims reads the protected page.
func claims(t *testing.T, tab *harness.Tab) map[string]string {
	t.Helper()
	told := map[string]string{}
	tab.Wait(t, "#claims")
	tab.Eval(t, `Object.fromEntries([...document.querySelectorAll("dt")].map(d => [d.innerText, d.nextElementSibling.innerText]))`, &told)
	return told
}
