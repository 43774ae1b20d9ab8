package inwebo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
)

// describe says what went wrong on the network in our own words. The errors of net/http quote answers, and those carry
// secrets, so nothing of their text is passed on.
func describe(err error) string {
	if text := describeTLS(err); text != "" {
		return text
	}
	errno, isErrno := errors.AsType[syscall.Errno](err)
	refused, isProxy := errors.AsType[proxyError](err)
	switch {
	case isProxy:
		return refused.Error()
	case is[*net.DNSError](err):
		return "the host name could not be resolved"
	case isErrno:
		return errno.Error()
	case isLate(err):
		return "" // the cause says it
	case errors.Is(err, context.Canceled):
		return "the exchange was given up"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was cut"
	default:
		return "the connection failed or carried no HTTP"
	}
}

func describeTLS(err error) string {
	switch {
	case is[x509.UnknownAuthorityError](err):
		return "its certificate is signed by an authority that is not trusted here"
	case is[x509.HostnameError](err):
		return "its certificate is for another host name"
	case is[x509.CertificateInvalidError](err):
		return "its certificate is expired or not valid for this use"
	case is[*tls.CertificateVerificationError](err):
		return "its certificate cannot be verified"
	case is[tls.RecordHeaderError](err):
		return "it does not speak TLS"
	case isAlert(err):
		return "it refused TLS"
	default:
		return ""
	}
}

// isAlert finds the other side's TLS alert, for which crypto/tls has no type that can be named.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

func isLate(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout()
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// isLocal reports whether err is that of a machine that has nothing left to make a connection with. The resolver keeps
// only the text of such an error.
func isLocal(err error) bool {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	for _, local := range [...]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, local) || isDNS && strings.HasSuffix(dns.Err, local.Error()) {
			return true
		}
	}
	return false
}
