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
	InFlight   int           // calls
	CallerRate int           // requests of a caller a second; 0: any number
	Waiting    int           `setting:"none"` // calls that wait for a place
	Wait       time.Duration `setting:"none"` // of each of them
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

// PlainBeyondLoopback reports whether the API, or administration, is served without TLS where other machines reach it.
func (c *Config) PlainBeyondLoopback() bool {
	return c.isPlain(c.Listen) || c.Admin.Listen != "" && c.isPlain(c.Admin.Listen)
}

// isPlain reports whether other machines reach a listener of callers without TLS.
func (c *Config) isPlain(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
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
		words:  []string{"yes", "no"},
		schema: jsonSchema{"enum": []any{"yes", "no", true, false}},
	}
}

// maxPrefixes is more proxies than any operator names.
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
