package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwardedHeader is where proxies on the way say, each for the one before it, who sent them the request.
const forwardedHeader = "X-Forwarded-For"

// remoteOf returns the address of who sent the request, for the log alone: that of the connection, or, when a trusted proxy
// is at its other end, the last one in X-Forwarded-For that is no trusted proxy's. What precedes it, any client may
// have written. Where the header ends, or is not what proxies write, the last proxy's address is all that is known.
func remoteOf(r *http.Request, trusted []netip.Prefix) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !isTrusted(peer.Addr(), trusted) {
		return r.RemoteAddr
	}
	remote := r.RemoteAddr
	chain := strings.Split(strings.Join(r.Header.Values(forwardedHeader), ","), ",")
	for _, text := range slices.Backward(chain) {
		address, ok := forwardedAddress(strings.TrimSpace(text))
		if !ok {
			return remote
		}
		if remote = address.String(); !isTrusted(address, trusted) {
			return remote
		}
	}
	return remote
}

// forwardedAddress reads one entry of X-Forwarded-For: an address, which may have a port and, if it is one of IPv6,
// brackets. Some proxies write the port too. It refuses an address with a zone, which is free text.
func forwardedAddress(text string) (netip.Addr, bool) {
	if inner, isBracketed := strings.CutPrefix(text, "["); isBracketed {
		if inner, hasNoPort := strings.CutSuffix(inner, "]"); hasNoPort {
			text = inner
		}
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(text)
		address = withPort.Addr()
	}
	return address, err == nil && address.Zone() == ""
}

func isTrusted(address netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(address.Unmap()) })
}
