package pimsdtest_test

import (
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// ask asks for an OTP meanwhile. answer waits for what comes of it.
func ask(a *pimsdtest.Account) (answer func() pimsdtest.Answer) {
	answers := make(chan pimsdtest.Answer, 1)
	go func() { answers <- a.OTP(a.PIN) }()
	return func() pimsdtest.Answer { return <-answers }
}

// shortQueue lets no caller wait long for a device.
func shortQueue(s *pimsdtest.Setup) { s.Config.Conversation.QueueWait = 100 * time.Millisecond }

// holdDevice has another request of the account under way until the test ends.
func holdDevice(t *testing.T, a *pimsdtest.Account) {
	reached, release := a.Daemon.Pause(pimsdtest.ActionFinalize)
	first := ask(a)
	<-reached
	t.Cleanup(func() {
		release()
		wantGood(t, a, first())
	})
}

// What a caller may take to send a request is no bound for what the answer may take: who queues is not sent away by it.
func TestTheQueueOutlastsTheTimeToSend(t *testing.T) {
	t.Parallel()
	a := enrolled(t, func(s *pimsdtest.Setup) {
		s.Config.HTTP.PartTimeout = time.Second
	})
	reached, release := a.Daemon.Pause(pimsdtest.ActionFinalize)
	first := ask(a)
	<-reached
	second := ask(a)
	time.AfterFunc(3*time.Second, release)
	wantGood(t, a, first())
	wantGood(t, a, second())
	for _, l := range requestLines(t, a.Daemon) {
		if l.CallerLeft {
			t.Errorf("the log says of a caller who waited that he left: %+v", l)
		}
	}
}

// Callers of one device queue, and all get their OTP.
func TestManyCallersOfOneDevice(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	var answers []func() pimsdtest.Answer
	for range 20 {
		answers = append(answers, ask(a))
	}
	for _, answer := range answers {
		wantGood(t, a, answer())
	}
	if expected := a.Expected(); expected.Overlaps != 0 || expected.WrongProofs != 0 {
		t.Errorf("inWebo has seen what it should not: %+v", expected.Counters)
	}
}
