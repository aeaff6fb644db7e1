package app

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// certificatePoll is how often the files are read again: a renewed certificate is served within a minute.
const certificatePoll = 20 * time.Second

// certificate is the TLS certificate of TLS_CERT and TLS_KEY. It follows the files: what renews certificates replaces
// them, often one after the other, or changes a symbolic link to their folder, as Kubernetes does.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	served atomic.Pointer[tls.Certificate]
	fault  atomic.Pointer[string] // why the files as they are now are not served; nil if they are

	// Of the last read, so that files that did not change are not parsed and a fault is logged once.
	lastCert, lastKey []byte
	lastErr           string
}

// loadCertificate reads the files, which must be a pair.
func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("TLS_CERT and TLS_KEY: %w", err)
	}
	return c, nil
}

// read serves the files as they are now if they are a pair and not the one that is served already.
func (c *certificate) read() error {
	cert, certErr := os.ReadFile(c.certFile)
	key, keyErr := os.ReadFile(c.keyFile)
	if err := errors.Join(certErr, keyErr); err != nil {
		c.lastCert, c.lastKey = nil, nil // what comes back is looked at again
		return err
	}
	if bytes.Equal(cert, c.lastCert) && bytes.Equal(key, c.lastKey) {
		if c.lastErr != "" {
			return errors.New(c.lastErr)
		}
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key) // parses the leaf too, and its errors quote no key
	c.lastCert, c.lastKey, c.lastErr = cert, key, ""
	if err != nil {
		c.lastErr = err.Error()
		return err
	}
	c.served.Store(&pair)
	return nil
}

// look reads the files again. Files that cannot be used change nothing: a proxy or browser is better served the
// certificate from before, which mostly has weeks to go.
func (c *certificate) look() {
	before, fault := c.served.Load(), c.fault.Load()
	err := c.read()
	if err != nil {
		sentence := err.Error()
		if fault == nil || *fault != sentence {
			c.log.Error("TLS_CERT and TLS_KEY cannot be used; the certificate from before is served", "error", sentence, "served_until", before.Leaf.NotAfter)
		}
		c.fault.Store(&sentence)
		return
	}
	c.fault.Store(nil)
	switch now := c.served.Load(); {
	case now != before:
		c.log.Info("TLS_CERT and TLS_KEY have changed and are served", "served_until", now.Leaf.NotAfter)
	case fault != nil:
		c.log.Info("TLS_CERT and TLS_KEY are again what is served", "served_until", now.Leaf.NotAfter)
	}
}

// health is "ok", or what is wrong with the certificate at that time.
func (c *certificate) health(now time.Time) string {
	leaf := c.served.Load().Leaf
	switch {
	case now.After(leaf.NotAfter):
		return "the certificate has expired"
	case now.Before(leaf.NotBefore):
		return "the certificate is not valid yet"
	case c.fault.Load() != nil:
		return "TLS_CERT and TLS_KEY cannot be used; the certificate from before is served"
	}
	return "ok"
}

// listener speaks TLS on l: 1.2 with forward secrecy and authenticated ciphers only, and 1.3.
func (c *certificate) listener(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.served.Load(), nil },
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		}})
}
