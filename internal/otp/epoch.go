package otp

// inEpochOf returns r, which was read from the row, in the doubt epoch of its store. A device of an earlier epoch is in doubt:
// the doubt ends like every other, with a proof that inWebo accepts.
func (r Record) inEpochOf(row Row) Record {
	r.epoch, r.storedEpoch = row.StoreEpoch.Number, row.Epoch
	if r.Device != nil && row.Epoch < row.StoreEpoch.Number {
		r.Doubt = r.Doubt.deeper(row.StoreEpoch.Since, r.Revision+1)
	}
	return r
}

// ownEpoch returns the epoch that is stored with the record.
func (r *Record) ownEpoch() uint64 {
	if r.Device == nil {
		return 0
	}
	return r.epoch
}

// stored returns r as it is read again after it was stored.
func (r Record) stored() Record {
	r.storedEpoch = r.ownEpoch()
	return r
}
