package input

import (
	"fmt"
	"io/fs"
)

// SecretFile is a file that holds a secret.
type SecretFile struct {
	Content []byte // untrimmed
	Info    fs.FileInfo
	// Warning is a sentence about permissions that are accepted because of the file system that the file is on; empty
	// when only its owner, and at most its group, may read the file.
	Warning string
}

// ReadSecretFile reads a file that holds a secret, of up to limit bytes. There is one rule for all such files: only the
// owner may write them, the group may read them, and no other user may do anything with them. Docker, Swarm and Kubernetes
// mount secrets read-only or on tmpfs, often with mode 0444, 0644 or, after fsGroup, 0660; the processes that can reach such
// a mount are those of the container. There these modes are accepted, with a warning.
func ReadSecretFile(path string, limit int) (SecretFile, error) {
	file, err := open(path, pipeTimeout)
	if err != nil {
		return SecretFile{}, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	info, err := file.Stat()
	if err != nil {
		return SecretFile{}, err
	}
	warning, err := checkMode(path, info.Mode().Perm(), isSecretMount(file))
	if err != nil {
		return SecretFile{}, err
	}
	content, err := readAll(file, limit)
	return SecretFile{Content: content, Info: info, Warning: warning}, err
}

// SecretFileWarning returns the Warning that ReadSecretFile would return for the file at path. It is empty too when the file
// cannot be opened or is refused, which its reader reports.
func SecretFileWarning(path string) string {
	file, err := open(path, pipeTimeout)
	if err != nil {
		return ""
	}
	defer file.Close() //nolint:errcheck // nothing was written
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	warning, _ := checkMode(path, info.Mode().Perm(), isSecretMount(file)) // an error is for those who read it
	return warning
}

const (
	// looseMode has the permissions that a secret file must not give.
	looseMode fs.FileMode = 0o037
	// mountMode has all permissions that container runtimes give to the secrets that they mount.
	mountMode fs.FileMode = 0o664
)

// checkMode applies the rule to the permissions of the file at path; mounted reports whether the file is on a mount as
// container runtimes make them for secrets.
func checkMode(path string, mode fs.FileMode, mounted bool) (warning string, err error) {
	switch {
	case mode&looseMode == 0:
		return "", nil
	case mounted && mode&^mountMode == 0:
		return fmt.Sprintf("%s has mode %#o, which lets others than its owner use it; it is accepted on tmpfs or a read-only mount, "+
			"as container runtimes make them for secrets; mount it with mode 0400, or 0440 for a group", path, mode), nil
	default:
		return "", fmt.Errorf("others than its owner may use %s (its mode is %#o): make it 0600, or 0640 for a group that reads it; "+
			"a secret that others could read may be known to them", path, mode)
	}
}
