package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
)

// lines is what a running program writes; written is told after each write.
type lines struct {
	bytes.Buffer
	written func(text string)
}

func (l *lines) Write(p []byte) (int, error) {
	n, err := l.Buffer.Write(p)
	l.written(l.String())
	return n, err
}

// A person who finds another address than the one that was set, or than the one in the guide, is told why.
func TestTheDemoSaysWhatItDoesNotUse(t *testing.T) {
	emptyFolder(t)
	var taken []string
	for _, address := range []string{"127.0.0.1:5000", "127.0.0.1:5002"} {
		l, err := net.Listen("tcp", address)
		if err == nil {
			defer l.Close()
		} // else another program has it, which is the same
		taken = append(taken, address[strings.LastIndex(address, ":")+1:])
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &lines{written: func(text string) {
		if strings.Contains(text, "Ctrl+C stops") {
			stop()
		}
	}}
	p := &program{in: strings.NewReader(""), out: out, err: &bytes.Buffer{}, environ: []string{"PORT=8080", "OIDC_ISSUER_URL=https://id.example.com", "HOME=/root"}}
	if code := p.run(ctx, []string{"demo", "--set", "ADMIN_LISTEN=127.0.0.1:9000", "--set", "BRAND_NAME=Acme"}); code != 0 {
		t.Fatalf("got exit code %d: %s%s", code, out, p.err)
	}
	want := []string{"do not apply to it: ADMIN_LISTEN, BRAND_NAME, ISSUER, LISTEN\n", "Sallyport is at http://localhost:"}
	for _, port := range taken {
		want = append(want, "Port "+port+" is taken")
	}
	for _, w := range want {
		if !strings.Contains(out.String(), w) {
			t.Errorf("got\n%s\nwant %q in it", out, w)
		}
	}
}
