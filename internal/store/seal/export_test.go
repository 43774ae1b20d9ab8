package seal

// Format returns the text that a keyring's keys have in a file.
func Format(r *Keyring) string { return format(contents{keys: r.state.Load().keys}) }
