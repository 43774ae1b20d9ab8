package seal

// Format gives the text that a ring's keys have in a file.
func Format(r *Ring) string { return format(contents{keys: r.state.Load().keys}) }
