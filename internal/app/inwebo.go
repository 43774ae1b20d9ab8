package app

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/inwebo"
)

// newInwebo makes the client that the configuration describes. Its errors name the setting.
func newInwebo(
	c config.Inwebo, observe func(inwebo.Exchange, error, time.Duration), samples chan<- *inwebo.Sample,
) (*inwebo.Client, error) {
	client := inwebo.Config{
		BaseURL: c.URL, Path: c.Path, MacID: c.MacID, Version: c.Version, UserAgent: c.UserAgent,
		DeviceName: c.DeviceName, Language: c.Language,
		ExchangeTimeout: c.ExchangeTimeout, DialTimeout: c.DialTimeout, Observe: observe, Transcript: samples,
	}
	var err error
	if !c.ProxyURL.IsEmpty() {
		if client.Proxy, err = url.Parse(c.ProxyURL.Reveal()); err != nil {
			return nil, errors.New("inwebo.proxy_url is not a URL")
		}
	}
	if c.CAFile != "" {
		if client.RootCAs, err = input.LoadAuthorities(c.CAFile); err != nil {
			return nil, fmt.Errorf("inwebo.ca_file: %w", err)
		}
	}
	if c.ClientCertFile != "" {
		certificate, err := input.LoadKeyPair(c.ClientCertFile, c.ClientKeyFile)
		if err != nil {
			return nil, fmt.Errorf("inwebo.client_cert_file and inwebo.client_key_file: %w", err)
		}
		client.ClientCertificate = &certificate
	}
	return inwebo.New(client), nil
}

// openTranscript opens the transcript that the configuration names; nil when it names none.
func openTranscript(c config.Inwebo, report func(error)) (*inwebo.Transcript, error) {
	if c.TranscriptFile == "" {
		return nil, nil
	}
	w, err := inwebo.OpenTranscript(c.TranscriptFile, report)
	if err != nil {
		return nil, fmt.Errorf("inwebo.transcript_file: %w", err)
	}
	return w, nil
}
