package crashtest

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watcher answers for the calls of a process.
type watcher struct {
	process

	listener int
	decide   func(Call) Action
}

// notification is the kernel's struct seccomp_notif.
type notification struct {
	id        uint64
	_         [2]uint32 // pid, flags
	number    int32
	_         uint32 // architecture
	_         uint64 // instruction
	arguments [6]uint64
}

// response is the kernel's struct seccomp_notif_resp.
type response struct {
	id    uint64
	_     int64 // value
	errno int32
	flags uint32
}

// watch answers until the process ends, or is to be killed.
func (w *watcher) watch() (kill bool, err error) {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", w.pid))
	if err != nil {
		return false, err
	}
	defer memory.Close() //nolint:errcheck // it was only read
	w.memory = memory
	for {
		n, ok, err := w.next()
		if err != nil || !ok {
			return false, err
		}
		c, ours, err := w.call(int(n.number), n.arguments)
		switch {
		case err != nil && !w.waits(n.id): // the thread was gone before its memory was read
			continue
		case err != nil:
			return false, err
		}
		action := Allow()
		if ours {
			action = w.decide(c)
		}
		switch action.kind {
		case killBefore:
			return true, nil
		case killAfter:
			return true, c.perform()
		case killHalfway:
			return true, c.Half().perform()
		default:
			if err := w.answer(n.id, action.errno); err != nil {
				return false, err
			}
		}
	}
}

// next waits for a call; false says that the process has ended.
func (w *watcher) next() (n notification, ok bool, err error) {
	for {
		poll := []unix.PollFd{{Fd: int32(w.listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return n, false, err
		}
		switch {
		case poll[0].Revents&unix.POLLIN != 0:
		case poll[0].Revents != 0:
			return n, false, nil
		default:
			continue
		}
		n = notification{}
		err := control(w.listener, unix.SECCOMP_IOCTL_NOTIF_RECV, &n)
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINTR) { // else the thread is gone, or we were interrupted
			return n, err == nil, err
		}
	}
}

// answer lets a call pass, or fail. A thread that is gone needs no answer.
func (w *watcher) answer(id uint64, errno unix.Errno) error {
	r := response{id: id, errno: -int32(errno)}
	if errno == 0 {
		r.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	}
	err := control(w.listener, unix.SECCOMP_IOCTL_NOTIF_SEND, &r)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// waits reports whether the thread that made the call still waits for an answer.
func (w *watcher) waits(id uint64) bool {
	return control(w.listener, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == nil
}

// control makes a request to the listener, whose argument is one of the kernel's structures.
func control[T any](listener int, request uintptr, argument *T) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), request,
		uintptr(unsafe.Pointer(argument)))
	if errno != 0 {
		return errno
	}
	return nil
}
