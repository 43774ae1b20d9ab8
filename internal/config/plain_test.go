package config_test

import (
	"testing"

	"github.com/pimsd/pimsd/internal/config"
)

// Plain HTTP is for loopback, unless somebody has said that more is meant.
func TestPlainHTTPBeyondLoopback(t *testing.T) {
	t.Parallel()
	const api, inwebo, allowAPI, allowInwebo = "PIMSD_LISTEN=", "PIMSD_INWEBO_URL=", "PIMSD_HTTP_ALLOW_PLAIN=yes", "PIMSD_INWEBO_ALLOW_PLAIN=yes"
	for _, tc := range []struct {
		environ []string
		taken   bool
	}{
		{[]string{api + "127.0.0.1:8080"}, true},
		{[]string{api + "127.9.9.9:8080"}, true},
		{[]string{api + "[::1]:8080"}, true},
		{[]string{api + "localhost:8080"}, true},
		{[]string{api + ":8080"}, false},
		{[]string{api + "0.0.0.0:8080"}, false},
		{[]string{api + "[::]:8080"}, false},
		{[]string{api + "192.0.2.1:8080"}, false},
		{[]string{api + "localhost.example.com:8080"}, false},
		{[]string{api + ":8080", allowInwebo}, false},
		{[]string{api + ":8080", allowAPI}, true},
		{[]string{api + ":8080", "PIMSD_TLS_CERT_FILE=c.pem", "PIMSD_TLS_KEY_FILE=k.pem"}, true},
		{[]string{inwebo + "http://127.0.0.1:9800"}, true},
		{[]string{inwebo + "http://localhost"}, true},
		{[]string{inwebo + "http://[::1]:9800"}, true},
		{[]string{inwebo + "http://otp.mpsa.com"}, false},
		{[]string{inwebo + "http://127.0.0.1.example.com"}, false},
		{[]string{inwebo + "http://otp.mpsa.com", allowAPI}, false},
		{[]string{inwebo + "http://otp.mpsa.com", allowInwebo}, true},
		{[]string{inwebo + "https://otp.mpsa.com"}, true},
	} {
		c, err := config.Load(config.Input{Environ: append(tc.environ, "HOME=/h")})
		if (err == nil) != tc.taken {
			t.Errorf("%q: %v", tc.environ, err)
		}
		if plain := err == nil && (c.PlainBeyondLoopback() || c.Inwebo.PlainBeyondLoopback()); tc.taken && plain != (len(tc.environ) == 2) {
			t.Errorf("%q: plain HTTP is said to be used: %v", tc.environ, plain)
		}
	}
}
