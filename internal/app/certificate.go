package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
)

// certificateInterval is how often the files of the certificate are looked at.
const certificateInterval = 10 * time.Second

// certificate is the TLS certificate of the listeners. run reads its files again when they change; when the new files cannot be used,
// the previous certificate stays.
type certificate struct {
	files   config.TLS
	logger  *zap.Logger
	current atomic.Pointer[tls.Certificate]

	reload chan struct{} // makes run read the files at once
}

// openCertificate reads the certificate for the first time. What is wrong with it is a fault of the configuration.
func openCertificate(files config.TLS, logger *zap.Logger) (*certificate, error) {
	c := &certificate{files: files, logger: logger, reload: make(chan struct{}, 1)}
	if _, err := c.reloadFiles(); err != nil {
		return nil, config.Faults{{Setting: "tls.cert_file and tls.key_file", Problem: "cannot be used: " + err.Error()}}
	}
	return c, nil
}

// reloadFiles reads the files, and uses what they have when that is new and valid.
func (c *certificate) reloadFiles() (changed bool, err error) {
	fresh, err := input.LoadKeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return false, err
	}
	current := c.current.Load()
	if current != nil && slices.EqualFunc(current.Certificate, fresh.Certificate, bytes.Equal) { // and so the key is the same
		return false, nil
	}
	c.current.Store(&fresh)
	return true, nil
}

// run reads the files every certificateInterval and after reloadNow, until ctx ends. It logs each distinct error once.
func (c *certificate) run(ctx context.Context) {
	tick := time.NewTicker(certificateInterval)
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
		changed, err := c.reloadFiles()
		switch {
		case err != nil && (asked || err.Error() != trouble):
			c.logger.Error("the new certificate cannot be used: the previous one stays in use", zap.Error(err), zap.Time("expires", c.expiry()))
		case changed || asked && err == nil:
			c.logger.Info("the certificate was read again", zap.Bool("changed", changed), zap.Time("expires", c.expiry()))
		}
		trouble = ""
		if err != nil {
			trouble = err.Error()
		}
	}
}

// reloadNow makes run read the files at once.
func (c *certificate) reloadNow() {
	select {
	case c.reload <- struct{}{}:
	default: // it is about to read them
	}
}

func (c *certificate) expiry() time.Time { return c.current.Load().Leaf.NotAfter }

// config is that of a listener. HTTP/2 is not offered: time-outs and the end of a connection are those of HTTP/1.1, which
// are known.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}
