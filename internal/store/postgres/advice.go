package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// explain returns an error that says what to do, where that is known, before it quotes the cause. Nothing of it has the
// URL or its password in it.
func explain(err error) error {
	if connect, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		err = unconnected{connect.Unwrap()}
	}
	if advice := adviceOn(err); advice != "" {
		return fmt.Errorf("%s (%w)", advice, err)
	}
	return err
}

// unconnected is why no host of the URL returns a connection.
type unconnected struct{ cause error }

func (u unconnected) Error() string {
	text := strings.NewReplacer("\n", "; ", "ValidateConnect failed: ", "").Replace(u.cause.Error())
	return "the database of database_url cannot be used: " + text
}

func (u unconnected) Unwrap() error { return u.cause }

// adviceOn returns what the operator has to do about an error; empty when that is not known.
func adviceOn(err error) string {
	if isUnmarked(err) {
		return errSharedSessions.Error()
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return adviceOnCode(refused.Code)
	}
	return adviceOnCause(err)
}

// adviceOnCode returns what to do about an error to which PostgreSQL returns the code.
func adviceOnCode(code string) string {
	switch code {
	case "08P01", "26000", "42P05":
		return errSharedSessions.Error()
	case "28000":
		return "the server does not let this user in: see pg_hba.conf on the server, and user and sslmode in database_url"
	case "28P01":
		return "the user or the password in database_url is wrong"
	case "3D000":
		return "the database does not exist: make it (CREATE DATABASE …), or correct its name in database_url"
	case "3F000", "42P01":
		return "the tables are not where they are looked for: the search_path of this user is another than that of the user who made them"
	case "42501":
		return "the user of database_url lacks a right: the service needs those of the tables' owner, at its first start also CREATE " +
			"on the schema (GRANT CREATE ON SCHEMA public TO …); commands need all rights on the tables and sequences (GRANT ALL ON " +
			"ALL TABLES IN SCHEMA public TO …, and so ON ALL SEQUENCES)"
	case "53100":
		return "the database server has no room left: make some, since no OTP is given until it takes writes"
	case "53200", "58030":
		return "the database server fails for want of memory or of its disk: see its log"
	case "53300":
		return fmt.Sprintf("no more connections are allowed: see max_connections of the server and the limits of the user and the "+
			"database; each replica uses %d at most", maxConnections)
	case "55P03", "57014":
		return "the statement took too long: see statement_timeout of the user and the database, and whether another session has " +
			"locked the tables (pg_stat_activity)"
	case "57P03":
		return "the server is starting, stopping or recovering: wait until it accepts connections"
	case dataCorrupted, indexCorrupted:
		return "the database is damaged: see the server's log; a record that is damaged can be forgotten or enrolled again, and more " +
			"than that is restored from a backup"
	case readOnlyTransaction:
		return "the database can only be read: name the primary in database_url, or all hosts, and see to it that " +
			"default_transaction_read_only is off"
	default:
		return ""
	}
}

// adviceOnCause returns what to do about an error that does not come from PostgreSQL. The more specific causes are first.
func adviceOnCause(err error) string {
	switch {
	case isOfType[x509.UnknownAuthorityError](err):
		return "the server's certificate is of no authority that is known here: give that authority's " +
			"certificate as sslrootcert=FILE in database_url"
	case isOfType[x509.HostnameError](err):
		return "the server's certificate is for another name than the host in database_url: correct the host, " +
			"or the certificate"
	case isOfType[x509.CertificateInvalidError](err):
		return "the server's certificate is not valid: renew it, and check the clocks of both machines"
	case isOfType[tls.AlertError](err):
		return "the server refused the TLS connection: check sslcert and sslkey in database_url, and the server's log"
	case isOfType[tls.RecordHeaderError](err):
		return "the server does not speak TLS at this port: check host and port in database_url"
	case strings.Contains(err.Error(), "server refused TLS connection"): // the driver has no type for it
		return "the server offers no TLS: set ssl = on at the server, or sslmode=disable in " +
			"database_url where the network between may be trusted"
	case isOfType[*net.DNSError](err):
		return "the name of the host in database_url cannot be looked up: correct it, or see the resolver"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at the host and port of database_url: start PostgreSQL, or see its " +
			"listen_addresses"
	case errors.Is(err, fs.ErrNotExist):
		return "there is no socket in the folder that database_url names as host: start PostgreSQL, or see its " +
			"unix_socket_directories"
	case errors.Is(err, fs.ErrPermission):
		return "this user may not use the socket of the server: see unix_socket_permissions"
	case errors.Is(err, context.DeadlineExceeded):
		return "the database did not answer in time: see whether its machine, and the network to it, work"
	default:
		return ""
	}
}

func isOfType[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}
