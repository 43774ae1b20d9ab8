package crashtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Action says what happens to a system call.
type Action struct {
	kind  actionKind
	errno unix.Errno
}

type actionKind int

const (
	allow actionKind = iota
	fail
	killBefore
	killAfter
	killHalfway
)

// Allow lets the call happen.
func Allow() Action { return Action{} }

// Fail makes the call return the error, and do nothing.
func Fail(errno unix.Errno) Action { return Action{fail, errno} }

// KillBefore kills the process; the call does not happen.
func KillBefore() Action { return Action{kind: killBefore} }

// KillAfter lets the call happen, and kills the process before it learns that.
func KillAfter() Action { return Action{kind: killAfter} }

// KillHalfway is KillAfter for half of a write, and KillAfter itself for other calls.
func KillHalfway() Action { return Action{kind: killHalfway} }

// submission is the file descriptor by which a process hands itself over.
const submission = 3

// Submit puts the process that calls it under the eyes of the one that has started it with Watch. It is to be called
// before anything else is done.
func Submit() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	filter := filter()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("have system calls watched (seccomp): %w", errno)
	}
	if err := unix.Sendmsg(submission, []byte{0}, unix.UnixRights(int(listener)), nil, 0); err != nil {
		return fmt.Errorf("hand the listener over: %w", err)
	}
	return errors.Join(unix.Close(int(listener)), unix.Close(submission))
}

// filter sends the watched calls to the listener, and lets all others pass.
func filter() []unix.SockFilter {
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}} // the number of the call, at offset 0
	for _, number := range watchedCalls() {
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(number), Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	return append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
}

// Watch starts a command that calls Submit, and asks decide about each call below root, a folder, until the process
// ends. The next call waits until decide has answered, whichever thread makes it. The error is that of cmd.Wait, unless
// the verdict was to kill the process.
func Watch(cmd *exec.Cmd, root string, decide func(Call) Action) error {
	// A thread that is interrupted by a signal of Go's scheduler would make its call, and be seen, twice.
	cmd.Env = append(cmd.Environ(), "GODEBUG=asyncpreemptoff=1")
	listener, err := start(cmd)
	if err != nil {
		return fmt.Errorf("watch a process: %w", err)
	}
	defer unix.Close(listener) //nolint:errcheck // nothing was written to it
	w := &watcher{process: process{pid: cmd.Process.Pid, root: root}, listener: listener, decide: decide}
	killed, err := w.watch()
	if err != nil || killed {
		err = errors.Join(err, cmd.Process.Kill())
	}
	if ended := cmd.Wait(); !killed {
		err = errors.Join(err, ended)
	}
	return err
}

// start starts the command, and returns the listener that it hands over.
func start(cmd *exec.Cmd) (listener int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(pair[0]) //nolint:errcheck // it was only read
	theirs := os.NewFile(uintptr(pair[1]), "submission")
	cmd.ExtraFiles = []*os.File{theirs}
	err = cmd.Start()
	_ = theirs.Close() // the process has its own
	if err != nil {
		return 0, err
	}
	message, rights := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	n, length, _, _, err := unix.Recvmsg(pair[0], message, rights, unix.MSG_CMSG_CLOEXEC)
	if err == nil && n == 0 {
		return 0, errors.Join(errors.New("it ended before it called Submit"), cmd.Wait())
	}
	if err != nil {
		return 0, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	messages, err := unix.ParseSocketControlMessage(rights[:length])
	if err != nil || len(messages) != 1 {
		return 0, errors.Join(errors.New("it handed no listener over"), err, cmd.Process.Kill(), cmd.Wait())
	}
	files, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return 0, err
	}
	return files[0], nil
}
