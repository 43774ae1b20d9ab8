package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// TLS is what the API's listener shows.
type TLS struct {
	CertFile string // PEM; empty: no TLS
	KeyFile  string // PEM; goes with CertFile
}

// Overload bounds what is done at once, and for whom.
type Overload struct {
	InFlight    int           // calls
	Waiting     int           // calls
	Wait        time.Duration // of each of them
	CallerRate  int           // requests of a caller a second; 0: any number
	CallerBurst int           // requests at once after a pause
}

// networkSettings say how callers reach the API, and how much of it they get.
func (c *Config) networkSettings() []setting {
	return []setting{
		{
			key: "tls.cert_file", unit: "file", value: path(&c.TLS.CertFile),
			what: "the certificate that the API's listener shows, PEM, those that vouch for it behind it",
			effect: "Empty: no TLS; let a proxy in front do it, or stay on loopback. It is read again when it changes and on SIGHUP; " +
				"one that cannot be used changes nothing, and the log says so.",
		},
		{
			key: "tls.key_file", unit: "file", value: path(&c.TLS.KeyFile),
			what:   "the private key of that certificate, PEM",
			effect: "Goes with `tls.cert_file`.",
		},
		{
			key: plainHTTPKey, unit: "yes or no", preset: "no", value: yesNo(&c.HTTP.AllowPlain),
			what: "whether the API may be served without TLS where other machines reach it",
			effect: "Yes: PINs, OTPs and API keys cross the network readable, unless a proxy or a mesh in front ends TLS next to this process. " +
				"No: without `tls.cert_file`, `listen` must be on loopback.",
		},
		{
			key: "http.trusted_proxies", unit: "CIDRs", value: prefixes(&c.HTTP.TrustedProxies),
			what: "the proxies in front, such as `10.0.0.0/8, 192.0.2.7/32`, whose `X-Forwarded-For` says who calls",
			effect: "It is for the log alone: nobody is let in or kept out by an address. Empty: the log has the other end of the " +
				"connection.",
		},
		{
			key: "load.in_flight", unit: "count", preset: "1024", value: count(&c.Load.InFlight, 1, 1_000_000),
			what: "how many calls are under way at once",
			effect: "Fewer: less memory, and earlier refusals with code 2001. A call that queues for its device counts. A caller may " +
				"have three times as many as are free, an account a sixteenth of the free ones and two at least, so that one leaves " +
				"places for others.",
		},
		{
			key: "load.waiting", unit: "count", preset: "512", value: count(&c.Load.Waiting, 0, 1_000_000),
			what:   "how many calls may wait for one of those places",
			effect: "The others are refused at once, with 503 and code 2001. Callers and accounts have the same shares of these.",
		},
		{
			key: "load.wait", unit: "duration", preset: "1s", value: duration(&c.Load.Wait, 0, time.Minute),
			what:   "how long a call waits for one of those places",
			effect: "Longer: bursts are absorbed, and an overload is felt by all. It is part of the longest time that a call takes.",
		},
		{
			key: "load.caller_rate", unit: "count", preset: "100", value: count(&c.Load.CallerRate, 0, 1_000_000),
			what:   "how many requests a second each caller, a key or the subject of a token, may send; 0 turns that off",
			effect: "Who sends more gets 429 and code 2001. A backend calls for many accounts with one key.",
		},
		{
			key: "load.caller_burst", unit: "count", preset: "1000", value: count(&c.Load.CallerBurst, 1, 1_000_000),
			what:   "how many requests a caller may send at once after a pause",
			effect: "Fewer: a burst is spread over time.",
		},
	}
}

// The settings that say that plain HTTP is meant.
const (
	plainHTTPKey   = "http.allow_plain"
	plainInweboKey = "inwebo.allow_plain"
)

// isLoopback reports whether a host, without a port, is this machine alone.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// PlainBeyondLoopback reports whether the API is served without TLS where other machines reach it.
func (c *Config) PlainBeyondLoopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	return c.TLS.CertFile == "" && (err != nil || !isLoopback(host))
}

// PlainBeyondLoopback reports whether requests to inWebo cross the network without TLS.
func (i Inwebo) PlainBeyondLoopback() bool {
	return i.URL.Scheme == "http" && !isLoopback(i.URL.Hostname())
}

// yesNo is a switch.
func yesNo(p *bool) value {
	return value{
		set: func(s string) error {
			on := s == "yes" || s == "true"
			if !on && s != "no" && s != "false" {
				return fmt.Errorf("is %q: give yes or no", s)
			}
			*p = on
			return nil
		},
		text: func() string {
			if *p {
				return "yes"
			}
			return "no"
		},
	}
}

// maxPrefixes is more proxies than anybody names.
const maxPrefixes = 256

// prefixes is a list of networks, such as 10.0.0.0/8, with commas between; an address alone is the network of just that.
func prefixes(p *[]netip.Prefix) value {
	return value{
		set: func(s string) (err error) {
			*p, err = parsePrefixes(s)
			return err
		},
		text: func() string {
			var all []string
			for _, prefix := range *p {
				all = append(all, prefix.String())
			}
			return strings.Join(all, ", ")
		},
	}
}

func parsePrefixes(s string) (all []netip.Prefix, err error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if address, err := netip.ParseAddr(part); err == nil {
			part += "/" + strconv.Itoa(address.BitLen())
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fmt.Errorf("is %q: give networks such as 10.0.0.0/8, with commas between", s)
		}
		if prefix.Masked() != prefix {
			return nil, fmt.Errorf("is %q: %s has bits behind its mask, give %s", s, prefix, prefix.Masked())
		}
		all = append(all, prefix)
	}
	if len(all) > maxPrefixes {
		return nil, errors.New("names too many networks")
	}
	return all, nil
}
