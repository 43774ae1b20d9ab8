package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
)

// certificateLook is how often the files of the certificate are looked at.
const certificateLook = 10 * time.Second

// certificate is what the API's listener shows. It follows its files; one that cannot be used leaves the one before.
type certificate struct {
	files  config.TLS
	logger *zap.Logger
	shown  atomic.Pointer[tls.Certificate]

	reload chan struct{} // asks for a look at once
}

// openCertificate reads the certificate for the first time. What is wrong with it is a fault of the configuration.
func openCertificate(files config.TLS, logger *zap.Logger) (*certificate, error) {
	c := &certificate{files: files, logger: logger, reload: make(chan struct{}, 1)}
	if _, err := c.look(); err != nil {
		return nil, config.Faults{{Setting: "tls.cert_file and tls.key_file", Problem: "cannot be used: " + err.Error()}}
	}
	return c, nil
}

// look reads the files, and shows what they hold when that is new and can be used.
func (c *certificate) look() (changed bool, err error) {
	fresh, err := input.LoadKeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return false, err
	}
	shown := c.shown.Load()
	if shown != nil && slices.EqualFunc(shown.Certificate, fresh.Certificate, bytes.Equal) { // and so the key is the same
		return false, nil
	}
	c.shown.Store(&fresh)
	return true, nil
}

// follow looks at the files from time to time, and whenever it is told to, until ctx ends. Of one and the same trouble it
// speaks once.
func (c *certificate) follow(ctx context.Context) {
	tick := time.NewTicker(certificateLook)
	defer tick.Stop()
	trouble := ""
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-c.reload:
			asked = true
		}
		changed, err := c.look()
		switch {
		case err != nil && (asked || err.Error() != trouble):
			c.logger.Error("the new certificate cannot be used: the one before is shown on", zap.Error(err), zap.Time("expires", c.expiry()))
		case changed || asked && err == nil:
			c.logger.Info("the certificate was read again", zap.Bool("changed", changed), zap.Time("expires", c.expiry()))
		}
		trouble = ""
		if err != nil {
			trouble = err.Error()
		}
	}
}

// lookNow makes follow look at once.
func (c *certificate) lookNow() {
	select {
	case c.reload <- struct{}{}:
	default: // it is about to look
	}
}

func (c *certificate) expiry() time.Time { return c.leaf().NotAfter }

func (c *certificate) leaf() *x509.Certificate { return c.shown.Load().Leaf }

// config is that of a listener. HTTP/2 is not offered: time-outs and the end of a connection are those of HTTP/1.1, which
// are known.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.shown.Load(), nil
		},
	}
}
