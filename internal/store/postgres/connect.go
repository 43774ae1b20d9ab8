package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// connectTimeout bounds the attempt to connect to one host: looking its name up, and again everything after that, with
	// TLS, the login and the check of the new connection.
	connectTimeout = 3 * time.Second
	// idleTimeout is below what middleboxes commonly forget a silent connection after.
	idleTimeout = 5 * time.Minute
	// keepAliveTimeout is when the operating system asks the other side of a silent connection whether it is still there.
	keepAliveTimeout = 5 * time.Second
)

// NameOf returns a text that is the same for URLs of one store: a digest of the hosts and ports, the name of the database, and the
// parameters that name a schema. It is empty for a URL that is not understood.
func NameOf(o Options) string {
	config, err := pgxpool.ParseConfig(o.URL.Reveal())
	if err != nil {
		return ""
	}
	places := []string{fmt.Sprintf("%q:%d", config.ConnConfig.Host, config.ConnConfig.Port)}
	for _, other := range config.ConnConfig.Fallbacks {
		places = append(places, fmt.Sprintf("%q:%d", other.Host, other.Port))
	}
	slices.Sort(places)
	schema := []string{config.ConnConfig.RuntimeParams["search_path"], config.ConnConfig.RuntimeParams["options"]}
	digest := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", slices.Compact(places), config.ConnConfig.Database, schema))
	return hex.EncodeToString(digest[:8])
}

// poolConfig returns the configuration of the connections to the database.
func poolConfig(o Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(o.URL.Reveal())
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("database_url names a file that cannot be used: %w", file)
	}
	if err != nil { // which may quote the password
		return nil, errors.New("database_url is not understood: write postgres://user:password@host:port/database, " +
			"and check the names and values of its parameters")
	}
	if _, set := config.ConnConfig.RuntimeParams["application_name"]; !set {
		config.ConnConfig.RuntimeParams["application_name"] = "pimsd"
	}
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: keepAliveTimeout, Interval: keepAliveTimeout / 2, Count: 2,
	}}
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.ConnConfig.DialFunc = dialer.DialContext
	config.ConnConfig.LookupFunc = lookUpHost
	config.ConnConfig.ValidateConnect = validator(config.ConnConfig.ValidateConnect)
	config.ConnConfig.OnNotice = func(conn *pgconn.PgConn, notice *pgconn.Notice) {
		if saysNotReplicated(notice) {
			conn.CustomData()[notReplicated] = true
		}
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		markUsed(conn)
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		if err := checkAuditIDs(ctx, conn); err != nil {
			return err
		}
		err := o.checkServer(ctx, conn)
		if hasCode(err, undefinedTable) { // the schema has not been brought up to date
			return nil
		}
		return err
	}
	config.MaxConns = maxConnections
	config.MaxConnIdleTime = idleTimeout
	// acquire looks after connections that have been idle: a ping of the pool that fails would keep its place for 15 seconds.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	return config, nil
}

// lookUpHost looks up the addresses of a host. A connection is made in the background, without the deadline of the call
// that needs it, and pgx looks the name up before its own time-out begins.
func lookUpHost(ctx context.Context, host string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return net.DefaultResolver.LookupHost(ctx, host)
}

// validator returns checkConnection, followed by the choice that the URL makes among hosts (target_session_attrs), if any.
func validator(choice pgconn.ValidateConnectFunc) pgconn.ValidateConnectFunc {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		if err := checkConnection(ctx, conn); err != nil || choice == nil {
			return err
		}
		return choice(ctx, conn)
	}
}

// session is what a new connection must be like, and what is changed in it so that it is. All of it holds until the
// connection ends, whatever becomes of the server's configuration: it keeps the synchronous_commit that it was accepted
// with; two writers of one record meet with a conflict instead of an error of serialization; the warning that a write
// was not replicated is not suppressed; statements are planned once, not for each execution; no statement waits for a lock
// until its caller gives up without knowing what became of it; and the server ends the session of a client that is gone, or
// stopped in the middle of a transaction, with the locks that it has. The session is marked as set up.
const session = `SELECT pg_is_in_recovery(), current_setting('transaction_read_only'), current_setting('fsync'),
	set_config('synchronous_commit', current_setting('synchronous_commit'), false),
	set_config('default_transaction_isolation', 'read committed', false),
	set_config('client_min_messages', 'warning', false),
	set_config('plan_cache_mode', 'force_generic_plan', false), set_config('lock_timeout', '2s', false),
	set_config('idle_in_transaction_session_timeout', '10s', false),
	set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false),
	set_config('tcp_keepalives_count', '3', false), set_config('` + sessionMark + `', 'on', false)`

const (
	// sessionMark is a setting that only a session has which was set up as above.
	sessionMark = `pimsd.session`

	// ownSession is a condition of each statement that writes. In a session without the mark, as a pooler may return it which was told
	// to pool transactions while pimsd runs, it is an error: what the statement stored would lack the protection of the settings.
	ownSession = `current_setting('` + sessionMark + `')::boolean`
)

// checkConnection refuses a new connection that takes no writes, or on which a write would not survive a crash of the
// server. pgx then tries the next host of the URL.
func checkConnection(ctx context.Context, conn *pgconn.PgConn) error {
	if isOld(conn.ParameterStatus("server_version")) {
		return errOldServer
	}
	results, err := conn.Exec(ctx, session).ReadAll()
	if err != nil {
		return err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return errNoServer
	}
	row := results[0].Rows[0]
	inRecovery, readOnly, fsync, synchronousCommit := string(row[0]), string(row[1]), string(row[2]), string(row[3])
	switch {
	case inRecovery == "t":
		return errStandby
	case readOnly == "on":
		return errReadOnly
	case synchronousCommit == "off":
		return errLooseCommit
	case fsync != "on":
		return errNoFsync
	}
	return nil
}

// isOld reports whether the version that a server sends at the login is older than PostgreSQL 12. Those servers lack
// plan_cache_mode, and so would refuse the statement that checks the connection.
func isOld(version string) bool {
	const oldest = 12
	major, _, _ := strings.Cut(version, ".")
	number, err := strconv.Atoi(major)
	return err == nil && number < oldest
}

// What keeps a connection from being used.
var (
	errStandby = errors.New("the server is a standby, which takes no writes: name the primary in database_url, or all hosts, " +
		"and pimsd uses the one that takes writes")
	errReadOnly = errors.New("the server takes no writes: default_transaction_read_only is on, for the server, the database or " +
		"the user; set it to off, or name the primary in database_url")
	errLooseCommit = errors.New("synchronous_commit is off: a crash of the server would lose a step of a ratchet, and so a " +
		"device; set it to on for this user (ALTER ROLE … SET synchronous_commit = on)")
	errOldServer = errors.New("the server is older than PostgreSQL 12: use a version that its makers still maintain")
	errNoServer  = errors.New("what answers at the address in database_url does not answer as PostgreSQL does: name the server itself")
	errNoFsync   = errors.New("fsync is off: a crash of the server would lose devices; set it to on in postgresql.conf")
)
