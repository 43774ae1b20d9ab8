package seal

import (
	"context"
	"maps"
	"slices"

	"github.com/pimsd/pimsd/internal/otp"
)

// Lister reads the rows of the inner store.
type Lister interface {
	// List returns rows in the order of their accounts' bytes, those after the account given, at most limit.
	// The empty account is before all others.
	List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error)
}

// page is how many rows are read at once.
const page = 200

// KeyUsage has the number of records that are sealed under each key. Records without secrets are not counted.
type KeyUsage map[KeyID]int

// Unsealed counts, in a KeyUsage, the records whose secrets are not in the form of this package, damaged or from elsewhere, and those that
// cannot be read.
const Unsealed KeyID = ""

// Keys returns the ids of the keys in their order.
func (c KeyUsage) Keys() []KeyID { return slices.Sorted(maps.Keys(c)) }

// Count counts the inner store's records by key. An empty result means that nothing is sealed.
func Count(ctx context.Context, rows Lister) (KeyUsage, error) {
	usage := KeyUsage{}
	err := eachRow(ctx, rows, func(row otp.Row) error {
		usage.add(row)
		return nil
	})
	return usage, err
}

// KeyUsageOf counts some rows of the inner store by key.
func KeyUsageOf(rows []otp.Row) KeyUsage {
	usage := KeyUsage{}
	for _, row := range rows {
		usage.add(row)
	}
	return usage
}

func (c KeyUsage) add(row otp.Row) {
	switch {
	case !row.Secrets.IsEmpty():
		c[keyOfRow(row)]++
	case len(row.Body) == 0:
		c[Unsealed]++
	}
}

// keyOfRow returns the key that the row's secrets are sealed under, or Unsealed.
func keyOfRow(row otp.Row) KeyID {
	id, _, _ := cutHeader(row.Secrets.Reveal(), extraBytes)
	return id
}

func eachRow(ctx context.Context, rows Lister, do func(otp.Row) error) error {
	for after := otp.Account(""); ; {
		some, err := rows.List(ctx, after, page)
		if err != nil || len(some) == 0 {
			return err
		}
		for _, row := range some {
			if err := do(row); err != nil {
				return err
			}
			after = row.Account
		}
	}
}
