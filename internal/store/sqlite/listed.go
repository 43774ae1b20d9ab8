package sqlite

import (
	"fmt"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// One row with a value that it cannot have must not keep a listing from the others. Such a row is listed as what can be read of it.

// scanListed reads listedColumns. An empty Body says that the row could not be read whole.
func scanListed(from scanner) (row otp.Row, err error) {
	if row, err = scanRow(from); err != nil {
		return scanDamaged(from)
	}
	return row, nil
}

func scanDamaged(from scanner) (row otp.Row, err error) {
	var revision, unread, active number
	var inDoubt, heldUntil, body, vault any
	var serial text
	if err = from.Scan(&row.Account, &revision, &inDoubt, &heldUntil, &body, &vault, &unread, &serial, &active); err != nil {
		return otp.Row{}, err
	}
	row.Revision, row.UnreadAnswers = uint64(max(0, revision)), int(max(0, unread))
	row.Claim = otp.Claim{Serial: string(serial), Active: active == 1}
	return row, nil
}

// scanLine reads a line of the audit log.
func scanLine(from scanner) (line otp.Audited, err error) {
	var at int64
	err = from.Scan(&line.ID, &at, &line.Account, &line.Caller, &line.Transaction, &line.Action, &line.Stage, &line.Outcome, &line.Step)
	if err != nil {
		return scanDamagedLine(from, err)
	}
	line.At = time.UnixMicro(at).UTC()
	return line, nil
}

func scanDamagedLine(from scanner, why error) (line otp.Audited, err error) {
	var at, step number
	var account, caller, transaction, action, stage, outcome text
	if err = from.Scan(&line.ID, &at, &account, &caller, &transaction, &action, &stage, &outcome, &step); err != nil {
		return otp.Audited{}, err
	}
	line.Line = otp.Line{
		At: time.UnixMicro(int64(at)).UTC(), Account: otp.Account(account), Caller: string(caller), Transaction: string(transaction),
		Action: string(action), Stage: otp.Stage(stage), Outcome: string(outcome), Step: uint64(max(0, step)),
	}
	line.Damage = fmt.Sprintf("the line cannot be read whole: %v", why)
	return line, nil
}

// scanListedKey reads keyColumns.
func scanListedKey(from scanner) (authn.Key, error) {
	key, why := scanKey(from)
	if why == nil {
		return key, nil
	}
	var id string
	var others [8]any
	err := from.Scan(&id, &others[0], &others[1], &others[2], &others[3], &others[4], &others[5], &others[6], &others[7])
	return authn.Key{ID: id, Damage: why.Error()}, err
}

// number is 0 where the value is no integer.
type number int64

// Scan is as sql.Scanner says.
func (n *number) Scan(value any) error {
	integer, _ := value.(int64)
	*n = number(integer)
	return nil
}

// text is empty where the value is no text.
type text string

// Scan is as sql.Scanner says.
func (t *text) Scan(value any) error {
	switch v := value.(type) {
	case string:
		*t = text(v)
	case []byte:
		*t = text(v)
	default:
		*t = ""
	}
	return nil
}
