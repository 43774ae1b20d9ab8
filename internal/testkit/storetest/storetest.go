// Package storetest is the test suite of every store: otp.Store, what the commands read of it, and authn.KeyStore. It also has a store in
// memory for fast tests of the domain, and one that breaks on purpose.
//
// It is test support: no production package may import it.
package storetest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// Reader is what commands and gauges read besides the domain's verbs.
type Reader interface {
	// List is as otp.Store says.
	List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error)
	// CountUnreadAnswers returns the sum of UnreadAnswers over all rows.
	CountUnreadAnswers(ctx context.Context) (int, error)
	// AuditAfter returns the lines of the audit log with an id above the one given, in the order of ids, at most limit.
	// Who goes on after the last id that it has seen misses no line.
	AuditAfter(ctx context.Context, id int64, limit int) ([]otp.AuditRecord, error)
	// ForgetLines deletes the oldest lines, as far as they are older than age: all of them but the newest, when it is called often
	// enough. A line from the future of the store's clock keeps none of those behind it.
	ForgetLines(ctx context.Context, age time.Duration) error
	// ForgetAnswers spends the keys of answers that are as old as answerLife, and drops the keys that are as old as keyLife.
	ForgetAnswers(ctx context.Context, answerLife, keyLife time.Duration) error
	// CountAnswersUnder counts the answers that are kept, and of which the answer or the fingerprint starts like that.
	CountAnswersUnder(ctx context.Context, start []byte) (int, error)
	// SealingKey returns the name that RecordSealingKey recorded last; it is empty when none was recorded.
	SealingKey(ctx context.Context) (string, error)
	// RecordSealingKey records the name of the key that seals from now on. It is durable when it returns nil.
	RecordSealingKey(ctx context.Context, name string) error
	// Epoch returns the doubt epoch of the store.
	Epoch(ctx context.Context) (otp.Epoch, error)
	// RaiseEpoch raises the doubt epoch by one, so that every device is in doubt, in one durable write with the audit entry. The
	// cause is the action of the entry, and the time is the store's. It is not safe to repeat.
	RaiseEpoch(ctx context.Context, line otp.AuditEntry) error
}

// Instance is a store under test, on data of its own.
type Instance struct {
	otp.Store
	// Reader reads the same data. It may lie beneath a decorator: the suite never looks at a Vault that comes from it.
	Reader Reader
	// Reopen gives another store on the same data, as a process would have it that is started again; the one before is
	// not used any more. Its Reader reads the same data, too.
	Reopen func(t *testing.T) Instance
}

// Run holds a store against its contract, or against the parts of it that only names. open returns an instance without data, and lets it end
// with t.
func Run(t *testing.T, open func(t *testing.T) Instance, only ...string) {
	t.Helper()
	parts := map[string]func(*testing.T, Instance){
		"create, replace and fetch":   testVerbs,
		"update":                      testUpdate,
		"updates that are refused":    testUpdateRefused,
		"writes that name no vault":   testSameVault,
		"updates at once":             testUpdateTogether,
		"updates that are canceled":   testUpdateCancelled,
		"updates that return early":   testUpdateEarly,
		"replace of another body":     testOver,
		"what cannot be a write":      testMalformed,
		"rows come back exactly":      testExactRows,
		"lines come back exactly":     testExactLines,
		"the longest row":             testLongest,
		"any history":                 testHistory,
		"the store's time":            testTime,
		"reopened":                    testReopen,
		"list":                        testList,
		"claims of devices":           testClaims,
		"former devices":              testFormerDevices,
		"histories of devices":        testHistoryOfDevice,
		"histories at once":           testHistoriesTogether,
		"unread answers":              testUnreadAnswers,
		"canceled":                    testCancelled,
		"canceled in the middle":      testCancelledInTheMiddle,
		"many writers of one account": testOneAccount,
		"many accounts at once":       testManyAccounts,
		"the same write from many":    testSameWriteFromMany,
		"following the audit log":     testFollow,
		"lines without a record":      testNote,
		"lines are forgotten":         testForgetLines,
		"lines from the future":       testForgetLinesFromTheFuture,
		"kept answers of a create":    testCreateAndKeep,
		"kept answers":                testKeep,
		"kept answers are forgotten":  testForget,
		"the sealing key":             testSealingKey,
		"the doubt epoch":             testEpoch,
		"disabled accounts":           testDisabled,
	}
	if len(only) == 0 {
		only = slices.Collect(maps.Keys(parts))
	}
	for _, name := range only {
		t.Run(name, func(t *testing.T) { parts[name](t, open(t)) })
	}
}
